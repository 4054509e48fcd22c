#include "tools/bench/op_cases.h"

#include <algorithm>

#include "core/base/rng.h"
#include "ops/ops.h"

namespace tenon {

Tensor random_floats(const Dims& sizes, DType dtype, uint64_t key, double scale) {
  std::vector<float> values(static_cast<size_t>(count_elements(sizes)));
  const RngKey stream{key};
  for (size_t i = 0; i < values.size(); i += 4) {
    const Philox4 words = stream.block(i / 4);
    for (size_t j = i; j < std::min(i + 4, values.size()); ++j)
      values[j] = static_cast<float>(scale) * (4 * uniform_from_bits(words.v[j - i]) - 2);
  }
  return cast(Tensor::from(values, sizes), dtype);
}

namespace {

std::string shape_name(const Dims& sizes) {
  std::string text;
  for (const int64_t size : sizes) text += fmt::format("{}{}", text.empty() ? "" : "x", size);
  return text;
}

using Unary = Tensor (*)(const Tensor&);

// Element by element on n numbers; backward reads x and the gradient and writes one.
OpCase pointwise(const std::string& name, Unary function, int64_t n) {
  const double size = static_cast<double>(n);
  return {.op = name,
          .shape = shape_name({n}),
          .ops = {name, name + "_backward"},
          .rows = n,
          .checked_rows = n,
          .inputs = [](int64_t rows, DType t) { return TensorVec{random_floats({rows}, t, 1)}; },
          .forward = [function](const TensorVec& in) { return function(in[0]); },
          .elements = 2 * size,
          .backward_elements = 3 * size};
}

OpCase addition(int64_t n) {
  return {.op = "add",
          .shape = shape_name({n}),
          .ops = {"add"},
          .rows = n,
          .checked_rows = n,
          .inputs =
              [](int64_t rows, DType t) {
                return TensorVec{random_floats({rows}, t, 1), random_floats({rows}, t, 2)};
              },
          .forward = [](const TensorVec& in) { return add(in[0], in[1]); },
          .elements = 3 * static_cast<double>(n)};
}

OpCase softmax_rows(int64_t rows, int64_t columns) {
  const double size = static_cast<double>(rows * columns);
  return {.op = "softmax",
          .shape = shape_name({rows, columns}),
          .ops = {"softmax", "softmax_backward"},
          .rows = rows,
          .checked_rows = 64,
          .inputs =
              [columns](int64_t n, DType t) {
                return TensorVec{random_floats({n, columns}, t, 1)};
              },
          .forward = [](const TensorVec& in) { return softmax(in[0], -1); },
          .elements = 2 * size,
          .backward_elements = 3 * size};
}

OpCase norm_silu(int64_t n, int64_t c, int64_t side, bool last) {
  const double size = static_cast<double>(n * c * side * side);
  return {.op = "group_norm_silu",
          .shape = shape_name({n, c, side, side}) + (last ? "/nhwc" : "/nchw"),
          .ops = {"group_norm", "group_norm_backward"},
          .rows = n,
          .checked_rows = 2,
          .inputs =
              [=](int64_t rows, DType t) {
                const Tensor x = random_floats({rows, c, side, side}, t, 1);
                return TensorVec{last ? channels_last(x) : x, random_floats({c}, DType::f32, 2),
                                 random_floats({c}, DType::f32, 3)};
              },
          .forward =
              [](const TensorVec& in) {
                return group_norm(in[0], in[1], in[2], {.groups = 32, .eps = 1e-6, .silu = true});
              },
          .elements = 2 * size,
          .backward_elements = 3 * size};
}

OpCase product(int64_t m, int64_t k, int64_t n) {
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(k * n);
  return {
      .op = "matmul",
      .shape = shape_name({m, k, n}),
      .ops = {"matmul"},
      .rows = m,
      .checked_rows = 16,
      .inputs =
          [k, n](int64_t rows, DType t) {
            return TensorVec{random_floats({rows, k}, t, 1), random_floats({k, n}, t, 2)};
          },
      .forward = [](const TensorVec& in) { return matmul(in[0], in[1]); },
      .elements = static_cast<double>(m * k + k * n + m * n),
      .backward_elements = 2.0 * static_cast<double>(m * k + k * n) + static_cast<double>(m * n),
      .flops = flops,
      .backward_flops = 2 * flops};
}

// Stride 1 with the size kept, channels-last.
OpCase convolution(int64_t n, int64_t cin, int64_t side, int64_t cout, int64_t kernel) {
  const int64_t pixels = n * side * side;
  const double flops =
      2.0 * static_cast<double>(pixels * cin) * static_cast<double>(cout * kernel * kernel);
  const double in_out = static_cast<double>(pixels * (cin + cout));
  const double weights = static_cast<double>(cin * cout * kernel * kernel);
  return {.op = "conv2d",
          .shape = fmt::format("{}/{}k{}", shape_name({n, cin, side, side}), cout, kernel),
          .ops = {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"},
          .rows = n,
          .checked_rows = 1,
          .inputs =
              [=](int64_t rows, DType t) {
                return TensorVec{channels_last(random_floats({rows, cin, side, side}, t, 1)),
                                 random_floats({cout, cin, kernel, kernel}, t, 2, 0.1),
                                 random_floats({cout}, t, 3)};
              },
          .forward =
              [kernel](const TensorVec& in) {
                return conv2d(in[0], in[1], in[2], conv_window(1, kernel / 2));
              },
          .elements = in_out + weights,
          .backward_elements = in_out + static_cast<double>(pixels * cin) + 2 * weights,
          .flops = flops,
          .backward_flops = 2 * flops};
}

OpCase layer_norm_rows(int64_t rows, int64_t columns) {
  const double size = static_cast<double>(rows * columns);
  return {.op = "layer_norm",
          .shape = shape_name({rows, columns}),
          .ops = {"layer_norm", "row_norm_backward"},
          .rows = rows,
          .checked_rows = 64,
          .inputs =
              [columns](int64_t n, DType t) {
                return TensorVec{random_floats({n, columns}, t, 1), random_floats({columns}, t, 2),
                                 random_floats({columns}, t, 3)};
              },
          .forward = [](const TensorVec& in) { return layer_norm(in[0], in[1], in[2]); },
          .elements = 2 * size,
          .backward_elements = 3 * size};
}

// One pass over the keys for each query, no mask. Backward: five products for two of forward.
OpCase attend(int64_t batch, int64_t heads, int64_t length, int64_t dim) {
  const double size = static_cast<double>(batch * heads * length * dim);
  const double flops = 4 * size * static_cast<double>(length);
  return {.op = "attention",
          .shape = shape_name({batch, heads, length, dim}),
          .ops = {"attention", "attention_backward"},
          .rows = batch,
          .checked_rows = 1,
          .inputs =
              [=](int64_t rows, DType t) {
                TensorVec in;
                for (uint64_t key = 1; key <= 3; ++key)
                  in.push_back(random_floats({rows, heads, length, dim}, t, key));
                return in;
              },
          .forward = [](const TensorVec& in) { return attention(in[0], in[1], in[2]); },
          .elements = 4 * size,
          .backward_elements = 8 * size,
          .flops = flops,
          .backward_flops = 2.5 * flops};
}

OpCase class_loss(int64_t rows, int64_t classes) {
  const double size = static_cast<double>(rows * classes);
  return {.op = "cross_entropy",
          .shape = shape_name({rows, classes}),
          .ops = {"cross_entropy", "cross_entropy_backward"},
          .rows = rows,
          .checked_rows = 32,
          .inputs =
              [classes](int64_t n, DType t) {
                std::vector<int64_t> target(static_cast<size_t>(n));
                for (int64_t i = 0; i < n; ++i) target[static_cast<size_t>(i)] = i * 7919 % classes;
                return TensorVec{random_floats({n, classes}, t, 1), Tensor::from(target, {n})};
              },
          .forward = [](const TensorVec& in) { return cross_entropy(in[0], in[1]); },
          .elements = size,
          .backward_elements = 2 * size};
}

// Reads the weight, its gradient and both moments; writes weight and moments.
OpCase adam(int64_t n) {
  return {.op = "adam",
          .shape = shape_name({n}),
          .ops = {"adam_step"},
          .rows = n,
          .checked_rows = int64_t{1} << 16,
          .inputs =
              [](int64_t rows, DType) {
                TensorVec in;
                for (uint64_t key = 1; key <= 3; ++key)
                  in.push_back(random_floats({rows}, DType::f32, key));
                in.push_back(square(random_floats({rows}, DType::f32, 4)));
                return in;
              },
          .forward =
              [](const TensorVec& in) {
                adam_step(in[0], in[1], in[2], in[3], {});
                return in[0];
              },
          .elements = 7 * static_cast<double>(n)};
}

}  // namespace

std::vector<OpCase> op_cases() {
  const int64_t large = int64_t{1} << 23;
  return {pointwise("silu", silu, large),
          pointwise("gelu", gelu, large),
          pointwise("exp", exp, large),
          pointwise("silu", silu, 1),  // what a call costs
          addition(large),
          addition(1),
          softmax_rows(4096, 1024),
          layer_norm_rows(4096, 1024),
          norm_silu(16, 128, 32, true),
          norm_silu(16, 128, 32, false),
          norm_silu(16, 256, 16, true),
          product(512, 512, 512),
          product(2048, 2048, 2048),
          product(4096, 256, 1024),
          convolution(16, 128, 32, 128, 3),
          convolution(16, 256, 32, 128, 3),
          convolution(16, 128, 16, 128, 3),
          convolution(16, 128, 8, 128, 3),
          convolution(16, 3, 32, 64, 3),
          convolution(16, 256, 32, 128, 1),
          attend(16, 1, 256, 64),
          attend(16, 1, 256, 128),
          attend(4, 1, 1024, 64),
          attend(4, 1, 1024, 128),
          class_loss(4096, 32000),
          adam(10'000'000)};
}

}  // namespace tenon
