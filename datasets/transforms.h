// Changes of size, channels and layout, on 8-bit pictures.
#pragma once

#include "core/io/image.h"
#include "datasets/source.h"

namespace tenon::data {

enum class Resample {
  Auto,     // Average where the factor is a whole number, Lanczos otherwise
  Average,  // mean of whole blocks, rounded to nearest
  Lanczos,  // three lobes with antialiasing; the same bytes as PIL's Image.LANCZOS
};

struct FitOptions {
  int resolution = 0;        // 0 keeps the size
  int channels = 0;          // 0 keeps, 1 grey (Rec. 601 luma), 3 RGB (grey repeated)
  bool pad = false;          // smaller pictures get a zero border (28x28 -> 32x32), not enlarged
  bool center_crop = false;  // cut the largest centred square first
  Resample resample = Resample::Auto;
};

// `name` stands in front of errors: a picture that is not square although a resolution is asked
// for.
io::Image fit_image(io::Image image, const FitOptions& options, const std::string& name);

io::Image resize_lanczos(const io::Image& image, int width, int height);
io::Image resize_average(const io::Image& image, int width, int height);  // whole factors only

// Interleaved to planar and back.
void to_chw(const io::Image& image, std::span<std::uint8_t> chw);
io::Image from_chw(std::span<const std::uint8_t> chw, int channels, int height, int width);

// v / 127.5 - 1 for each byte, the scale networks see; rounded once, from double.
void to_network_scale(std::span<const std::uint8_t> bytes, std::span<float> out);

// Mirrors each row of a planar picture in place.
void flip_x(std::span<std::uint8_t> chw, int width);

// ---- sources made of sources ----
// Every picture fitted when it is read.
SourcePtr fit_source(SourcePtr source, const FitOptions& options);
// The first `max_size` of a permutation given by seed, in rising order of their numbers.
SourcePtr limit_source(SourcePtr source, std::int64_t max_size, std::uint64_t seed);
// Twice as many samples: number size() + i is sample i mirrored.
SourcePtr mirror_source(SourcePtr source);

}  // namespace tenon::data
