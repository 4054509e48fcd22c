// gzip streams by zlib.
#pragma once

#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/io/bytes.h"

namespace tenon::io {

bool is_gzip(ByteView bytes);

// Unpacks piece by piece, so that a caller reads a header, checks it, and only then allocates.
// Handles several members in a row. Cut or damaged data is an error of the given kind.
class GzipReader {
 public:
  // `packed` must outlive the reader.
  GzipReader(ByteView packed, std::string name, ErrorKind kind = ErrorKind::Data);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Fills `out` as far as there is data; fewer bytes than asked mean the end, whose checksum is
  // then verified too.
  std::size_t read(std::span<std::uint8_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The whole content; an error when it is more than `limit` bytes.
ByteBuffer gunzip(ByteView packed, const std::string& name, std::uint64_t limit,
                  ErrorKind kind = ErrorKind::Data);

// For tests and tools.
ByteBuffer gzip(ByteView bytes, int level = 6);

}  // namespace tenon::io
