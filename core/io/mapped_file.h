// A file mapped read-only into memory.
#pragma once

#include <memory>

#include "core/io/file.h"

namespace tenon::io {

// The mapping lives as long as the object; share it (std::shared_ptr) with whatever points into it.
// A file that another process shortens while it is mapped would kill the reader with SIGBUS, so
// programs of this project never overwrite files, they rename new ones over them.
class MappedFile {
 public:
  explicit MappedFile(fs::path path, ErrorKind kind = ErrorKind::Data);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  ByteView bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace tenon::io
