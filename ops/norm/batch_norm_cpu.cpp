// Batch norm: statistics of each image, combined over the batch, then one pass that applies them.
#include <cmath>
#include <vector>

#include "core/simd/parallel.h"
#include "ops/norm/batch_norm.h"
#include "ops/norm/image_cpu.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

void move_toward(const Tensor& running, const std::vector<double>& values, double momentum) {
  if (!running.defined()) return;
  auto moved = read_parameters<double>(running, running.numel(), 0);
  for (size_t c = 0; c < moved.size(); c++)
    moved[c] = (1 - momentum) * moved[c] + momentum * values[c];
  write_parameters(running, moved);
}

void forward(const KernelCall& call) {
  const Tensor& x = call.in[0];
  const auto& attrs = call.get<BatchNorm::Attrs>();
  visit_float(x.dtype(), "batch_norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using V = vec_for<T>;
    using C = typename V::Element;
    const ImageShape shape(x, V::size);
    const int64_t batch = x.size(0);
    const auto channels = static_cast<size_t>(shape.channels);
    const auto gamma = read_parameters<C>(call.in[1], shape.channels, 1);
    const auto beta = read_parameters<C>(call.in[2], shape.channels, 0);
    std::vector<double> means(static_cast<size_t>(batch) * channels), squares(means.size());
    parallel_for(batch, shape.grain(), [&](int64_t first, int64_t last) {
      for (int64_t n = first; n < last; n++)
        channel_statistics(shape, x.data<T>() + n * shape.size(), means.data() + n * shape.channels,
                           squares.data() + n * shape.channels);
    });
    std::vector<double> mean(channels), var(channels);
    std::vector<C> scale(static_cast<size_t>(shape.padded)), offset(scale.size());
    const double pixels = static_cast<double>(shape.pixels);
    const double count = static_cast<double>(batch) * pixels;
    for (size_t c = 0; c < channels; c++) {
      for (size_t i = c; i < means.size(); i += channels)
        mean[c] += means[i] / static_cast<double>(batch);
      double sum = 0;
      for (size_t i = c; i < means.size(); i += channels)
        sum += squares[i] + pixels * (means[i] - mean[c]) * (means[i] - mean[c]);
      const double rstd = 1 / std::sqrt(sum / count + attrs.eps);
      var[c] = sum / (count - 1);
      call.out[1].data<C>()[c] = static_cast<C>(mean[c]);
      call.out[2].data<C>()[c] = static_cast<C>(rstd);
      const double a = static_cast<double>(gamma[c]) * rstd;
      scale[c] = static_cast<C>(a);
      offset[c] = static_cast<C>(static_cast<double>(beta[c]) - mean[c] * a);
    }
    move_toward(call.in[3], mean, attrs.momentum);
    move_toward(call.in[4], var, attrs.momentum);
    parallel_for(batch, shape.grain(), [&](int64_t first, int64_t last) {
      DropoutMask none(0, 0, shape.channels, shape.pixels, shape.channels_last);
      for (int64_t n = first; n < last; n++) {
        const T* from = x.data<T>() + n * shape.size();
        T* to = call.out[0].data<T>() + n * shape.size();
        if (shape.channels_last)
          apply_image<true, false, false>(shape, n, scale.data(), offset.data(), from, to, none);
        else
          apply_image<false, false, false>(shape, n, scale.data(), offset.data(), from, to, none);
      }
    });
  });
}

void backward(const KernelCall& call) {
  const Tensor &g = call.in[0], &x = call.in[1];
  visit_float(x.dtype(), "batch_norm_backward", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using V = vec_for<T>;
    using C = typename V::Element;
    const ImageShape shape(x, V::size);
    const int64_t batch = x.size(0);
    const auto channels = static_cast<size_t>(shape.channels);
    const auto gamma = read_parameters<C>(call.in[2], shape.channels, 1);
    const auto mean = read_parameters<C>(call.in[3], shape.channels, 0);
    const auto rstd = read_parameters<C>(call.in[4], shape.channels, 0);
    std::vector<ChannelSums> sums(static_cast<size_t>(batch), ChannelSums(shape.channels));
    parallel_for(batch, shape.grain(), [&](int64_t first, int64_t last) {
      std::vector<C> work(static_cast<size_t>(3 * shape.padded));
      std::vector<C> unused(static_cast<size_t>(shape.size()));
      DropoutMask none(0, 0, shape.channels, shape.pixels, shape.channels_last);
      for (int64_t n = first; n < last; n++)
        with_switches(shape.channels_last, false, false, [&](auto cl, auto silu, auto dropout) {
          gradient_image<cl(), silu(), dropout()>(shape, n, work.data(), work.data(),
                                                  g.data<T>() + n * shape.size(),
                                                  x.data<T>() + n * shape.size(), unused.data(),
                                                  work.data(), sums[static_cast<size_t>(n)], none);
        });
    });
    // dx = a g + b x + d, per channel.
    std::vector<C> a(static_cast<size_t>(shape.padded)), b(a.size()), d(a.size());
    const double count = static_cast<double>(batch * shape.pixels);
    for (size_t c = 0; c < channels; c++) {
      double dbeta = 0, dz_x = 0;
      for (const ChannelSums& s : sums) {
        dbeta += s.dz[c];
        dz_x += s.dz_x[c];
      }
      const double r = static_cast<double>(rstd[c]), m = static_cast<double>(mean[c]);
      const double dgamma = r * (dz_x - m * dbeta), scale = static_cast<double>(gamma[c]) * r;
      call.out[1].data<C>()[c] = static_cast<C>(dgamma);
      call.out[2].data<C>()[c] = static_cast<C>(dbeta);
      a[c] = static_cast<C>(scale);
      b[c] = static_cast<C>(-scale * r * dgamma / count);
      d[c] = static_cast<C>(-scale * (dbeta - m * r * dgamma) / count);
    }
    parallel_for(batch, shape.grain(), [&](int64_t first, int64_t last) {
      for (int64_t n = first; n < last; n++) {
        const T *from = x.data<T>() + n * shape.size(), *up = g.data<T>() + n * shape.size();
        T* to = call.out[0].data<T>() + n * shape.size();
        if (shape.channels_last)
          combine_image<true>(shape, a.data(), b.data(), d.data(), up, from, to);
        else
          combine_image<false>(shape, a.data(), b.data(), d.data(), up, from, to);
      }
    });
  });
}

TENON_REGISTER_CPU(BatchNorm, forward, nullptr);
TENON_REGISTER_CPU(BatchNormBackward, backward, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
