// Collectives of a warp. The mask names the lanes that take part; each of them must make the same
// call. A value may be of any trivially copyable type of 4 or 8 bytes.
#pragma once

#include "cuda/kit/device.h"

namespace tenon::kit {

inline constexpr uint32_t kFullWarp = 0xffffffffu;

#if defined(__CUDACC__)

TENON_DEVICE void sync_warp(uint32_t mask = kFullWarp) {
  __syncwarp(mask);
}
template <class T>
TENON_DEVICE T shuffle(T value, int lane, uint32_t mask = kFullWarp) {
  return __shfl_sync(mask, value, lane);
}
template <class T>
TENON_DEVICE T shuffle_xor(T value, int bits, uint32_t mask = kFullWarp) {
  return __shfl_xor_sync(mask, value, bits);
}
template <class T>
TENON_DEVICE T shuffle_down(T value, int delta, uint32_t mask = kFullWarp) {
  return __shfl_down_sync(mask, value, delta);
}
template <class T>
TENON_DEVICE T shuffle_up(T value, int delta, uint32_t mask = kFullWarp) {
  return __shfl_up_sync(mask, value, delta);
}
TENON_DEVICE uint32_t ballot(bool vote, uint32_t mask = kFullWarp) {
  return __ballot_sync(mask, vote);
}
TENON_DEVICE bool any(bool vote, uint32_t mask = kFullWarp) {
  return __any_sync(mask, vote) != 0;
}
TENON_DEVICE bool all(bool vote, uint32_t mask = kFullWarp) {
  return __all_sync(mask, vote) != 0;
}

#else

namespace detail {

template <class T>
struct ShuffleCall {
  T value;
  int source;  // the lane to read; out of 0..31 means one's own value, as on the GPU
  T result;
};
template <class T>
void resolve_shuffle(void* const* data, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    auto& call = *static_cast<ShuffleCall<T>*>(data[lane]);
    const bool own = call.source < 0 || call.source >= kWarpSize;
    const int source = own ? lane : call.source;
    // Reading a lane outside the mask is undefined on a GPU: give what surely is noticed.
    if (mask >> source & 1u)
      call.result = static_cast<ShuffleCall<T>*>(data[source])->value;
    else
      memset(&call.result, 0xff, sizeof(T));
  }
}
template <class T>
T shuffle_from(T value, int source, uint32_t mask, const char* file, int line) {
  ShuffleCall<T> call{value, source, value};
  simt::warp_collective(mask, &resolve_shuffle<T>, &call, file, line);
  return call.result;
}

struct VoteCall {
  bool vote;
  uint32_t result;
};
inline void resolve_vote(void* const* data, uint32_t mask) {
  uint32_t votes = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    if (static_cast<VoteCall*>(data[lane])->vote) votes |= 1u << lane;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    static_cast<VoteCall*>(data[__builtin_ctz(rest)])->result = votes;
}
inline void resolve_nothing(void* const*, uint32_t) {}

}  // namespace detail

inline void sync_warp(uint32_t mask = kFullWarp, TENON_HERE) {
  simt::warp_collective(mask, &detail::resolve_nothing, nullptr, file, line);
}
// The value of lane `lane % 32`.
template <class T>
T shuffle(T value, int lane, uint32_t mask = kFullWarp, TENON_HERE) {
  return detail::shuffle_from(value, lane & (kWarpSize - 1), mask, file, line);
}
template <class T>
T shuffle_xor(T value, int bits, uint32_t mask = kFullWarp, TENON_HERE) {
  return detail::shuffle_from(value, lane_index() ^ bits, mask, file, line);
}
template <class T>
T shuffle_down(T value, int delta, uint32_t mask = kFullWarp, TENON_HERE) {
  return detail::shuffle_from(value, lane_index() + delta, mask, file, line);
}
template <class T>
T shuffle_up(T value, int delta, uint32_t mask = kFullWarp, TENON_HERE) {
  return detail::shuffle_from(value, lane_index() - delta, mask, file, line);
}
// Bit i: the vote of lane i.
inline uint32_t ballot(bool vote, uint32_t mask = kFullWarp, TENON_HERE) {
  detail::VoteCall call{vote, 0};
  simt::warp_collective(mask, &detail::resolve_vote, &call, file, line);
  return call.result;
}
inline bool any(bool vote, uint32_t mask = kFullWarp, TENON_HERE) {
  return ballot(vote, mask, file, line) != 0;
}
inline bool all(bool vote, uint32_t mask = kFullWarp, TENON_HERE) {
  return ballot(vote, mask, file, line) == mask;
}

#endif

}  // namespace tenon::kit
