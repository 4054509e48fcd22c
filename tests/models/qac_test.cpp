// QAC: codes, the encoder's statistics, solvers' counts and refusals, sampling by seed.
#include <numeric>

#include "models/qac/sampling.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

qac::ModelConfig tiny() {
  qac::ModelConfig c;
  c.unet = {.img_resolution = 8,
            .in_channels = 1,
            .out_channels = 1,
            .augment_dim = 0,
            .model_channels = 8,
            .channel_mult = {1, 2},
            .num_blocks = 1,
            .attn_resolutions = {4},
            .dropout = 0.5};
  c.encoder = {.width = 8, .mults = {1, 2}, .code_dim = 4};
  return c;
}

std::vector<int64_t> seeds(int64_t first, int64_t count) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

qac::GridConfig grid(const char* kind, std::vector<double> levels = {}) {
  qac::GridConfig g;
  g.kind = kind;
  g.levels = std::move(levels);
  return g;
}

}  // namespace

TEST_CASE("codes and condition vectors turn into each other") {
  for (const int64_t levels : {2, 3, 5}) {
    std::vector<int64_t> all;
    for (int64_t code = 0; code < levels * levels * levels; ++code) all.push_back(code);
    const Tensor q = qac::code_vectors(all, 3, levels);
    CHECK(q.sizes() == Dims{static_cast<int64_t>(all.size()), 3});
    CHECK(qac::code_index(q, levels) == all);
    for (const float x : q.to_vector<float>()) CHECK(std::abs(x) <= 1);
  }
  CHECK(qac::code_vectors({1}, 3, 2).to_vector<float>() == std::vector<float>{1, -1, -1});
  REQUIRE_ERROR(qac::code_vectors({8}, 3, 2), ErrorKind::Data, "too large for 3 dimensions");
  REQUIRE_ERROR(qac::code_vectors({-1}, 3, 2), ErrorKind::Data, "negative");
}

TEST_CASE("code statistics count what is there") {
  const qac::CodeStatistics s = qac::code_statistics({3, 0, 3, 1}, 2, 2);
  CHECK(s.used == 3);
  CHECK(s.values == std::vector<int64_t>{0, 1, 3});
  CHECK(s.counts == std::vector<int64_t>{1, 1, 2});
  CHECK(s.entropy_bits == Catch::Approx(1.5));
  REQUIRE(s.mean.size() == 2);
  CHECK(s.mean[0] == Catch::Approx(0.5));
  CHECK(s.mean[1] == Catch::Approx(0.0));
}

TEST_CASE("the encoder standardises by the batch and remembers") {
  nn::Module root;
  qac::ConditionEncoder encoder(
      &root, "encoder",
      {.img_resolution = 8, .in_channels = 1, .width = 8, .mults = {1, 2}, .code_dim = 4});
  nn::initialise(root, 3);
  const Tensor y = random_normal({16, 1, 8, 8}, RngKey{5});
  const NoGrad off;
  const Tensor h = encoder.logits(y);
  REQUIRE(h.sizes() == Dims{16, 4});
  const auto v = h.to_vector<double>();
  for (size_t j = 0; j < 4; ++j) {
    double mean = 0, square = 0;
    for (size_t i = j; i < v.size(); i += 4) {
      mean += v[i] / 16;
      square += v[i] * v[i] / 16;
    }
    CHECK(mean == Catch::Approx(0).margin(1e-4));
    CHECK(square == Catch::Approx(1).epsilon(1e-2));
  }
  for (const float q : encoder.quantise(h).to_vector<float>()) CHECK(std::abs(q) == 1);

  // In evaluation the running statistics count, whatever the batch.
  root.set_training(false);
  encoder.set_statistics({0, 0, 0, 0}, {1, 1, 1, 1});
  const Difference d = difference(encoder.logits(y), encoder.raw_logits(y));
  CHECK(d.relative() < 1e-4);
  const Tensor part = encoder.logits(y.narrow_view(0, 0, 3));
  CHECK(difference(part, encoder.logits(y).narrow_view(0, 0, 3)).relative() < 1e-5);
}

TEST_CASE("an encoder that cannot be is refused") {
  nn::Module root;
  REQUIRE_ERROR(qac::ConditionEncoder(&root, "e", {.code_dim = 4, .levels = 1}), ErrorKind::Usage,
                "1 levels");
  REQUIRE_ERROR(qac::ConditionEncoder(&root, "e", {.code_dim = 62, .levels = 3}), ErrorKind::Usage,
                "do not fit a 64-bit code");
}

TEST_CASE("solvers call the network as often as they say") {
  struct Row {
    const char* name;
    int64_t order, nfe, levels;
  };
  for (const Row& row :
       {Row{"ddim", 4, 6, 7}, Row{"heun", 4, 6, 4}, Row{"dpm2", 4, 6, 4}, Row{"ipndm", 4, 6, 7},
        Row{"ipndm", 1, 1, 2}, Row{"dpmpp", 3, 6, 7}, Row{"unipc", 3, 6, 7}, Row{"edm", 4, 7, 4}}) {
    const qac::SolverConfig config{.name = row.name, .order = row.order};
    INFO(row.name << " order " << row.order);
    const int64_t n = qac::solver_levels(config, row.nfe);
    CHECK(n == row.levels);
    CHECK(qac::solver_nfe(config, n) == row.nfe);
    int64_t calls = 0;
    const qac::Denoiser shrink = [&](const Tensor& x, double sigma) {
      ++calls;
      return affine(x, 0.25 / (0.25 + sigma * sigma), 0);  // exact for N(0, 0.5^2) data
    };
    const auto levels = qac::sigma_grid(n, {});
    const Tensor x = qac::solve(config, shrink, Tensor::full({1, 1, 2, 2}, 80, DType::f64), levels);
    CHECK(calls == row.nfe);
    CHECK(std::isfinite(x.to_vector<double>()[0]));
  }
  int64_t calls = 0;
  const qac::Denoiser zero = [&](const Tensor& x, double) {
    ++calls;
    return affine(x, 0, 0);
  };
  const qac::SolverConfig afs{.name = "ddim", .afs = true};
  qac::solve(afs, zero, Tensor::full({1, 1, 1, 1}, 80, DType::f64), qac::sigma_grid(7, {}));
  CHECK(calls == qac::solver_nfe(afs, 7));
  CHECK(calls == 5);
}

TEST_CASE("many steps of every solver reach the exact solution") {
  // For data N(0, s^2) the flow is x(t) = x(T) sqrt((s^2 + t^2) / (s^2 + T^2)).
  const qac::Denoiser exact = [](const Tensor& x, double t) {
    return affine(x, 0.25 / (0.25 + t * t), 0);
  };
  for (const char* name : {"ddim", "heun", "dpm2", "ipndm", "dpmpp", "unipc", "edm"}) {
    INFO(name);
    const qac::SolverConfig config{.name = name, .order = 3};
    const double end = config.name == "edm" ? 0 : 0.002;
    const double want = 80 * std::sqrt((0.25 + end * end) / (0.25 + 6400.0));
    const Tensor x = qac::solve(config, exact, Tensor::full({1, 1, 1, 1}, 80, DType::f64),
                                qac::sigma_grid(200, {}));
    CHECK(x.to_vector<double>()[0] == Catch::Approx(want).epsilon(0.05));
  }
}

TEST_CASE("a solver, order, number of calls or grid that does not exist is refused") {
  REQUIRE_ERROR(qac::solver_levels({.name = "euler"}, 6), ErrorKind::Usage, "want ddim, heun");
  REQUIRE_ERROR(qac::solver_levels({.name = "ipndm", .order = 5}, 6), ErrorKind::Usage,
                "order 5, want 1 to 4");
  REQUIRE_ERROR(qac::solver_levels({.name = "dpmpp", .order = 4}, 6), ErrorKind::Usage,
                "want 1 to 3");
  REQUIRE_ERROR(qac::solver_levels({.name = "unipc", .order = 2, .unipc_variant = "bh3"}, 6),
                ErrorKind::Usage, "want bh1 or bh2");
  REQUIRE_ERROR(qac::solver_levels({.name = "heun"}, 5), ErrorKind::Usage, "try --nfe 6");
  REQUIRE_ERROR(qac::solver_levels({.name = "edm"}, 6), ErrorKind::Usage, "try --nfe 7");
  REQUIRE_ERROR(qac::solver_levels({.name = "edm"}, 1), ErrorKind::Usage, "try --nfe 3");
  REQUIRE_ERROR(qac::sigma_grid(1, {}), ErrorKind::Usage, "want 2 or more");
  REQUIRE_ERROR(qac::sigma_grid(5, grid("cosine")), ErrorKind::Usage, "want polynomial");
  REQUIRE_ERROR(qac::sigma_grid(3, grid("explicit", {80, 90, 1})), ErrorKind::Usage,
                "level 1 is 90");
  REQUIRE_ERROR(qac::solve({}, {}, Tensor::zeros({1, 1, 1, 1}), {80}), ErrorKind::Usage,
                "two noise levels");
}

TEST_CASE("sampling stops when asked") {
  int64_t last = -1;
  const qac::Denoiser zero = [](const Tensor& x, double) { return affine(x, 0, 0); };
  REQUIRE_ERROR(
      qac::solve({}, zero, Tensor::full({1, 1, 1, 1}, 80, DType::f64), qac::sigma_grid(7, {}), {},
                 [&](int64_t step, const Tensor&) { return (last = step) < 2; }),
      ErrorKind::Stopped, "step 2 of 6");
  CHECK(last == 2);
}

TEST_CASE("grids run from the highest level to the lowest") {
  for (const char* kind : {"polynomial", "logsnr", "time_uniform", "flow"}) {
    INFO(kind);
    const auto t = qac::sigma_grid(9, grid(kind));
    REQUIRE(t.size() == 9);
    CHECK(t.front() == Catch::Approx(80));
    CHECK(t.back() == Catch::Approx(0.002));
    for (size_t i = 1; i < t.size(); ++i) CHECK(t[i] < t[i - 1]);
  }
}

TEST_CASE("schedules start at zero and arrive") {
  CHECK(qac::ramped_lr(1e-3, 0, 1e7) == 0);
  CHECK(qac::ramped_lr(1e-3, 5e6, 1e7) == Catch::Approx(5e-4));
  CHECK(qac::ramped_lr(1e-3, 3e7, 1e7) == Catch::Approx(1e-3));
  CHECK(qac::ramped_lr(1e-3, 0, 0) == Catch::Approx(1e-3));
  CHECK(qac::ema_beta(512, 0, 5e5, 0.05) == 0);
  CHECK(qac::ema_beta(5e5, 1e9, 5e5, 0.05) == Catch::Approx(0.5));
  CHECK(qac::ema_beta(5e5, 0, 5e5, 0) == Catch::Approx(0.5));
}

TEST_CASE("an image depends on its seed, not on the batch it is drawn in") {
  qac::Model model(tiny());
  nn::initialise(model, 1);
  model.set_training(false);
  const std::vector<int64_t> table = {0, 5, 5, 9, 15};
  for (const char* name : {"ipndm", "edm"}) {
    INFO(name);
    qac::SampleConfig config;
    config.solver.name = name;
    if (config.solver.name == "edm") config.solver.churn = {.churn = 5};
    config.nfe = 5;
    config.batch = 7;
    const auto together = qac::sample(model, table, seeds(0, 7), config);
    REQUIRE(together.size() == 7 * 64);
    config.batch = 2;
    CHECK(qac::sample(model, table, seeds(0, 7), config) == together);
    const auto tail = qac::sample(model, table, seeds(4, 3), config);
    CHECK(std::equal(tail.begin(), tail.end(), together.begin() + 4 * 64));
    CHECK(!std::equal(tail.begin(), tail.begin() + 64, together.begin()));
  }
}

TEST_CASE("a seed's code comes from the table") {
  qac::SampleConfig config;
  const std::vector<int64_t> table = {2, 2, 2, 2, 2, 2, 2, 7};
  int64_t sevens = 0;
  for (const int64_t code : qac::seed_codes(seeds(0, 400), table, config)) sevens += code == 7;
  CHECK(sevens > 20);  // an eighth
  CHECK(sevens < 90);
  config.codes = qac::CodeChoice::UniformUsed;
  sevens = 0;
  for (const int64_t code : qac::seed_codes(seeds(0, 400), table, config)) sevens += code == 7;
  CHECK(sevens > 150);  // half
  CHECK(sevens < 250);
  config.codes = qac::CodeChoice::Fixed;
  config.fixed_code = 3;
  CHECK(qac::seed_codes(seeds(0, 2), {}, config) == std::vector<int64_t>{3, 3});
  config.codes = qac::CodeChoice::Empirical;
  REQUIRE_ERROR(qac::seed_codes(seeds(0, 2), {}, config), ErrorKind::Checkpoint, "no code table");
}

TEST_CASE("pixels are clipped and rounded as published") {
  const Tensor x = Tensor::from(std::vector<double>{-2, -1, 0, 0.999, 1, 2}, {1, 1, 2, 3});
  CHECK(qac::to_pixels(x) == std::vector<uint8_t>{0, 0, 128, 255, 255, 255});
}
