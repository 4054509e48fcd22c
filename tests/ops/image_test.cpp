// Resampling against reference files and against PyTorch's numbers.
#include <cstdlib>
#include <filesystem>

#include "autograd/mode.h"
#include "core/io/safetensors.h"
#include "core/io/tensor_io.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

double worst(const Tensor& got, const std::vector<double>& want) {
  const Tensor reference = Tensor::from(want, got.sizes());
  return difference(got, reference).max_abs;
}

// sin(1.7 i) as a 3 x 4 picture.
Tensor picture() {
  std::vector<double> values;
  for (int i = 0; i < 12; ++i) values.push_back(std::sin(1.7 * i));
  return Tensor::from(values, {1, 1, 3, 4});
}

}  // namespace

TEST_CASE("fir_resample agrees with the reference file", "[image]") {
  const char* root = std::getenv("TENON_GOLDENS");
  const std::filesystem::path path =
      std::filesystem::path(root ? root : "") / "qac" / "ops.safetensors";
  if (!root || !std::filesystem::exists(path))
    TENON_SKIP("TENON_GOLDENS names no folder with qac/ops.safetensors");
  const io::SafetensorsReader file(path, ErrorKind::Data);
  const auto at = [&](const char* key) { return io::read_tensor(file.at(key), ErrorKind::Data); };
  const Tensor x = at("input.x");
  const std::vector<double> mean{1, 1}, binomial{1, 3, 3, 1};
  for (const bool last : {false, true}) {
    const Tensor in = last ? channels_last(x) : x;
    CHECK(difference(fir_resample(in, mean, 2, 1, 0), at("output.fir_up_11")).max_abs < 1e-6);
    CHECK(difference(fir_resample(in, mean, 1, 2, 0), at("output.fir_down_11")).max_abs < 1e-6);
    CHECK(difference(fir_resample(in, binomial, 2, 1, 1), at("output.fir_up_1331")).max_abs < 1e-6);
    CHECK(difference(fir_resample(in, binomial, 1, 2, 1), at("output.fir_down_1331")).max_abs <
          1e-6);
    CHECK(fir_resample(in, mean, 2, 1, 0).is_channels_last() == last);
  }
}

TEST_CASE("fir_resample: means, doubling and refusals", "[image]") {
  const Tensor x = Tensor::from(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 2, 4});
  CHECK(worst(fir_resample(x, {1, 1}, 1, 2, 0), {3.5, 5.5}) == 0);
  CHECK(worst(fir_resample(Tensor::from(std::vector<double>{1, 2}, {1, 1, 1, 2}), {1, 1}, 2, 1, 0),
              {1, 1, 2, 2, 1, 1, 2, 2}) == 0);
  // One tap of weight 1/8 hangs over the edge on each axis: 8 (7/8)^2.
  CHECK(worst(fir_resample(Tensor::full({1, 1, 4, 4}, 8, DType::f64), {1, 3, 3, 1}, 1, 2, 1),
              {6.125, 6.125, 6.125, 6.125}) < 1e-12);
  REQUIRE_ERROR(fir_resample(x, {1, 1}, 2, 2, 0), ErrorKind::Usage, "fir_resample");
  REQUIRE_ERROR(fir_resample(x, {1, -1}, 1, 2, 0), ErrorKind::Usage, "sum");
  REQUIRE_ERROR(fir_resample(x, {}, 1, 2, 0), ErrorKind::Usage, "taps");
  REQUIRE_ERROR(fir_resample(x, {1, 3, 3, 1}, 1, 2, 0), ErrorKind::Usage, "nothing is left");
  REQUIRE_ERROR(fir_resample(x, {1, 1}, 1, 2, 2), ErrorKind::Usage, "padding");
}

TEST_CASE("interpolate and avg_pool2d agree with PyTorch 2", "[image]") {
  const Tensor x = picture();
  const double close = 1e-8;
  CHECK(worst(interpolate(x, 2, 7, Interpolation::Bilinear),
              {0.12352834, 0.41632907, 0.88481024, 0.28837294, -0.40107241, -0.67665572,
               -0.84889529, 0.7678997, 0.6712131, 0.51651453, -0.19941979, -0.85103584, -0.49118828,
               -0.26628355}) < close);
  CHECK(worst(interpolate(x, 5, 3, Interpolation::Bicubic),
              {0.12559101, 0.56742284, -0.8700283, 0.30092635, 0.3818223, -0.80186275, 0.56380985,
               0.07017835, -0.65588119, 0.74716757, -0.25136429, -0.41738713, 0.8406208,
               -0.44715684, -0.25396796}) < close);
  CHECK(worst(interpolate(x, 2, 2, Interpolation::Bilinear, true),
              {0.41305441, -0.39694031, 0.42080944, -0.4310516}) < close);
  CHECK(worst(interpolate(x, 2, 3, Interpolation::Bicubic, true),
              {0.4281992, 0.31271962, -0.80581392, 0.77754543, -0.2075373, -0.52694031}) < close);
  CHECK(worst(interpolate(x, 5, 3, Interpolation::Nearest),
              {0.0, 0.99166481, -0.2555411, 0.0, 0.99166481, -0.2555411, 0.49411335, 0.79848711,
               -0.69987469, 0.49411335, 0.79848711, -0.69987469, 0.85916181, 0.39674057,
               -0.96139749}) < close);
  CHECK(worst(avg_pool2d(x, 3, 2, 1, false), {0.57106632, -0.11820261, 0.63712571, -0.20553011}) <
        close);
  // Lanczos of a constant is that constant, and of the same size the picture itself.
  CHECK(difference(interpolate(x, 3, 4, Interpolation::Lanczos), x).max_abs < 1e-12);
  CHECK(worst(interpolate(Tensor::full({1, 1, 9, 9}, 2, DType::f64), 2, 2, Interpolation::Lanczos),
              {2, 2, 2, 2}) < 1e-12);
  REQUIRE_ERROR(interpolate(x, 0, 3, Interpolation::Nearest), ErrorKind::Usage, "interpolate");
  REQUIRE_ERROR(avg_pool2d(x, 5, 1), ErrorKind::Usage, "avg_pool2d");
}
