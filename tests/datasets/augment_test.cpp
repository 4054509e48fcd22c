#include "datasets/augment.h"

#include <cmath>

#include "datasets/affine_resample.h"
#include "tests/support/catch.h"

namespace tenon::data {
namespace {

std::vector<float> pictures(const ImageShape& shape) {
  std::vector<float> out(
      static_cast<std::size_t>(shape.n * shape.channels * shape.height * shape.width));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i)) * 0.9);
  return out;
}

struct Result {
  std::vector<float> images, labels;
};

Result run(const std::vector<float>& in, const ImageShape& shape,
           const std::vector<AugmentDraws>& draws, const AugmentConfig& config) {
  Result r{std::vector<float>(in.size()),
           std::vector<float>(draws.size() * static_cast<std::size_t>(config.label_dim()))};
  augment(in, shape, draws, config, r.images, r.labels);
  return r;
}

// Everything off; the tests switch on what they look at.
AugmentConfig nothing() {
  AugmentConfig config;
  config.p = 1;
  config.xflip = config.yflip = config.scale = config.rotate = config.aniso = config.translate = 0;
  return config;
}

}  // namespace

TEST_CASE("data: augmentation draws depend on seed and position only") {
  const std::vector<std::int64_t> positions = {5, 100, 5};
  const auto draws = draw_augment(1, positions);
  CHECK(draws[0].n_scale == draws[2].n_scale);
  CHECK(draws[0].u_rotv != draws[1].u_rotv);
  CHECK(draw_augment(2, 5).u_scale != draws[0].u_scale);
  double sum = 0, squares = 0, uniform = 0;
  const int n = 4000;
  for (int i = 0; i < n; ++i) {
    const AugmentDraws d = draw_augment(3, i);
    sum += d.n_trans_x;
    squares += d.n_trans_x * d.n_trans_x;
    uniform += d.u_trans;
  }
  CHECK(std::abs(sum / n) < 0.06);
  CHECK(std::abs(squares / n - 1) < 0.1);
  CHECK(std::abs(uniform / n - 0.5) < 0.02);
}

TEST_CASE("data: flips alone move pixels exactly") {
  const ImageShape shape{2, 3, 4, 6};
  const std::vector<float> in = pictures(shape);
  AugmentConfig config = nothing();
  config.xflip = config.yflip = 1;
  std::vector<AugmentDraws> draws(2);
  draws[0].u_xbit = 0.7f;
  draws[1].u_ybit = 0.5f;
  const Result r = run(in, shape, draws, config);
  CHECK(r.labels == std::vector<float>{1, 0, 0, 1});
  for (std::size_t row = 0; row < 12; ++row)
    for (std::size_t x = 0; x < 6; ++x) REQUIRE(r.images[row * 6 + x] == in[row * 6 + 5 - x]);
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t y = 0; y < 4; ++y)
      for (std::size_t x = 0; x < 6; ++x)
        REQUIRE(r.images[72 + (c * 4 + y) * 6 + x] == in[72 + (c * 4 + 3 - y) * 6 + x]);
}

TEST_CASE("data: labels exist only for what is switched on") {
  AugmentConfig config = nothing();
  CHECK(config.label_dim() == 0);
  config.rotate = 1;
  CHECK(config.label_dim() == 2);
  CHECK(AugmentConfig().label_dim() == 9);
  const ImageShape shape{1, 1, 8, 8};
  std::vector<AugmentDraws> draws(1);
  draws[0].u_rotv = 0.75f;  // a quarter turn
  const Result r = run(pictures(shape), shape, draws, config);
  CHECK(std::abs(r.labels[0] + 1) < 1e-6);
  CHECK(std::abs(r.labels[1] - 1) < 1e-6);
}

TEST_CASE("data: p = 0 leaves smooth pictures as they are, apart from the fair mirror") {
  const ImageShape shape{1, 1, 16, 16};
  std::vector<float> in(256);
  for (std::size_t y = 0; y < 16; ++y)
    for (std::size_t x = 0; x < 16; ++x)
      in[y * 16 + x] = static_cast<float>(std::sin(0.3 * static_cast<double>(x)) +
                                          std::cos(0.2 * static_cast<double>(y))) /
                       2;
  AugmentConfig config;
  config.p = 0;
  const Result r = run(in, shape, std::vector<AugmentDraws>(1), config);
  for (const float label : r.labels) CHECK(label == 0);
  for (std::size_t i = 0; i < 256; ++i) CHECK(std::abs(r.images[i] - in[i]) < 0.03);
}

TEST_CASE("data: whole turns and shifts land where they should") {
  const std::int64_t size = 16;
  std::vector<float> in(256);  // one smooth spot
  const auto spot = [](double x, double y) { return std::exp(-(x * x + y * y) / 8); };
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x)
      in[static_cast<std::size_t>(y * 16 + x)] = static_cast<float>(spot(x - 7.5 - 2, y - 7.5));
  const auto check_spot = [&](const std::vector<float>& out, double cx, double cy) {
    for (int y = 3; y < 13; ++y)  // beyond, the mirrored border comes into view
      for (int x = 3; x < 13; ++x) {
        const float want = static_cast<float>(spot(x - 7.5 - cx, y - 7.5 - cy));
        REQUIRE(std::abs(out[static_cast<std::size_t>(y * 16 + x)] - want) < 0.06);
      }
  };
  std::vector<float> out(256);
  const std::vector<Affine> identity(1);
  AffineResampler(size, size, mirror_margins(identity, size, size))
      .run(in.data(), {}, identity[0], out.data());
  check_spot(out, 2, 0);
  // The map goes from the result to the picture: it looks 2 to the right, so the spot moves left.
  const std::vector<Affine> shift = {{1, 0, 2, 0, 1, -1}};
  AffineResampler(size, size, mirror_margins(shift, size, size))
      .run(in.data(), {}, shift[0], out.data());
  check_spot(out, 0, 1);
  const std::vector<Affine> quarter = {{0, -1, 0, 1, 0, 0}};
  AffineResampler(size, size, mirror_margins(quarter, size, size))
      .run(in.data(), {}, quarter[0], out.data());
  check_spot(out, 0, -2);
}

TEST_CASE("data: augmentation does not depend on threads, and extreme draws stay inside") {
  const ImageShape shape{9, 3, 12, 12};
  const std::vector<float> in = pictures(shape);
  AugmentConfig config;
  config.p = 1;
  std::vector<AugmentDraws> draws;
  for (int i = 0; i < 9; ++i) draws.push_back(draw_augment(11, i));
  const Result a = run(in, shape, draws, config), b = run(in, shape, draws, config);
  CHECK(a.images == b.images);
  for (const float v : a.images) REQUIRE(std::isfinite(v));
  // Far outside, hugely enlarged and reduced.
  draws[0].n_trans_x = 1000;
  draws[1].n_scale = 60;
  draws[2].n_scale = -60;
  draws[3].n_aniso = 50;
  const Result c = run(in, shape, draws, config);
  for (const float v : c.images) REQUIRE(std::isfinite(v));
}

TEST_CASE("data: one-pixel and thin pictures augment") {
  for (const ImageShape shape :
       {ImageShape{2, 1, 1, 1}, ImageShape{2, 3, 1, 5}, ImageShape{2, 1, 7, 2}}) {
    AugmentConfig config;
    config.p = 1;
    std::vector<AugmentDraws> draws = {draw_augment(1, 1), draw_augment(1, 2)};
    const Result r = run(pictures(shape), shape, draws, config);
    for (const float v : r.images) REQUIRE(std::isfinite(v));
  }
}

}  // namespace tenon::data
