#include "core/io/png.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <memory>

namespace tenon::io {
namespace {

// libpng reports errors by longjmp. Every function that can be jumped out of works only on one of
// these, whose destructor stands outside the jump, so nothing is leaked or skipped.
struct Session {
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool writing = false;
  char message[256] = "";

  ByteView in;
  std::size_t at = 0;
  ByteBuffer out;

  const Image* source = nullptr;
  const ImageLimits* limits = nullptr;
  std::vector<png_bytep> rows;
  std::vector<png_text> texts;
  int zlib_level = 6;
  Image image;

  ~Session() {
    if (!png) return;
    if (writing) {
      png_destroy_write_struct(&png, &info);
    } else {
      png_destroy_read_struct(&png, &info, nullptr);
    }
  }
};

void on_error(png_structp png, png_const_charp text) {
  auto* session = static_cast<Session*>(png_get_error_ptr(png));
  std::snprintf(session->message, sizeof session->message, "%s", text);
  png_longjmp(png, 1);
}

// Warnings about colour profiles and the like say nothing about the pixels. Damage of the pixels
// (check sums, missing data) is an error already, since no "benign" errors are allowed below.
void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t n) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  if (n > session->in.size() - session->at) png_error(png, "the file is cut");
  std::memcpy(to, session->in.data() + session->at, n);
  session->at += n;
}

void write_bytes(png_structp png, png_bytep from, size_t n) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  session->out.insert(session->out.end(), from, from + n);
}

void flush_bytes(png_structp) {}

// Runs `step` and reports whether libpng jumped out of it. `step` must not own anything.
bool guarded(Session& session, void (*step)(Session&)) {
  if (setjmp(png_jmpbuf(session.png))) return false;
  step(session);
  return true;
}

void read_header(Session& s) {
  png_set_benign_errors(s.png, 0);
  // CRC errors of the pixel chunks are errors, of the others reason enough to ignore the chunk.
  png_set_crc_action(s.png, PNG_CRC_ERROR_QUIT, PNG_CRC_QUIET_USE);
  png_set_user_limits(s.png, static_cast<png_uint_32>(s.limits->max_side),
                      static_cast<png_uint_32>(s.limits->max_side));
  // Colour profiles, texts and dates say nothing about the pixels; an odd one must not refuse them.
  png_set_keep_unknown_chunks(s.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_chunk_cache_max(s.png, 128);
  png_set_chunk_malloc_max(s.png, 8 << 20);
  png_set_read_fn(s.png, &s, read_bytes);
  png_read_info(s.png, s.info);
  png_set_expand(s.png);  // palettes, 1, 2 and 4 bits, transparency
  png_set_strip_16(s.png);
  png_set_strip_alpha(s.png);
  png_set_interlace_handling(s.png);
  png_read_update_info(s.png, s.info);
}

void read_pixels(Session& s) {
  png_read_image(s.png, s.rows.data());
  png_read_end(s.png, nullptr);
}

void write_all(Session& s) {
  const Image& image = *s.source;
  png_set_write_fn(s.png, &s, write_bytes, flush_bytes);
  png_set_compression_level(s.png, s.zlib_level);
  if (s.zlib_level == 0) png_set_filter(s.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_set_IHDR(s.png, s.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!s.texts.empty())
    png_set_text(s.png, s.info, s.texts.data(), static_cast<int>(s.texts.size()));
  png_write_info(s.png, s.info);
  png_write_image(s.png, s.rows.data());
  png_write_end(s.png, nullptr);
}

void set_rows(Session& s, const std::uint8_t* pixels, int height, std::size_t row_bytes) {
  s.rows.resize(static_cast<std::size_t>(height));
  for (std::size_t y = 0; y < s.rows.size(); ++y)
    s.rows[y] = const_cast<png_bytep>(pixels + y * row_bytes);
}

}  // namespace

bool is_png(ByteView bytes) {
  return bytes.size() >= 8 && png_sig_cmp(bytes.data(), 0, 8) == 0;
}

Image decode_png(ByteView bytes, const std::string& name, const ImageLimits& limits) {
  constexpr ErrorKind kind = ErrorKind::Data;
  check(is_png(bytes), kind, "{}: not a PNG picture", name);
  Session s;
  s.in = bytes;
  s.limits = &limits;
  s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
  TENON_ASSERT(s.png != nullptr);
  s.info = png_create_info_struct(s.png);
  TENON_ASSERT(s.info != nullptr);
  check(guarded(s, read_header), kind, "{}: damaged PNG picture: {}", name, s.message);
  const png_uint_32 width = png_get_image_width(s.png, s.info);
  const png_uint_32 height = png_get_image_height(s.png, s.info);
  check_image_size(width, height, name, limits);
  const int channels = png_get_channels(s.png, s.info);
  const std::size_t row_bytes = png_get_rowbytes(s.png, s.info);
  check((channels == 1 || channels == 3) && row_bytes == std::size_t{width} * channels, kind,
        "{}: PNG picture with {} channels, want grey or RGB", name, channels);
  s.image = {static_cast<int>(width), static_cast<int>(height), channels,
             ByteBuffer(row_bytes * height)};
  set_rows(s, s.image.pixels.data(), s.image.height, row_bytes);
  check(guarded(s, read_pixels), kind, "{}: damaged PNG picture: {}", name, s.message);
  return std::move(s.image);
}

ByteBuffer encode_png(const Image& image, const PngOptions& options) {
  TENON_ASSERT(image.channels == 1 || image.channels == 3);
  const std::size_t row_bytes =
      static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
  TENON_ASSERT(image.pixels.size() == row_bytes * static_cast<std::size_t>(image.height));
  Session s;
  s.writing = true;
  s.source = &image;
  s.zlib_level = options.zlib_level;
  s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
  TENON_ASSERT(s.png != nullptr);
  s.info = png_create_info_struct(s.png);
  TENON_ASSERT(s.info != nullptr);
  for (const auto& [key, value] : options.text) {
    png_text text{};
    text.compression = PNG_TEXT_COMPRESSION_NONE;
    text.key = const_cast<char*>(key.c_str());
    text.text = const_cast<char*>(value.c_str());
    text.text_length = value.size();
    s.texts.push_back(text);
  }
  set_rows(s, image.pixels.data(), image.height, row_bytes);
  check(guarded(s, write_all), ErrorKind::Internal, "internal: cannot write a PNG picture: {}",
        s.message);
  return std::move(s.out);
}

}  // namespace tenon::io
