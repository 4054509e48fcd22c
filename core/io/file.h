// Whole-file reads, atomic writes, and the error texts of the file system.
//
// Every failure becomes an Error: writing failures have kind Disk (no space, quota, permission),
// reading failures the kind the caller names (Data by default).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/bytes.h"

namespace tenon::io {

namespace fs = std::filesystem;

// The candidate nearest to `word` by edit distance, or "" when none is near enough to be a typo.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

// An Error "<what>: no file or folder 'x'", with the nearest name in that folder as its hint.
Error not_found(const fs::path& path, std::string_view what, ErrorKind kind = ErrorKind::Data);

// The whole file; refuses files above `limit` bytes before allocating.
ByteBuffer read_file(const fs::path& path, std::uint64_t limit = std::uint64_t{1} << 31,
                     ErrorKind kind = ErrorKind::Data);

// Size in bytes and CRC-32C of what a file holds.
struct Digest {
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
  bool operator==(const Digest&) const = default;
};

Digest digest_file(const fs::path& path, ErrorKind kind = ErrorKind::Data);

// A new file written front to back. close() syncs it to disk and returns its digest; a file that is
// destroyed without close() stays as it is (callers write under a temporary name).
class OutputFile {
 public:
  explicit OutputFile(fs::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(ByteView bytes);
  void write(std::string_view text) { write(as_bytes(text)); }
  Digest close();

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  int fd_ = -1;
  Digest digest_;
};

// Makes renames and new names inside `folder` durable.
void sync_folder(const fs::path& folder);

// Rename, replacing `to` if it is a file; Disk error when it fails.
void rename_path(const fs::path& from, const fs::path& to);

// Readers see the old content or the new, never a part: temporary file, sync, rename, sync.
void write_file_atomic(const fs::path& path, ByteView bytes);
inline void write_file_atomic(const fs::path& path, std::string_view text) {
  write_file_atomic(path, as_bytes(text));
}

// mkdir -p with a Disk error.
void make_folders(const fs::path& folder);

// Bytes an unprivileged process may still write where `path` (or its nearest existing parent) is.
std::uint64_t free_space(const fs::path& path);

// Throws a Disk error "<what> needs 9.8 GiB, 3.1 GiB free at PATH" when there is not enough.
void require_space(const fs::path& path, std::uint64_t bytes, std::string_view what);

// "512 B", "3.1 GiB".
std::string format_bytes(std::uint64_t bytes);

}  // namespace tenon::io
