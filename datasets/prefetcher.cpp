#include "datasets/prefetcher.h"

#include <algorithm>
#include <chrono>

namespace tenon::data {
namespace {

// Samples a worker takes at once: enough to make the lock cheap beside even a plain copy.
constexpr std::int64_t kChunk = 8;

}  // namespace

Prefetcher::Prefetcher(SourcePtr source, Sampler sampler, PrefetchOptions options,
                       std::int64_t first_step)
    : source_(std::move(source)),
      sampler_(sampler),
      options_(std::move(options)),
      next_step_(first_step),
      claim_step_(first_step),
      released_(first_step) {
  check(sampler_.size() == source_->size(), ErrorKind::Internal,
        "internal: a sampler of {} for a source of {}", sampler_.size(), source_->size());
  check(options_.depth > 0 && options_.workers >= 0, ErrorKind::Usage,
        "prefetching with {} workers and depth {}", options_.workers, options_.depth);
  rank_positions(0, options_.batch, options_.rank, options_.world);  // refuses what does not divide
  slots_.resize(static_cast<std::size_t>(options_.workers ? options_.depth + 1 : 1));
  for (int i = 0; i < options_.workers; ++i) threads_.emplace_back([this] { worker(); });
}

Prefetcher::~Prefetcher() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_there_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Prefetcher::can_claim() const {
  return claim_step_ < released_ + static_cast<std::int64_t>(slots_.size());
}

// Takes the next samples in order; the mutex is held.
Prefetcher::Work Prefetcher::claim() {
  Slot& slot = slot_of(claim_step_);
  if (slot.batch.step != claim_step_) start(slot, claim_step_);
  const std::int64_t begin = slot.claimed;
  const std::int64_t end = std::min(begin + kChunk, slot.batch.size);
  slot.claimed = end;
  if (end == slot.batch.size) ++claim_step_;
  return {&slot, begin, end};
}

void Prefetcher::start(Slot& slot, std::int64_t step) {
  const SourceInfo& info = source_->info();
  Batch& batch = slot.batch;
  batch.step = step;
  batch.positions = rank_positions(step, options_.batch, options_.rank, options_.world);
  batch.size = static_cast<std::int64_t>(batch.positions.size());
  const std::size_t n = batch.positions.size();
  batch.indices.assign(n, -1);
  batch.images.resize(n * info.image_bytes());
  batch.labels.resize(info.label_kind == LabelKind::Class ? n : 0);
  if (info.label_kind == LabelKind::Vector)
    batch.label_vectors.resize(n * static_cast<std::size_t>(info.label_dim));
  slot.claimed = slot.done = 0;
  slot.error_at = -1;
  slot.error = nullptr;
}

void Prefetcher::worker() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_there_.wait(lock, [&] { return stop_ || can_claim(); });
    if (stop_) return;
    const Work work = claim();
    lock.unlock();
    decode(work);
    lock.lock();
  }
}

void Prefetcher::decode(const Work& work) {
  std::exception_ptr error;
  std::int64_t i = work.begin;
  try {
    for (; i < work.end; ++i) decode_sample(work.slot->batch, i);
  } catch (...) {
    error = std::current_exception();
  }
  std::lock_guard lock(mutex_);
  Slot& slot = *work.slot;
  if (error && (slot.error_at < 0 || i < slot.error_at)) {
    slot.error = error;
    slot.error_at = i;
  }
  slot.done += work.end - work.begin;
  if (slot.done == slot.batch.size) batch_done_.notify_all();
}

void Prefetcher::decode_sample(Batch& batch, std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  const std::size_t bytes = source_->info().image_bytes();
  const std::span<std::uint8_t> image = std::span(batch.images).subspan(at * bytes, bytes);
  std::int64_t index = sampler_.index(batch.positions[at]);
  for (;;) {
    try {
      source_->read_image(index, image);
      break;
    } catch (const Error& error) {
      if (!skip(index, error)) throw described(index, error);
    }
    index = (index + 1) % source_->size();
  }
  batch.indices[at] = index;
  if (!batch.labels.empty()) batch.labels[at] = source_->label(index);
  if (!batch.label_vectors.empty()) {
    const std::span<const float> row = source_->label_vector(index);
    std::copy(row.begin(), row.end(),
              batch.label_vectors.begin() + static_cast<std::ptrdiff_t>(at * row.size()));
  }
}

// Whether a bad sample may be passed over.
bool Prefetcher::skip(std::int64_t index, const Error& error) {
  if (options_.skip_limit == 0 || error.kind() != ErrorKind::Data) return false;
  std::lock_guard lock(mutex_);
  const bool fresh = bad_.insert(index).second;
  const auto count = static_cast<std::int64_t>(bad_.size());
  if (count > options_.skip_limit || count >= source_->size()) return false;
  if (fresh && options_.on_skip)
    options_.on_skip(fmt::format("{}; skipped ({} of at most {})",
                                 described(index, error).message(), count, options_.skip_limit));
  return true;
}

Error Prefetcher::described(std::int64_t index, const Error& error) const {
  const std::string where = source_->locate(index);
  // Many messages start with the place already.
  const std::string text = error.message().find(where) != std::string::npos
                               ? fmt::format("sample {}: {}", index, error.message())
                               : fmt::format("sample {} ({}): {}", index, where, error.message());
  return Error(error.kind(), text, error.hint());
}

const Batch& Prefetcher::next() {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  released_ = next_step_;  // the batch handed out last may be overwritten now
  work_there_.notify_all();
  Slot& slot = slot_of(next_step_);
  const auto ready = [&] { return slot.batch.step == next_step_ && slot.done == slot.batch.size; };
  const Clock::time_point start = Clock::now();
  if (options_.workers == 0) {
    while (!ready()) {
      const Work work = claim();
      lock.unlock();
      decode(work);
      lock.lock();
    }
  } else {
    batch_done_.wait(lock, ready);
  }
  wait_seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
  if (slot.error) std::rethrow_exception(slot.error);
  ++next_step_;
  return slot.batch;
}

std::int64_t Prefetcher::skipped() const {
  std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(bad_.size());
}

}  // namespace tenon::data
