#include "core/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "core/io/crc32c.h"

namespace tenon::io {
namespace {

std::string reason(int code) {
  return std::generic_category().message(code);
}

[[noreturn]] void disk_error(std::string_view action, const fs::path& path, int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT) hint = "free some space or choose another folder";
  if (code == EACCES || code == EPERM || code == EROFS) hint = "choose a folder you may write to";
  throw Error(ErrorKind::Disk,
              fmt::format("cannot {} '{}': {}", action, path.string(), reason(code)), hint);
}

// A descriptor that cannot leak when a check throws.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Descriptor open_for_reading(const fs::path& path, ErrorKind kind, std::uint64_t& size) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    if (errno == ENOENT) throw not_found(path, "cannot read", kind);
    throw_error(kind, "cannot read '{}': {}", path.string(), reason(errno));
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0)
    throw_error(kind, "cannot read '{}': {}", path.string(), reason(errno));
  check(!S_ISDIR(info.st_mode), kind, "'{}' is a folder, want a file", path.string());
  size = static_cast<std::uint64_t>(info.st_size);
  Descriptor out{file.fd};
  file.fd = -1;
  return out;
}

// Reads up to n bytes, 0 only at the end of the file.
std::size_t read_some(int fd, std::uint8_t* p, std::size_t n, const fs::path& path,
                      ErrorKind kind) {
  for (;;) {
    const ssize_t got = ::read(fd, p, n);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw_error(kind, "cannot read '{}': {}", path.string(), reason(errno));
  }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t up = row[j];
      row[j] = std::min({up + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = up;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : candidates) {
    if (name.size() > word.size() + best_distance || word.size() > name.size() + best_distance)
      continue;
    const std::size_t distance = edit_distance(word, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

Error not_found(const fs::path& path, std::string_view what, ErrorKind kind) {
  std::error_code code;
  fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  fs::path name = path.filename();
  if (name.empty()) {  // a trailing slash
    name = folder.filename();
    folder = folder.parent_path().empty() ? fs::path(".") : folder.parent_path();
  }
  std::string hint;
  if (fs::is_directory(folder, code)) {
    std::vector<std::string> names;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
      names.push_back(it->path().filename().string());
      if (names.size() >= 10000) break;
    }
    std::sort(names.begin(), names.end());
    const std::string near = nearest_name(name.string(), names);
    if (!near.empty()) hint = fmt::format("'{}' is in that folder", near);
  } else {
    hint = fmt::format("the folder '{}' does not exist either", folder.string());
  }
  return Error(kind, fmt::format("{}: no file or folder '{}'", what, path.string()), hint);
}

ByteBuffer read_file(const fs::path& path, std::uint64_t limit, ErrorKind kind) {
  std::uint64_t size = 0;
  const Descriptor file = open_for_reading(path, kind, size);
  check(size <= limit, kind, "'{}' has {}, the limit is {}", path.string(), format_bytes(size),
        format_bytes(limit));
  ByteBuffer bytes(size);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const std::size_t got =
        read_some(file.fd, bytes.data() + done, bytes.size() - done, path, kind);
    if (got == 0) break;
    done += got;
  }
  bytes.resize(done);
  return bytes;
}

Digest digest_file(const fs::path& path, ErrorKind kind) {
  std::uint64_t size = 0;
  const Descriptor file = open_for_reading(path, kind, size);
  ByteBuffer chunk(1 << 20);
  Digest digest;
  while (const std::size_t got = read_some(file.fd, chunk.data(), chunk.size(), path, kind)) {
    digest.crc = crc32c(digest.crc, {chunk.data(), got});
    digest.size += got;
  }
  return digest;
}

OutputFile::OutputFile(fs::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) disk_error("create", path_, errno);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

void OutputFile::write(ByteView bytes) {
  TENON_ASSERT(fd_ >= 0);
  digest_.crc = crc32c(digest_.crc, bytes);
  digest_.size += bytes.size();
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      disk_error("write", path_, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

Digest OutputFile::close() {
  TENON_ASSERT(fd_ >= 0);
  // Quota and network file systems may report a lost write only here.
  if (::fsync(fd_) != 0 && errno != EINVAL) disk_error("sync", path_, errno);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 && errno != EINTR) disk_error("close", path_, errno);
  return digest_;
}

void sync_folder(const fs::path& folder) {
  const Descriptor dir{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd < 0) disk_error("open", folder, errno);
  // Some network file systems cannot sync a folder; their renames are durable by themselves.
  if (::fsync(dir.fd) != 0 && errno != EINVAL && errno != ENOTSUP)
    disk_error("sync", folder, errno);
}

void rename_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    disk_error(fmt::format("rename '{}' to", from.string()), to, errno);
}

void write_file_atomic(const fs::path& path, ByteView bytes) {
  fs::path temporary = path;
  temporary += fmt::format(".tmp-{}", ::getpid());
  try {
    OutputFile file(temporary);
    file.write(bytes);
    file.close();
    rename_path(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path().empty() ? fs::path(".") : path.parent_path());
}

void make_folders(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) disk_error("create folder", folder, code.value());
}

std::uint64_t free_space(const fs::path& path) {
  std::error_code code;
  fs::path at = fs::absolute(path, code);
  while (!fs::exists(at, code) && at.has_relative_path()) at = at.parent_path();
  struct statvfs info {};
  if (::statvfs(at.c_str(), &info) != 0) disk_error("query the free space of", at, errno);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

void require_space(const fs::path& path, std::uint64_t bytes, std::string_view what) {
  const std::uint64_t free = free_space(path);
  if (free < bytes)
    throw_hint(ErrorKind::Disk, "free some space or choose another folder",
               "{} needs {}, {} free at '{}'", what, format_bytes(bytes), format_bytes(free),
               path.string());
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace tenon::io
