#include "core/io/checkpoint_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/io/json_reader.h"

namespace tenon::io {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::uint64_t kMaxManifest = 64 << 20;

bool plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

// Gives a folder a name under which no reader takes it, then removes it: a removal that is cut in
// the middle can never look like a checkpoint.
void remove_folder(const fs::path& folder) {
  std::error_code ignored;
  fs::path doomed = folder;
  if (folder.filename().string().find(".tmp-") == std::string::npos) {
    doomed += fmt::format(".tmp-del-{}", ::getpid());
    rename_path(folder, doomed);
  }
  fs::remove_all(doomed, ignored);
}

// Swaps two folders in one step where the kernel and the file system can.
bool exchange(const fs::path& a, const fs::path& b) {
#ifdef RENAME_EXCHANGE
  return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
#else
  (void)a, (void)b;
  return false;
#endif
}

std::string read_pointer(const fs::path& file) {
  std::error_code code;
  if (!fs::is_regular_file(file, code)) return {};
  const ByteBuffer bytes = read_file(file, 4096, ErrorKind::Checkpoint);
  std::string name(as_text(bytes));
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  return checkpoint_step(name) ? name : std::string();
}

bool is_valid(const fs::path& folder, Verify verify) {
  try {
    verify_checkpoint(folder, verify);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<fs::path> entries(const fs::path& root) {
  std::vector<fs::path> out;
  std::error_code code;
  for (fs::directory_iterator it(root, code), end; !code && it != end; it.increment(code))
    out.push_back(it->path());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::string checkpoint_name(std::int64_t step) {
  std::string digits = std::to_string(step);
  if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
  return std::string(kPrefix) + digits;
}

std::optional<std::int64_t> checkpoint_step(std::string_view name) {
  if (name.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::int64_t step = 0;
  const auto result = std::from_chars(name.data(), name.data() + name.size(), step);
  if (result.ec != std::errc() || result.ptr != name.data() + name.size() || step < 0)
    return std::nullopt;
  return step;
}

Manifest verify_checkpoint(const fs::path& folder, Verify verify) {
  constexpr ErrorKind kind = ErrorKind::Checkpoint;
  std::error_code code;
  if (!fs::is_directory(folder, code)) throw not_found(folder, "checkpoint", kind);
  const fs::path file = folder / kManifestName;
  check(fs::exists(file, code), kind, "'{}' has no {}: not a checkpoint, or one cut while saving",
        folder.string(), kManifestName);
  const ByteBuffer bytes = read_file(file, kMaxManifest, kind);
  JsonReader in(as_text(bytes), file.string(), kind);
  Manifest manifest;
  in.object([&](const std::string& key) {
    if (key != "files") return in.skip();
    in.object([&](const std::string& name) {
      if (!plain_file_name(name)) in.fail("not a plain file name");
      Digest& digest = manifest[name];
      in.object([&](const std::string& field) {
        if (field == "size") {
          digest.size = in.unsigned_integer();
        } else if (field == "crc32c") {
          digest.crc = static_cast<std::uint32_t>(in.unsigned_integer());
        } else {
          in.skip();
        }
      });
    });
  });
  in.finish();
  check(!manifest.empty(), kind, "{} lists no files", file.string());
  for (const auto& [name, want] : manifest) {
    const fs::path path = folder / name;
    const std::uint64_t size = fs::file_size(path, code);
    check(!code, kind, "'{}' is in the manifest but not in the folder", path.string());
    check(size == want.size, kind, "'{}' has {} bytes, the manifest says {}", path.string(), size,
          want.size);
    if (verify == Verify::Full)
      check(digest_file(path, kind) == want, kind, "'{}' is damaged: its checksum does not fit",
            path.string());
  }
  return manifest;
}

CheckpointWriter::CheckpointWriter(fs::path root, std::int64_t step, Stage on_stage)
    : root_(std::move(root)), step_(step), on_stage_(std::move(on_stage)) {
  temporary_ = root_ / fmt::format("{}.tmp-{}", checkpoint_name(step), ::getpid());
  make_folders(root_);
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  make_folders(temporary_);
  stage("created");
}

CheckpointWriter::~CheckpointWriter() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void CheckpointWriter::write(const std::string& name,
                             const std::function<void(OutputFile&)>& fill) {
  TENON_ASSERT(plain_file_name(name) && name != kManifestName && !manifest_.count(name));
  OutputFile file(temporary_ / name);
  stage("opened");
  fill(file);
  stage("written");
  manifest_[name] = file.close();
  stage("synced");
}

void CheckpointWriter::write(const std::string& name, std::string_view text) {
  write(name, [&](OutputFile& file) { file.write(text); });
}

void CheckpointWriter::adopt(const std::string& name) {
  TENON_ASSERT(plain_file_name(name) && name != kManifestName);
  manifest_[name] = digest_file(temporary_ / name, ErrorKind::Checkpoint);
}

fs::path CheckpointWriter::commit() {
  TENON_ASSERT(!committed_);
  std::string files;
  for (const auto& [name, digest] : manifest_)
    files += fmt::format("{}\n    {}: {{\"size\": {}, \"crc32c\": {}}}", files.empty() ? "" : ",",
                         json_quote(name), digest.size, digest.crc);
  OutputFile manifest(temporary_ / kManifestName);
  stage("manifest-opened");
  manifest.write(fmt::format(
      "{{\n  \"version\": 1,\n  \"step\": {},\n  \"files\": {{{}\n  }}\n}}\n", step_, files));
  manifest.close();
  sync_folder(temporary_);
  stage("manifest-synced");

  const fs::path final_path = root_ / checkpoint_name(step_);
  std::error_code code;
  if (fs::exists(final_path, code)) {
    if (exchange(temporary_, final_path)) {
      stage("exchanged");
    } else {
      // clean_checkpoint_leftovers() moves the old one back if we die between the two renames.
      fs::path old = final_path;
      old += ".old";
      fs::remove_all(old, code);
      rename_path(final_path, old);
      stage("old-moved");
      rename_path(temporary_, final_path);
      remove_folder(old);
    }
  } else {
    rename_path(temporary_, final_path);
  }
  committed_ = true;
  sync_folder(root_);
  stage("renamed");
  set_checkpoint_pointer(root_, "latest", step_);
  stage("latest");
  fs::remove_all(temporary_, code);  // the replaced one, if any
  return final_path;
}

std::vector<CheckpointInfo> list_checkpoints(const fs::path& root) {
  std::vector<CheckpointInfo> out;
  for (const fs::path& path : entries(root)) {
    const auto step = checkpoint_step(path.filename().string());
    if (step && is_valid(path, Verify::Sizes)) out.push_back({*step, path});
  }
  std::sort(out.begin(), out.end(),
            [](const CheckpointInfo& a, const CheckpointInfo& b) { return a.step < b.step; });
  return out;
}

std::optional<CheckpointInfo> find_checkpoint(const fs::path& root, const std::string& name) {
  const std::string target = read_pointer(root / name);
  if (!target.empty() && is_valid(root / target, Verify::Full))
    return CheckpointInfo{*checkpoint_step(target), root / target};
  if (name != "latest") return std::nullopt;
  const std::vector<CheckpointInfo> all = list_checkpoints(root);
  for (auto it = all.rbegin(); it != all.rend(); ++it)
    if (is_valid(it->path, Verify::Full)) return *it;
  return std::nullopt;
}

void set_checkpoint_pointer(const fs::path& root, const std::string& name, std::int64_t step) {
  write_file_atomic(root / name, checkpoint_name(step) + "\n");
}

void prune_checkpoints(const fs::path& root, int keep, std::int64_t keep_every) {
  if (keep <= 0) return;
  std::vector<CheckpointInfo> all = list_checkpoints(root);
  std::vector<std::string> named;
  for (const fs::path& path : entries(root))
    if (std::string target = read_pointer(path); !target.empty())
      named.push_back(std::move(target));
  const auto is_protected = [&](const CheckpointInfo& c) {
    return (keep_every > 0 && c.step % keep_every == 0) ||
           std::find(named.begin(), named.end(), c.path.filename().string()) != named.end();
  };
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < all.size(); ++i)
    if (!is_protected(all[i])) remove_folder(all[i].path);
}

void clean_checkpoint_leftovers(const fs::path& root) {
  std::error_code code;
  for (const fs::path& path : entries(root)) {
    const std::string name = path.filename().string();
    if (name.find(".tmp-") != std::string::npos) {
      fs::remove_all(path, code);
    } else if (name.size() > 4 && name.ends_with(".old") &&
               checkpoint_step(name.substr(0, name.size() - 4))) {
      const fs::path original = root / name.substr(0, name.size() - 4);
      if (is_valid(original, Verify::Sizes)) {
        fs::remove_all(path, code);
      } else {
        if (fs::exists(original, code)) remove_folder(original);
        rename_path(path, original);
      }
    }
  }
}

}  // namespace tenon::io
