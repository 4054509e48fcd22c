#include "datasets/augment.h"

#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/base/rng.h"
#include "datasets/affine_resample.h"

namespace tenon::data {
namespace {

Affine rotation(double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c, -s, 0, s, c, 0};
}

// What the draws mean for one picture.
struct Plan {
  bool flip_x = false, flip_y = false;
  Affine map;  // from the result's pixels to the picture's, centred at the middle
  float labels[9];
  int label_count = 0;
};

Plan make_plan(const AugmentDraws& d, const AugmentConfig& c, const ImageShape& shape) {
  Plan plan;
  const auto gate = [&](double multiplier, float u) { return u < multiplier * c.p; };
  const auto label = [&](double value) {
    plan.labels[plan.label_count++] = static_cast<float>(value);
  };
  const auto angle = [](float u) { return (2.0 * u - 1.0) * std::numbers::pi; };
  const auto then = [&](const Affine& next) { plan.map = plan.map * next; };
  if (c.xflip > 0) {
    plan.flip_x = gate(c.xflip, d.u_x) && d.u_xbit >= 0.5f;
    label(plan.flip_x);
  }
  if (c.yflip > 0) {
    plan.flip_y = gate(c.yflip, d.u_y) && d.u_ybit >= 0.5f;
    label(plan.flip_y);
  }
  if (c.scale > 0) {
    const double w = gate(c.scale, d.u_scale) ? d.n_scale : 0;
    const double k = std::exp2(w * c.scale_std);
    then({1 / k, 0, 0, 0, 1 / k, 0});
    label(w);
  }
  if (c.rotate > 0) {
    const double a = gate(c.rotate, d.u_rot) ? angle(d.u_rotv) * c.rotate_max : 0;
    then(rotation(a));
    label(std::cos(a) - 1);
    label(std::sin(a));
  }
  if (c.aniso > 0) {
    const double w = gate(c.aniso, d.u_aniso) ? d.n_aniso : 0;
    const double r = d.u_anisorot < c.aniso_rotate_prob ? angle(d.u_anisov) : 0;
    const double q = std::exp2(w * c.aniso_std);
    if (w != 0) {  // otherwise the three maps cancel, up to rounding
      then(rotation(-r));
      then({1 / q, 0, 0, 0, q, 0});
      then(rotation(r));
    }
    label(w * std::cos(r));
    label(w * std::sin(r));
  }
  if (c.translate > 0) {
    const bool on = gate(c.translate, d.u_trans);
    const double x = on ? d.n_trans_x : 0, y = on ? d.n_trans_y : 0;
    then({1, 0, -x * c.translate_std * static_cast<double>(shape.width), 0, 1,
          -y * c.translate_std * static_cast<double>(shape.height)});
    label(x);
    label(y);
  }
  return plan;
}

}  // namespace

int AugmentConfig::label_dim() const {
  return (xflip > 0) + (yflip > 0) + (scale > 0) + 2 * (rotate > 0) + 2 * (aniso > 0) +
         2 * (translate > 0);
}

AugmentDraws draw_augment(std::uint64_t seed, std::int64_t position) {
  const RngKey key = RngKey{seed}.fold("augment");
  const auto row = static_cast<std::uint64_t>(position);
  Philox4 r[5];
  for (std::uint64_t i = 0; i < 5; ++i) r[i] = key.block(i, row);
  const auto u = [&](int i) { return uniform_from_bits(r[i / 4].v[i % 4]); };
  AugmentDraws d;
  d.u_x = u(0), d.u_xbit = u(1), d.u_y = u(2), d.u_ybit = u(3);
  d.u_scale = u(4), d.u_rot = u(5), d.u_rotv = u(6), d.u_aniso = u(7);
  d.u_anisorot = u(8), d.u_anisov = u(9), d.u_trans = u(10);
  normal_pair(r[3].v[0], r[3].v[1], &d.n_scale, &d.n_aniso);
  normal_pair(r[3].v[2], r[3].v[3], &d.n_trans_x, &d.n_trans_y);
  return d;
}

std::vector<AugmentDraws> draw_augment(std::uint64_t seed,
                                       std::span<const std::int64_t> positions) {
  std::vector<AugmentDraws> out;
  out.reserve(positions.size());
  for (const std::int64_t position : positions) out.push_back(draw_augment(seed, position));
  return out;
}

void augment(std::span<const float> in, const ImageShape& shape,
             std::span<const AugmentDraws> draws, const AugmentConfig& config, std::span<float> out,
             std::span<float> labels) {
  const auto n = static_cast<std::size_t>(shape.n);
  const auto image = static_cast<std::size_t>(shape.channels * shape.height * shape.width);
  const auto dim = static_cast<std::size_t>(config.label_dim());
  check(in.size() == n * image && out.size() == in.size() && draws.size() == n &&
            labels.size() == n * dim,
        ErrorKind::Internal,
        "internal: augment of {} pictures of {} numbers: {} in, {} out, {} draws, {} labels", n,
        image, in.size(), out.size(), draws.size(), labels.size());
  std::vector<Plan> plans;
  std::vector<Affine> maps;
  for (std::size_t i = 0; i < n; ++i) {
    plans.push_back(make_plan(draws[i], config, shape));
    maps.push_back(plans.back().map);
    for (std::size_t k = 0; k < dim; ++k) labels[i * dim + k] = plans.back().labels[k];
  }
  // With every motion switched off nothing is filtered; with any on, all pictures are (as in EDM).
  const bool moves =
      config.scale > 0 || config.rotate > 0 || config.aniso > 0 || config.translate > 0;
  const Margins margins = mirror_margins(maps, shape.height, shape.width);
#pragma omp parallel if (n > 1)
  {
    AffineResampler resampler(shape.height, shape.width, margins);
#pragma omp for schedule(dynamic)
    for (std::int64_t i = 0; i < shape.n; ++i) {
      const Plan& plan = plans[static_cast<std::size_t>(i)];
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        const std::size_t at = static_cast<std::size_t>(i) * image +
                               static_cast<std::size_t>(c * shape.height * shape.width);
        const Flips flips{plan.flip_x, plan.flip_y};
        if (moves) {
          resampler.run(in.data() + at, flips, plan.map, out.data() + at);
        } else {
          resampler.flip(in.data() + at, flips, out.data() + at);
        }
      }
    }
  }
}

}  // namespace tenon::data
