// An 8-bit picture as the codecs read and write it.
#pragma once

#include "core/base/error.h"
#include "core/io/bytes.h"

namespace tenon::io {

// pixels[(y * width + x) * channels + c]: interleaved, row by row; channels is 1 (grey) or 3 (RGB).
struct Image {
  int width = 0, height = 0, channels = 0;
  ByteBuffer pixels;
};

// What a decoder accepts, checked before the pixels are allocated.
struct ImageLimits {
  int max_side = 32768;
  std::uint64_t max_pixels = 1 << 28;
};

// Decodes PNG or JPEG by its first bytes. Alpha is dropped, 16 bits become 8, palettes become RGB.
// A damaged or cut file, also one a decoder would only warn about, is a Data error that starts with
// `name`.
Image decode_image(ByteView bytes, const std::string& name, const ImageLimits& limits = {});

// ".png", ".jpg", ".jpeg" in any case.
bool is_image_name(std::string_view name);

// Throws when a size is 0 or above the limits.
void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name,
                      const ImageLimits& limits);

}  // namespace tenon::io
