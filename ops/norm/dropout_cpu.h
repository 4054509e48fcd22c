// The dropout mask of dropout_factor(), many elements at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/rng.h"
#include "core/simd/vec.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tenon::TENON_TARGET {

namespace detail {

// A 32-bit number in each 64-bit lane; the upper halves are ignored.
typedef uint64_t Lanes __attribute__((vector_size(kRegisterBytes)));
inline constexpr int kLanes = kRegisterBytes / 8;

TENON_INLINE Lanes multiply(const Lanes& a, const Lanes& b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Lanes>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Lanes>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<Lanes>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

}  // namespace detail

// words[4 i + k] = word k of Philox block first + i under `key`, row `row`, for i < blocks rounded
// up to a multiple of kPhiloxBatch.
inline constexpr int kPhiloxBatch = 2 * detail::kLanes;
inline void philox_words(uint64_t key, uint64_t row, uint64_t first, int64_t blocks,
                         uint32_t* words) {
  using detail::Lanes;
  const Lanes m0 = Lanes{} + 0xD2511F53u, m1 = Lanes{} + 0xCD9E8D57u;
  for (int64_t done = 0; done < blocks; done += kPhiloxBatch) {
    Lanes c0[2], c1[2], c2[2], c3[2];
    for (int h = 0; h < 2; h++) {  // two at once hide the latency of the products
      uint64_t counters[detail::kLanes];
      for (int l = 0; l < detail::kLanes; l++)
        counters[l] = first + static_cast<uint64_t>(done + h * detail::kLanes + l);
      memcpy(&c0[h], counters, sizeof(counters));
      c1[h] = c0[h] >> 32;
      c2[h] = Lanes{} + row;
      c3[h] = c2[h] >> 32;
    }
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; round++) {
      for (int h = 0; h < 2; h++) {
        const Lanes p0 = detail::multiply(m0, c0[h]), p1 = detail::multiply(m1, c2[h]);
        c0[h] = (p1 >> 32) ^ c1[h] ^ (Lanes{} + k0);
        c2[h] = (p0 >> 32) ^ c3[h] ^ (Lanes{} + k1);
        c1[h] = p1;
        c3[h] = p0;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int h = 0; h < 2; h++) {
      const Lanes low = (c0[h] & 0xffffffffu) | (c1[h] << 32);
      const Lanes high = (c2[h] & 0xffffffffu) | (c3[h] << 32);
      for (int l = 0; l < detail::kLanes; l++) {
        const uint64_t pair[2] = {low[l], high[l]};
        memcpy(words + 4 * (done + h * detail::kLanes + l), pair, sizeof(pair));
      }
    }
  }
}

// The factors 0 or 1 / (1 - p) of an image, row by row in its memory order.
class DropoutMask {
 public:
  DropoutMask(uint64_t key, double p, int64_t channels, int64_t pixels, bool channels_last)
      : key_(key), p_(p), channels_(channels), pixels_(pixels), channels_last_(channels_last) {}

  // Factors of one row: of a pixel's channels, or of a channel's pixels.
  const float* row(uint64_t n, int64_t index) {
    if (channels_last_) {
      // Some rows at once, so that whole groups of blocks are made.
      if (index < begin_ || index >= end_ || n != n_) {
        begin_ = index;
        end_ =
            std::min(pixels_, index + std::max<int64_t>(1, 4096 / std::max<int64_t>(channels_, 1)));
        n_ = n;
        fill(n, begin_ * channels_, (end_ - begin_) * channels_);
      }
      return factors_.data() + skipped_ + (index - begin_) * channels_;
    }
    if (n != n_ || end_ == 0) {  // the whole image: its channels lie far apart in the mask
      n_ = n;
      end_ = 1;
      fill(n, 0, channels_ * pixels_);
      plane_.resize(static_cast<size_t>(pixels_ + 16));
    }
    for (int64_t p = 0; p < pixels_; p++)
      plane_[static_cast<size_t>(p)] = factors_[static_cast<size_t>(p * channels_ + index)];
    return plane_.data();
  }

  // Factors i, i + 1, ... as a vector; may read (but not use) past the row's end.
  template <class V>
  TENON_INLINE V load(const float* row, int64_t i) const {
    if constexpr (sizeof(typename V::Element) == sizeof(float)) {
      return TENON_TARGET::load(row + i);
    } else {
      double lane[V::size];
      for (int l = 0; l < V::size; l++) lane[l] = row[i + l] == 0 ? 0 : 1 / (1 - p_);
      return TENON_TARGET::load(static_cast<const double*>(lane));
    }
  }

 private:
  void fill(uint64_t n, int64_t first, int64_t count) {
    skipped_ = first % 4;
    const int64_t blocks = (skipped_ + count + 3) / 4;
    // Whole batches of blocks.
    words_.resize(static_cast<size_t>(4 * (blocks + kPhiloxBatch)));
    factors_.resize(words_.size() + 16);
    philox_words(key_, n, static_cast<uint64_t>(first / 4), blocks, words_.data());
    const float keep = static_cast<float>(1 / (1 - p_));
    // uniform >= p, compared as integers: uniform is (word >> 8) / 2^24.
    const auto limit = static_cast<uint32_t>(std::ceil(p_ * 16777216.0));
    for (size_t i = 0; i < words_.size(); i++)
      factors_[i] = (words_[i] >> 8) >= limit ? keep : 0.0f;
  }

  uint64_t key_;
  double p_;
  int64_t channels_, pixels_;
  bool channels_last_;
  uint64_t n_ = 0;
  int64_t begin_ = 0, end_ = 0, skipped_ = 0;
  std::vector<uint32_t> words_;
  std::vector<float> factors_, plane_;
};

}  // namespace tenon::TENON_TARGET
