#include "core/io/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace tenon::io {
namespace {

constexpr int kGzipOnly = 15 + 16;  // window bits: largest window, gzip wrapper

uInt at_most_uint(std::size_t n) {
  return static_cast<uInt>(std::min<std::size_t>(n, std::numeric_limits<uInt>::max()));
}

}  // namespace

bool is_gzip(ByteView bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B;
}

struct GzipReader::State {
  z_stream stream{};
  ByteView rest;  // not yet given to zlib
  std::string name;
  ErrorKind kind;
  bool done = false;
};

GzipReader::GzipReader(ByteView packed, std::string name, ErrorKind kind)
    : state_(std::make_unique<State>()) {
  state_->rest = packed;
  state_->name = std::move(name);
  state_->kind = kind;
  check(is_gzip(packed), kind, "{}: not gzip data", state_->name);
  TENON_ASSERT(inflateInit2(&state_->stream, kGzipOnly) == Z_OK);
}

GzipReader::~GzipReader() {
  inflateEnd(&state_->stream);
}

std::size_t GzipReader::read(std::span<std::uint8_t> out) {
  State& s = *state_;
  z_stream& z = s.stream;
  std::size_t filled = 0;
  // Once more with no room left would be needed only to see the trailer; callers that want it
  // checked ask for one byte more than they expect.
  while (filled < out.size() && !s.done) {
    if (z.avail_in == 0) {
      z.next_in = const_cast<Bytef*>(s.rest.data());
      z.avail_in = at_most_uint(s.rest.size());
      s.rest = s.rest.subspan(z.avail_in);
    }
    const uInt room = at_most_uint(out.size() - filled);
    z.next_out = out.data() + filled;
    z.avail_out = room;
    const int code = inflate(&z, Z_NO_FLUSH);
    filled += room - z.avail_out;
    if (code == Z_STREAM_END) {
      const std::size_t left = z.avail_in + s.rest.size();
      const ByteView next = left ? ByteView(z.next_in, left) : ByteView();
      s.done = !is_gzip(next);  // zero padding may follow, as gzip itself allows
      if (!s.done) inflateReset(&z);
    } else if (code == Z_BUF_ERROR && z.avail_in == 0 && s.rest.empty()) {
      throw_error(s.kind, "{}: gzip data is cut", s.name);
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      throw_error(s.kind, "{}: gzip data is damaged: {}", s.name, z.msg ? z.msg : "unknown reason");
    }
  }
  return filled;
}

ByteBuffer gunzip(ByteView packed, const std::string& name, std::uint64_t limit, ErrorKind kind) {
  GzipReader in(packed, name, kind);
  ByteBuffer out;
  for (std::size_t filled = 0;;) {
    // Growing by what is there keeps a small hostile file from asking for the whole limit at once.
    const std::uint64_t room = std::max<std::uint64_t>(filled, 1 << 16);
    out.resize(std::min<std::uint64_t>(filled + room, limit + 1));
    const std::size_t got = in.read(std::span(out).subspan(filled));
    const bool full = got == out.size() - filled;
    filled += got;
    check(filled <= limit, kind, "{}: unpacks to more than {} bytes", name, limit);
    if (!full) {
      out.resize(filled);
      return out;
    }
  }
}

ByteBuffer gzip(ByteView bytes, int level) {
  z_stream z{};
  TENON_ASSERT(deflateInit2(&z, level, Z_DEFLATED, kGzipOnly, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  ByteBuffer out(deflateBound(&z, static_cast<uLong>(bytes.size())));
  z.next_in = const_cast<Bytef*>(bytes.data());
  z.avail_in = at_most_uint(bytes.size());
  z.next_out = out.data();
  z.avail_out = at_most_uint(out.size());
  const int code = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  TENON_ASSERT(code == Z_STREAM_END);
  return out;
}

}  // namespace tenon::io
