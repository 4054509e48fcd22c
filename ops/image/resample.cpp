#include "ops/image/resample.h"

#include <algorithm>
#include <cmath>

#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(Resample);

AxisMapPtr transposed(const AxisMap& map) {
  auto t = std::make_shared<AxisMap>();
  t->in = map.out();
  t->begin.assign(static_cast<size_t>(map.in) + 1, 0);
  for (const int64_t i : map.index) ++t->begin[static_cast<size_t>(i) + 1];
  for (size_t i = 1; i < t->begin.size(); ++i) t->begin[i] += t->begin[i - 1];
  t->index.resize(map.index.size());
  t->weight.resize(map.index.size());
  std::vector<int64_t> next(t->begin.begin(), t->begin.end() - 1);
  for (int64_t o = 0; o < map.out(); ++o)
    for (int64_t k = map.begin[static_cast<size_t>(o)]; k < map.begin[static_cast<size_t>(o) + 1];
         ++k) {
      const auto at =
          static_cast<size_t>(next[static_cast<size_t>(map.index[static_cast<size_t>(k)])]++);
      t->index[at] = o;
      t->weight[at] = map.weight[static_cast<size_t>(k)];
    }
  return t;
}

Metas Resample::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check_float(x, traits.name);
  check(x.rank() == 4 && x.size(2) == a.rows->in && x.size(3) == a.cols->in, ErrorKind::Usage,
        "{}: x is {}, want [N, C, {}, {}]", traits.name, x.describe(), a.rows->in, a.cols->in);
  return {image_like(x, {x.size(0), x.size(1), a.rows->out(), a.cols->out()}, x.dtype())};
}

TensorVec Resample::backward(const Attrs& a, const BackwardArgs& g) {
  const AxisMapPtr rows = transposed(*a.rows);
  return {apply<Resample>({rows, a.cols == a.rows ? rows : transposed(*a.cols)}, {g.grad()})[0]};
}

namespace {

// Rows of an axis of n elements correlated with taps at every stride-th place.
AxisMapPtr window_map(int64_t n, const std::vector<double>& taps, int64_t stride, int64_t pad,
                      bool mean_of_real = false) {
  auto map = std::make_shared<AxisMap>();
  map->in = n;
  const auto length = static_cast<int64_t>(taps.size());
  for (int64_t o = 0; o * stride + length <= n + 2 * pad; ++o) {
    const int64_t first = o * stride - pad;
    const int64_t begin = std::max<int64_t>(first, 0), end = std::min(n, first + length);
    for (int64_t i = begin; i < end; ++i)
      map->add(i, mean_of_real ? 1.0 / static_cast<double>(end - begin)
                               : taps[static_cast<size_t>(i - first)]);
    map->end_row();
  }
  return map;
}

double cubic(double x, double a) {  // Keys' kernel
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * x * a - 4 * a;
  return 0;
}

double sinc(double x) {
  return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x);
}

double kernel_value(Interpolation mode, double x) {
  switch (mode) {
    case Interpolation::Bilinear:
      return std::max(0.0, 1 - std::abs(x));
    case Interpolation::Bicubic:
      return cubic(x, -0.5);
    default:
      return std::abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
}

// Pillow's weights.
void add_filtered(AxisMap& map, int64_t out, Interpolation mode) {
  const double scale = static_cast<double>(map.in) / static_cast<double>(out);
  const double widened = std::max(scale, 1.0);
  const double lobes = mode == Interpolation::Bilinear ? 1 : mode == Interpolation::Bicubic ? 2 : 3;
  for (int64_t o = 0; o < out; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * scale;
    const auto first =
        std::max<int64_t>(0, static_cast<int64_t>(std::trunc(centre - lobes * widened + 0.5)));
    const auto last =
        std::min(map.in, static_cast<int64_t>(std::trunc(centre + lobes * widened + 0.5)));
    const size_t start = map.weight.size();
    double sum = 0;
    for (int64_t i = first; i < last; ++i) {
      map.add(i, kernel_value(mode, (static_cast<double>(i) - centre + 0.5) / widened));
      sum += map.weight.back();
    }
    for (size_t k = start; k < map.weight.size(); ++k) map.weight[k] /= sum;
    map.end_row();
  }
}

// PyTorch's weights without antialias.
void add_sampled(AxisMap& map, int64_t out, Interpolation mode) {
  const double scale = static_cast<double>(map.in) / static_cast<double>(out);
  const auto inside = [&](int64_t i) { return std::clamp<int64_t>(i, 0, map.in - 1); };
  for (int64_t o = 0; o < out; ++o) {
    const double at = (static_cast<double>(o) + 0.5) * scale - 0.5;
    const auto first = static_cast<int64_t>(std::floor(at));
    const double t = at - static_cast<double>(first);
    if (mode == Interpolation::Nearest) {
      map.add(inside(o * map.in / out), 1);
    } else if (mode == Interpolation::Bilinear) {
      if (inside(first) == inside(first + 1)) {
        map.add(inside(first), 1);
      } else {
        map.add(first, 1 - t);
        map.add(first + 1, t);
      }
    } else {
      for (int64_t k = -1; k <= 2; ++k)
        map.add(inside(first + k), cubic(static_cast<double>(k) - t, -0.75));
    }
    map.end_row();
  }
}

AxisMapPtr interpolation_map(int64_t in, int64_t out, Interpolation mode, bool antialias) {
  auto map = std::make_shared<AxisMap>();
  map->in = in;
  if (mode == Interpolation::Lanczos || (antialias && mode != Interpolation::Nearest))
    add_filtered(*map, out, mode);
  else
    add_sampled(*map, out, mode);
  return map;
}

void check_image(const Tensor& x, const char* op) {
  check_float(x, op);
  check(x.rank() == 4 && x.size(2) > 0 && x.size(3) > 0, ErrorKind::Usage,
        "{}: x is {}, want [N, C, H, W] with pixels", op, x.describe());
}

// The maps of both axes, made once when they are equal (square images).
template <class Make>
Tensor resampled(const Tensor& x, const Make& make) {
  const AxisMapPtr rows = make(x.size(2));
  return apply<Resample>({rows, x.size(2) == x.size(3) ? rows : make(x.size(3))}, {x})[0];
}

}  // namespace

Tensor fir_resample(const Tensor& x, const std::vector<double>& taps, int64_t up, int64_t down,
                    int64_t pad) {
  check_image(x, "fir_resample");
  check((up == 1 && (down == 1 || down == 2)) || (up == 2 && down == 1), ErrorKind::Usage,
        "fir_resample: up {} and down {}, want one of them 1 and the other 1 or 2", up, down);
  double sum = 0;
  for (const double f : taps) sum += f;
  check(!taps.empty() && sum != 0 && std::isfinite(sum), ErrorKind::Usage,
        "fir_resample: {} taps with sum {}, want some with a sum that is not 0", taps.size(), sum);
  const auto length = static_cast<int64_t>(taps.size());
  check(pad >= 0 && pad < length, ErrorKind::Usage,
        "fir_resample: padding {}, want 0 to {} (fewer than taps)", pad, length - 1);
  std::vector<double> scaled = taps;
  for (double& f : scaled) f *= static_cast<double>(up) / sum;
  const int64_t small = std::min(x.size(2), x.size(3));
  check(up == 2 ? 2 * (small - 1) + length > 2 * pad : small + 2 * pad >= length, ErrorKind::Usage,
        "fir_resample: nothing is left of {} with {} taps and padding {}", x.describe(), length,
        pad);
  return resampled(x, [&](int64_t n) {
    return up == 2 ? transposed(*window_map(2 * (n - 1) + length - 2 * pad, scaled, 2, pad))
                   : window_map(n, scaled, down, pad);
  });
}

Tensor interpolate(const Tensor& x, int64_t out_h, int64_t out_w, Interpolation mode,
                   bool antialias) {
  check_image(x, "interpolate");
  check(out_h > 0 && out_w > 0, ErrorKind::Usage, "interpolate: to {} x {}, want positive sizes",
        out_h, out_w);
  const AxisMapPtr rows = interpolation_map(x.size(2), out_h, mode, antialias);
  const bool square = out_h == out_w && x.size(2) == x.size(3);
  return apply<Resample>(
      {rows, square ? rows : interpolation_map(x.size(3), out_w, mode, antialias)}, {x})[0];
}

Tensor avg_pool2d(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding,
                  bool count_include_pad) {
  check_image(x, "avg_pool2d");
  check(kernel >= 1 && stride >= 1 && padding >= 0 && padding <= kernel / 2, ErrorKind::Usage,
        "avg_pool2d: kernel {}, stride {}, padding {}: want positive ones and 0 <= padding <= "
        "kernel / 2",
        kernel, stride, padding);
  check(std::min(x.size(2), x.size(3)) + 2 * padding >= kernel, ErrorKind::Usage,
        "avg_pool2d: kernel {} is larger than {} with padding {}", kernel, x.describe(), padding);
  const std::vector<double> taps(static_cast<size_t>(kernel), 1.0 / static_cast<double>(kernel));
  return resampled(
      x, [&](int64_t n) { return window_map(n, taps, stride, padding, !count_include_pad); });
}

std::vector<Sample> Resample::samples() {
  const std::vector<double> mean{0.5, 0.5}, binomial{0.125, 0.375, 0.375, 0.125}, nearest{1, 1};
  const auto maps = [](AxisMapPtr rows, AxisMapPtr cols) {
    return make_attrs(Attrs{std::move(rows), std::move(cols)});
  };
  const auto to = [](int64_t in, int64_t out, Interpolation mode, bool antialias = false) {
    return interpolation_map(in, out, mode, antialias);
  };
  return {
      {"down", {floats({2, 5, 6, 8})}, maps(window_map(6, mean, 2, 0), window_map(8, mean, 2, 0))},
      {"down_wide",
       {floats({2, 37, 4, 6})},
       maps(window_map(4, mean, 2, 0), window_map(6, mean, 2, 0))},
      {"down_odd",
       {floats({1, 3, 7, 5})},
       maps(window_map(7, binomial, 2, 1), window_map(5, binomial, 2, 1))},
      {"up",
       {floats({2, 19, 3, 4})},
       maps(transposed(*window_map(6, nearest, 2, 0)), transposed(*window_map(8, nearest, 2, 0)))},
      {"up_binomial",
       {floats({1, 4, 3, 5})},
       maps(transposed(*window_map(6, binomial, 2, 1)),
            transposed(*window_map(10, binomial, 2, 1)))},
      {"nearest",
       {floats({1, 3, 4, 5})},
       maps(to(4, 7, Interpolation::Nearest), to(5, 2, Interpolation::Nearest))},
      {"bilinear",
       {floats({2, 3, 4, 5})},
       maps(to(4, 7, Interpolation::Bilinear), to(5, 3, Interpolation::Bilinear))},
      {"bicubic_antialias",
       {floats({1, 2, 9, 7})},
       maps(to(9, 4, Interpolation::Bicubic, true), to(7, 11, Interpolation::Bicubic, true))},
      {"lanczos",
       {floats({1, 2, 13, 6})},
       maps(to(13, 4, Interpolation::Lanczos), to(6, 6, Interpolation::Lanczos))},
      {"real_mean",
       {floats({1, 4, 5, 5})},
       maps(window_map(5, {0, 0, 0}, 2, 1, true), window_map(5, {0, 0, 0}, 1, 1, true))},
      {"one_pixel",
       {floats({2, 3, 1, 1})},
       maps(to(1, 3, Interpolation::Bicubic), to(1, 2, Interpolation::Bicubic))},
      {"empty", {floats({0, 3, 4, 4})}, maps(window_map(4, mean, 2, 0), window_map(4, mean, 2, 0))},
      {"size",
       {floats({1, 3, 5, 4})},
       maps(window_map(4, mean, 2, 0), window_map(4, mean, 2, 0)),
       0,
       true},
      {"rank",
       {floats({3, 4, 4})},
       maps(window_map(4, mean, 2, 0), window_map(4, mean, 2, 0)),
       0,
       true}};
}

namespace {

void resample_ref(const KernelCall& call) {
  const auto& a = call.get<Resample::Attrs>();
  const AxisMap &rows = *a.rows, &cols = *a.cols;
  const std::vector<double> x = doubles(call.in[0]);
  std::vector<double> y;
  const int64_t planes = call.in[0].size(0) * call.in[0].size(1);
  for (int64_t p = 0; p < planes; ++p)
    for (size_t oy = 0; oy + 1 < rows.begin.size(); ++oy)
      for (size_t ox = 0; ox + 1 < cols.begin.size(); ++ox) {
        double sum = 0;
        for (auto r = static_cast<size_t>(rows.begin[oy]);
             r < static_cast<size_t>(rows.begin[oy + 1]); ++r)
          for (auto c = static_cast<size_t>(cols.begin[ox]);
               c < static_cast<size_t>(cols.begin[ox + 1]); ++c)
            sum += rows.weight[r] * cols.weight[c] *
                   x[static_cast<size_t>((p * rows.in + rows.index[r]) * cols.in + cols.index[c])];
        y.push_back(sum);
      }
  fill(call.out[0], y);
}
TENON_REGISTER_KERNEL(Resample, {.name = "ref", .rank = kRankRef, .run = resample_ref});

}  // namespace
}  // namespace tenon
