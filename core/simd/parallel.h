// Loops over all cores, on OpenMP's thread pool (the one that oneDNN and OpenBLAS use as well; a
// second pool would fight it for the cores).
//
// Work is cut into more pieces than threads and handed out as threads come free, so a core that is
// busy with somebody else's process slows a loop by its share instead of stalling it. No loop runs
// inside another: the inner one is serial. Waiting threads sleep; see use_passive_waiting().
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace tenon {

// Threads used by loops, oneDNN and OpenBLAS. Default: OMP_NUM_THREADS, else the physical cores
// that the affinity mask and the control group's CPU quota allow.
int threads();

// count >= 1; takes effect for the next loop. Not to be called inside a loop.
void set_threads(int count);

// True inside a loop body that runs beside others.
bool in_parallel();

// Makes threads() hold for OpenMP regions that the calling thread opens in other libraries.
void apply_threads_to_openmp();

// libgomp reads its wait policy before any of our code runs, and its default (spin for
// milliseconds) makes every parallel region wait for the scheduler once a foreign process takes a
// core: measured on 2 cores, see docs/performance.md. Programs call this first in main: unless
// OMP_WAIT_POLICY is set already, it sets it to "passive" and restarts the program (same process
// id, about 5 ms).
void use_passive_waiting(char** argv);

namespace detail {
// Calls body(context, i) for 0 <= i < count, each once, over the threads; the first exception is
// rethrown after all have ended.
void parallel_run(int64_t count, void (*body)(void*, int64_t), void* context);
}  // namespace detail

// fn(begin, end) over pieces that cover [0, n). A piece has at least `grain` items (the last one
// may have fewer); choose it so that a piece takes 10 us or more. n <= grain runs in place.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& fn) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int team = n <= grain ? 1 : threads();
  if (team == 1 || in_parallel()) {
    fn(int64_t{0}, n);
    return;
  }
  const int64_t pieces = std::min<int64_t>(n / grain, int64_t{4} * team);
  const int64_t step = (n + pieces - 1) / pieces;
  struct Context {
    std::remove_reference_t<F>* fn;
    int64_t n, step;
  } context{&fn, n, step};
  detail::parallel_run((n + step - 1) / step,
                       [](void* data, int64_t i) {
                         auto& c = *static_cast<Context*>(data);
                         (*c.fn)(i * c.step, std::min(c.n, (i + 1) * c.step));
                       },
                       &context);
}

// combine(...combine(init, map(0, chunk)), map(chunk, 2 * chunk)...): the pieces depend on n and
// chunk only and are combined in order, so the result does not depend on the number of threads.
template <class T, class Map, class Combine>
T parallel_reduce_chunks(int64_t n, int64_t chunk, T init, Map&& map, Combine&& combine) {
  if (n <= 0) return init;
  const int64_t count = (n + chunk - 1) / chunk;
  std::vector<T> partial(static_cast<size_t>(count), init);
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      partial[static_cast<size_t>(i)] = map(i * chunk, std::min(n, (i + 1) * chunk));
  });
  for (const T& value : partial) init = combine(init, value);
  return init;
}

}  // namespace tenon
