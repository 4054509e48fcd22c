// Random numbers by blocks. The loops are written for the compiler to turn into vector code; this
// file is compiled with -ffp-contract=off (tools/cmake/sources.cmake), so every instruction set
// gives the bits of the plain loop.
#include "core/simd/parallel.h"
#include "core/simd/vec.h"
#include "ops/pointwise/cast.h"
#include "ops/random/random.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int kBlocks = 64;                // counters at a time
constexpr int64_t kNumbers = 4 * kBlocks;  // 32-bit numbers they give
constexpr int64_t kGrain = 16;             // batches a thread takes at least

// The words of counters first .. first + kBlocks - 1 of one row, word by word. Same function as
// philox() in core/base/rng.h.
void philox_blocks(uint64_t key, uint64_t first, uint64_t row, uint32_t word[4][kBlocks]) {
  uint32_t *c0 = word[0], *c1 = word[1], *c2 = word[2], *c3 = word[3];
  for (uint32_t i = 0; i < kBlocks; ++i) {
    const uint64_t counter = first + i;
    c0[i] = static_cast<uint32_t>(counter);
    c1[i] = static_cast<uint32_t>(counter >> 32);
    c2[i] = static_cast<uint32_t>(row);
    c3[i] = static_cast<uint32_t>(row >> 32);
  }
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0[i];
      const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2[i];
      const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<uint32_t>(p1);
      c3[i] = static_cast<uint32_t>(p0);
      c0[i] = n0;
      c2[i] = n2;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

void uniforms(RngKey key, int64_t batch, uint64_t row, float* out) {
  uint32_t word[4][kBlocks];
  philox_blocks(key.bits, static_cast<uint64_t>(batch) * kBlocks, row, word);
  for (int i = 0; i < kBlocks; ++i)
    for (int w = 0; w < 4; ++w)  // 24 bits: fit a signed conversion, which vector units have
      out[4 * i + w] =
          static_cast<float>(static_cast<int32_t>(word[w][i] >> 8)) * (1.0f / 16777216.0f);
}

void normals(RngKey key, int64_t batch, uint64_t row, float* out) {
  uint32_t word[4][kBlocks];
  philox_blocks(key.bits, static_cast<uint64_t>(batch) * kBlocks, row, word);
  float x[2][kBlocks], y[2][kBlocks];
  for (int pair = 0; pair < 2; ++pair) {
    const uint32_t *a = word[2 * pair], *b = word[2 * pair + 1];
    for (int i = 0; i < kBlocks; ++i) normal_pair(a[i], b[i], &x[pair][i], &y[pair][i]);
  }
  for (int i = 0; i < kBlocks; ++i) {
    out[4 * i] = x[0][i];
    out[4 * i + 1] = y[0][i];
    out[4 * i + 2] = x[1][i];
    out[4 * i + 3] = y[1][i];
  }
}

template <class T>
void convert(const float* from, T* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(from[i]);
}

template <class Op, bool Normal>
void random_cpu(const KernelCall& call) {
  const auto& a = call.get<typename Op::Attrs>();
  const Tensor& out = call.out[0];
  const int64_t* rows = call.in[0].defined() ? call.in[0].data<int64_t>() : nullptr;
  const int64_t count = rows ? a.sizes[0] : 1;
  if (out.numel() == 0) return;
  const int64_t length = out.numel() / count, batches = (length + kNumbers - 1) / kNumbers;
  visit_float(out.dtype(), Op::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* y = out.data<T>();
    parallel_for(count * batches, kGrain, [&](int64_t begin, int64_t end) {
      float buffer[kNumbers];
      for (int64_t job = begin; job < end; ++job) {
        const int64_t row = job / batches, batch = job % batches;
        const auto stream = static_cast<uint64_t>(rows ? rows[row] : 0);
        if (Normal)
          normals(a.key, batch, stream, buffer);
        else
          uniforms(a.key, batch, stream, buffer);
        convert(buffer, y + row * length + batch * kNumbers,
                std::min(kNumbers, length - batch * kNumbers));
      }
    });
  });
}

template <class T>
void drop(const T* x, T* y, int64_t n, const float* u, float p, double keep) {
  using V = vec_for<T>;
  using E = typename V::Element;
  const V scale(static_cast<E>(1 / keep));
  E chosen[kNumbers];
  for (int64_t i = 0; i < kNumbers; ++i) chosen[i] = u[i] >= p ? E(1) : E(0);
  for (int64_t i = 0; i < n; i += V::size)
    store(select(load(static_cast<const E*>(chosen) + i) != V(0), load(x + i, n - i) * scale, V(0)),
          y + i, n - i);
}

void dropout_cpu(const KernelCall& call) {
  const auto& a = call.get<Dropout::Attrs>();
  const Tensor& out = call.out[0];
  Tensor x = call.in[0];
  if (x.strides() != out.strides() && x.numel() > 0) {  // another order than the numbering
    copy_values(x, out);
    x = out;
  }
  const int64_t total = out.numel();
  visit_float(out.dtype(), "dropout", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = x.data<T>();
    T* to = out.data<T>();
    parallel_for((total + kNumbers - 1) / kNumbers, kGrain, [&](int64_t begin, int64_t end) {
      float u[kNumbers];
      for (int64_t batch = begin; batch < end; ++batch) {
        uniforms(a.key, batch, 0, u);
        const int64_t at = batch * kNumbers;
        drop(from + at, to + at, std::min(kNumbers, total - at), u, static_cast<float>(a.p),
             1 - a.p);
      }
    });
  });
}

TENON_REGISTER_CPU(RandomUniform, (random_cpu<RandomUniform, false>), nullptr);
TENON_REGISTER_CPU(RandomNormal, (random_cpu<RandomNormal, true>), nullptr);
TENON_REGISTER_CPU(Dropout, dropout_cpu, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
