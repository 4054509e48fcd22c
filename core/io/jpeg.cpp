#include "core/io/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// jpeglib.h needs size_t and FILE declared before.
#include <jpeglib.h>

namespace tenon::io {
namespace {

// A progressive file may hold any number of scans over the same pixels; a real one has about ten.
constexpr int kMaxScans = 200;

// All that must survive a longjmp (as in png.cpp).
struct Errors {
  jpeg_error_mgr base;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// Level -1 is a warning about the data: the pixels that follow are guesses.
void on_message(j_common_ptr info, int level) {
  if (level < 0) on_error(info);
}

void on_progress(j_common_ptr info) {
  auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<Errors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

void set_up(Errors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  errors.base.emit_message = on_message;
  errors.progress = {};
  errors.progress.progress_monitor = on_progress;
}

struct Decoder {
  Errors errors;
  jpeg_decompress_struct info{};
  bool created = false;
  ByteView in;
  Image image;

  ~Decoder() {
    if (created) jpeg_destroy_decompress(&info);
  }
};

bool guarded(Decoder& d, void (*step)(Decoder&)) {
  if (setjmp(d.errors.jump)) return false;
  step(d);
  return true;
}

void read_header(Decoder& d) {
  jpeg_create_decompress(&d.info);
  d.created = true;
  d.info.progress = &d.errors.progress;
  d.info.mem->max_memory_to_use = 1L << 30;
  jpeg_mem_src(&d.info, const_cast<unsigned char*>(d.in.data()),
               static_cast<unsigned long>(d.in.size()));
  jpeg_read_header(&d.info, TRUE);
}

void read_pixels(Decoder& d) {
  jpeg_start_decompress(&d.info);
  const std::size_t row_bytes = static_cast<std::size_t>(d.info.output_width) *
                                static_cast<std::size_t>(d.info.output_components);
  while (d.info.output_scanline < d.info.output_height) {
    JSAMPROW row = d.image.pixels.data() + d.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&d.info, &row, 1);
  }
  jpeg_finish_decompress(&d.info);
}

struct Encoder {
  Errors errors;
  jpeg_compress_struct info{};
  bool created = false;
  const Image* image = nullptr;
  int quality = 95;
  unsigned char* out = nullptr;
  unsigned long size = 0;

  ~Encoder() {
    if (created) jpeg_destroy_compress(&info);
    std::free(out);
  }
};

bool guarded(Encoder& e, void (*step)(Encoder&)) {
  if (setjmp(e.errors.jump)) return false;
  step(e);
  return true;
}

void write_all(Encoder& e) {
  jpeg_create_compress(&e.info);
  e.created = true;
  jpeg_mem_dest(&e.info, &e.out, &e.size);
  e.info.image_width = static_cast<JDIMENSION>(e.image->width);
  e.info.image_height = static_cast<JDIMENSION>(e.image->height);
  e.info.input_components = e.image->channels;
  e.info.in_color_space = e.image->channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&e.info);
  jpeg_set_quality(&e.info, e.quality, TRUE);
  e.info.comp_info[0].h_samp_factor = e.info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&e.info, TRUE);
  const std::size_t row_bytes =
      static_cast<std::size_t>(e.image->width) * static_cast<std::size_t>(e.image->channels);
  while (e.info.next_scanline < e.info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(e.image->pixels.data() + e.info.next_scanline * row_bytes);
    jpeg_write_scanlines(&e.info, &row, 1);
  }
  jpeg_finish_compress(&e.info);
}

}  // namespace

bool is_jpeg(ByteView bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

Image decode_jpeg(ByteView bytes, const std::string& name, const ImageLimits& limits) {
  constexpr ErrorKind kind = ErrorKind::Data;
  check(is_jpeg(bytes), kind, "{}: not a JPEG picture", name);
  Decoder d;
  set_up(d.errors);
  d.info.err = &d.errors.base;
  d.in = bytes;
  check(guarded(d, read_header), kind, "{}: damaged JPEG picture: {}", name, d.errors.message);
  check_image_size(d.info.image_width, d.info.image_height, name, limits);
  const bool grey = d.info.jpeg_color_space == JCS_GRAYSCALE;
  check(grey || d.info.jpeg_color_space == JCS_RGB || d.info.jpeg_color_space == JCS_YCbCr, kind,
        "{}: JPEG picture with {} colour components (CMYK?), want grey or RGB", name,
        d.info.num_components);
  d.info.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  d.image.width = static_cast<int>(d.info.image_width);
  d.image.height = static_cast<int>(d.info.image_height);
  d.image.channels = grey ? 1 : 3;
  d.image.pixels.resize(std::size_t{d.info.image_width} * d.info.image_height * (grey ? 1 : 3));
  check(guarded(d, read_pixels), kind, "{}: damaged JPEG picture: {}", name, d.errors.message);
  return std::move(d.image);
}

ByteBuffer encode_jpeg(const Image& image, int quality) {
  Encoder e;
  set_up(e.errors);
  e.info.err = &e.errors.base;
  e.image = &image;
  e.quality = quality;
  check(guarded(e, write_all), ErrorKind::Internal, "internal: cannot write a JPEG picture: {}",
        e.errors.message);
  return {e.out, e.out + e.size};
}

}  // namespace tenon::io
