// zip archives (zip64, stored and deflated entries) by libzip.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/io/file.h"

namespace tenon::io {

struct ZipEntry {
  std::string name;
  std::uint64_t size = 0;    // unpacked bytes, as the directory says
  std::uint64_t offset = 0;  // number of the entry in the archive
};

// Reads from any number of threads: a libzip handle serves one thread at a time, so there is a pool
// of them that grows to as many as are used at once.
class ZipArchive {
 public:
  explicit ZipArchive(fs::path path, ErrorKind kind = ErrorKind::Data);
  // An archive in memory; `bytes` must outlive it.
  ZipArchive(ByteView bytes, std::string name, ErrorKind kind = ErrorKind::Data);
  ~ZipArchive();
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  const std::string& name() const { return name_; }
  // Files only, in archive order; a name that occurs twice is an error.
  const std::vector<ZipEntry>& entries() const { return entries_; }

  // The unpacked entry, checked against size and checksum; refuses more than `limit` bytes.
  ByteBuffer read(const ZipEntry& entry, std::uint64_t limit = 256 << 20) const;

 private:
  struct Pool;
  void list();

  std::string name_;
  ErrorKind kind_;
  std::unique_ptr<Pool> pool_;
  std::vector<ZipEntry> entries_;
};

// Writes an archive of stored (not compressed) entries, as EDM wants: stored PNG decode fastest.
void write_zip(const fs::path& path,
               const std::vector<std::pair<std::string, ByteBuffer>>& entries);

}  // namespace tenon::io
