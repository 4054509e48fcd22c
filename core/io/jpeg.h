// JPEG decoding by libjpeg-turbo, with exceptions instead of longjmp. Limits: see image.h.
#pragma once

#include <string>

#include "core/io/image.h"

namespace tenon::io {

bool is_jpeg(ByteView bytes);

// Grey stays grey, everything else becomes RGB (CMYK is refused). The decoder's default accuracy
// (ISLOW, fancy upsampling): the same pixels as PIL's default. A warning of the decoder, such as a
// premature end, is an error here.
Image decode_jpeg(ByteView bytes, const std::string& name, const ImageLimits& limits = {});

// For tests and tools; quality 1..100, no chroma subsampling.
ByteBuffer encode_jpeg(const Image& image, int quality = 95);

}  // namespace tenon::io
