#include "core/io/zip.h"

#include <zip.h>

#include <cstdlib>
#include <mutex>
#include <unordered_set>

namespace tenon::io {
namespace {

std::string text_of(zip_error_t* error) {
  return zip_error_strerror(error);
}

}  // namespace

struct ZipArchive::Pool {
  std::string path;  // empty: in memory
  ByteView bytes;
  std::string name;
  ErrorKind kind = ErrorKind::Data;
  std::mutex mutex;
  std::vector<zip_t*> idle;

  ~Pool() {
    for (zip_t* handle : idle) zip_discard(handle);
  }

  zip_t* open() const {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = path.empty()
                               ? zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error)
                               : zip_source_file_create(path.c_str(), 0, -1, &error);
    zip_t* handle = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : nullptr;
    if (!handle) {
      if (source) zip_source_free(source);
      const std::string reason = text_of(&error);
      zip_error_fini(&error);
      throw_error(kind, "{}: cannot be read as a zip archive: {}", name, reason);
    }
    return handle;
  }

  zip_t* take() {
    {
      std::lock_guard lock(mutex);
      if (!idle.empty()) {
        zip_t* handle = idle.back();
        idle.pop_back();
        return handle;
      }
    }
    return open();
  }

  void give(zip_t* handle) {
    std::lock_guard lock(mutex);
    idle.push_back(handle);
  }
};

ZipArchive::ZipArchive(fs::path path, ErrorKind kind)
    : name_(path.string()), kind_(kind), pool_(std::make_unique<Pool>()) {
  std::error_code code;
  if (!fs::exists(path, code)) throw not_found(path, "cannot read", kind);
  pool_->path = name_;
  list();
}

ZipArchive::ZipArchive(ByteView bytes, std::string name, ErrorKind kind)
    : name_(std::move(name)), kind_(kind), pool_(std::make_unique<Pool>()) {
  pool_->bytes = bytes;
  list();
}

ZipArchive::~ZipArchive() = default;

void ZipArchive::list() {
  pool_->name = name_;
  pool_->kind = kind_;
  zip_t* handle = pool_->open();
  pool_->give(handle);
  std::unordered_set<std::string> names;
  const zip_int64_t count = zip_get_num_entries(handle, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t info;
    zip_stat_init(&info);
    const int code = zip_stat_index(handle, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_GUESS, &info);
    const bool known = code == 0 && (info.valid & ZIP_STAT_NAME) && (info.valid & ZIP_STAT_SIZE);
    check(known, kind_, "{}: entry {} has no name or size", name_, i);
    const std::string name = info.name;
    if (name.empty() || name.back() == '/') continue;
    check(names.insert(name).second, kind_, "{}: two entries named '{}'", name_, name);
    entries_.push_back({name, info.size, static_cast<std::uint64_t>(i)});
  }
}

ByteBuffer ZipArchive::read(const ZipEntry& entry, std::uint64_t limit) const {
  check(entry.size <= limit, kind_, "{}: entry '{}' has {}, the limit is {}", name_, entry.name,
        format_bytes(entry.size), format_bytes(limit));
  zip_t* handle = pool_->take();
  struct Return {
    Pool& pool;
    zip_t* handle;
    zip_file_t* file = nullptr;
    ~Return() {
      if (file) zip_fclose(file);
      pool.give(handle);
    }
  } guard{*pool_, handle};
  guard.file = zip_fopen_index(handle, entry.offset, 0);
  if (!guard.file)
    throw_error(kind_, "{}: entry '{}': {}", name_, entry.name, text_of(zip_get_error(handle)));
  // One byte more than promised: it makes libzip check the checksum at the end. The buffer grows
  // with the data, since the promise of a hostile archive costs nothing.
  ByteBuffer out;
  std::uint64_t filled = 0;
  for (;;) {
    const std::uint64_t chunk = std::max<std::uint64_t>(filled, 1 << 20);
    out.resize(std::min(filled + chunk, entry.size + 1));
    const zip_int64_t got = zip_fread(guard.file, out.data() + filled, out.size() - filled);
    if (got < 0)
      throw_error(kind_, "{}: entry '{}': {}", name_, entry.name,
                  text_of(zip_file_get_error(guard.file)));
    if (got == 0) break;
    filled += static_cast<std::uint64_t>(got);
    if (filled > entry.size) break;
  }
  check(filled == entry.size, kind_, "{}: entry '{}' unpacks to {} bytes, the directory says {}",
        name_, entry.name, filled > entry.size ? "more" : std::to_string(filled), entry.size);
  out.resize(filled);
  return out;
}

void write_zip(const fs::path& path,
               const std::vector<std::pair<std::string, ByteBuffer>>& entries) {
  int code = 0;
  fs::path temporary = path;
  temporary += ".tmp";
  zip_t* handle = zip_open(temporary.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  check(handle != nullptr, ErrorKind::Disk, "cannot create '{}' (libzip code {})",
        temporary.string(), code);
  for (const auto& [name, bytes] : entries) {
    zip_source_t* source = zip_source_buffer(handle, bytes.data(), bytes.size(), 0);
    const zip_int64_t index =
        source ? zip_file_add(handle, name.c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0 ||
        zip_set_file_compression(handle, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0) != 0) {
      if (index < 0 && source) zip_source_free(source);
      const std::string reason = text_of(zip_get_error(handle));
      zip_discard(handle);
      throw_error(ErrorKind::Disk, "cannot add '{}' to '{}': {}", name, path.string(), reason);
    }
  }
  if (zip_close(handle) != 0) {
    const std::string reason = text_of(zip_get_error(handle));
    zip_discard(handle);
    throw_error(ErrorKind::Disk, "cannot write '{}': {}", path.string(), reason);
  }
  rename_path(temporary, path);
}

}  // namespace tenon::io
