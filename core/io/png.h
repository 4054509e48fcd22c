// PNG by libpng, with exceptions instead of longjmp. Formats and limits: see image.h.
#pragma once

#include <map>
#include <string>

#include "core/io/image.h"

namespace tenon::io {

bool is_png(ByteView bytes);

Image decode_png(ByteView bytes, const std::string& name, const ImageLimits& limits = {});

struct PngOptions {
  int zlib_level = 6;                       // 0 stores, as EDM archives want
  std::map<std::string, std::string> text;  // keyword (1..79 bytes) -> text, as tEXt chunks
};

ByteBuffer encode_png(const Image& image, const PngOptions& options = {});

}  // namespace tenon::io
