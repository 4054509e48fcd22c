// The dropout mask of dropout_factor(), many elements at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/rng.h"
#include "core/simd/vec.h"

namespace tenon::TENON_TARGET {

// words[4 i + k] = word k of Philox block first + i under `key`, row `row`: 16 blocks at a time, in
// plain loops that compilers turn into vector code.
inline void philox_words(uint64_t key, uint64_t row, uint64_t first, int64_t blocks,
                         uint32_t* words) {
  constexpr int kLanes = 16;
  for (int64_t done = 0; done < blocks; done += kLanes) {
    uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
    for (int l = 0; l < kLanes; l++) {
      const uint64_t counter = first + static_cast<uint64_t>(done + l);
      c0[l] = static_cast<uint32_t>(counter);
      c1[l] = static_cast<uint32_t>(counter >> 32);
      c2[l] = static_cast<uint32_t>(row);
      c3[l] = static_cast<uint32_t>(row >> 32);
    }
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; round++) {
      for (int l = 0; l < kLanes; l++) {
        const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0[l];
        const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2[l];
        c0[l] = static_cast<uint32_t>(p1 >> 32) ^ c1[l] ^ k0;
        c2[l] = static_cast<uint32_t>(p0 >> 32) ^ c3[l] ^ k1;
        c1[l] = static_cast<uint32_t>(p1);
        c3[l] = static_cast<uint32_t>(p0);
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const int64_t here = std::min<int64_t>(kLanes, blocks - done);
    for (int64_t l = 0; l < here; l++) {
      uint32_t* to = words + 4 * (done + l);
      to[0] = c0[l];
      to[1] = c1[l];
      to[2] = c2[l];
      to[3] = c3[l];
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
    words_.resize(static_cast<size_t>(4 * blocks));
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
