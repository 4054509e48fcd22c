// Sources made of sources (transforms.h).
#include <algorithm>
#include <numeric>

#include "datasets/permutation.h"
#include "datasets/transforms.h"

namespace tenon::data {
namespace {

// Passes everything on to the sample of another source that map(i) names.
class Derived : public Source {
 public:
  explicit Derived(SourcePtr base) : base_(std::move(base)) { info_ = base_->info(); }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    base_->read_image(map(i), chw);
  }
  std::int64_t label(std::int64_t i) const override { return base_->label(map(i)); }
  std::span<const float> label_vector(std::int64_t i) const override {
    return base_->label_vector(map(i));
  }
  std::string locate(std::int64_t i) const override { return base_->locate(map(i)); }

 protected:
  virtual std::int64_t map(std::int64_t i) const { return i; }
  SourcePtr base_;
};

class Fitted final : public Derived {
 public:
  Fitted(SourcePtr base, const FitOptions& options) : Derived(std::move(base)), options_(options) {
    const SourceInfo& in = base_->info();
    // One empty picture through the same function states the result's shape, or what is wrong.
    io::Image probe{in.width, in.height, in.channels, io::ByteBuffer(in.image_bytes())};
    probe = fit_image(std::move(probe), options_, in.description);
    info_.channels = probe.channels;
    info_.height = probe.height;
    info_.width = probe.width;
    info_.description += fmt::format(", as {}x{}x{}", info_.channels, info_.height, info_.width);
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    const SourceInfo& in = base_->info();
    std::vector<std::uint8_t> raw(in.image_bytes());
    base_->read_image(i, raw);
    to_chw(fit_image(from_chw(raw, in.channels, in.height, in.width), options_, "picture"), chw);
  }

 private:
  FitOptions options_;
};

class Limited final : public Derived {
 public:
  Limited(SourcePtr base, std::int64_t max_size, std::uint64_t seed) : Derived(std::move(base)) {
    const Permutation order(base_->size(), seed);
    for (std::int64_t i = 0; i < max_size; ++i) kept_.push_back(order(i));
    std::sort(kept_.begin(), kept_.end());
    info_.size = max_size;
    info_.description += fmt::format(", {} of them", max_size);
  }

 private:
  std::int64_t map(std::int64_t i) const override { return kept_[static_cast<std::size_t>(i)]; }
  std::vector<std::int64_t> kept_;
};

class Mirrored final : public Derived {
 public:
  explicit Mirrored(SourcePtr base) : Derived(std::move(base)) {
    info_.size = 2 * base_->size();
    info_.description += ", and mirrored";
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    base_->read_image(map(i), chw);
    if (i >= base_->size()) flip_x(chw, info_.width);
  }

 private:
  std::int64_t map(std::int64_t i) const override { return i % base_->size(); }
};

}  // namespace

SourcePtr fit_source(SourcePtr source, const FitOptions& options) {
  return std::make_shared<Fitted>(std::move(source), options);
}

SourcePtr limit_source(SourcePtr source, std::int64_t max_size, std::uint64_t seed) {
  check(max_size > 0, ErrorKind::Usage, "a data set of {} samples was asked for, want at least 1",
        max_size);
  if (max_size >= source->size()) return source;
  return std::make_shared<Limited>(std::move(source), max_size, seed);
}

SourcePtr mirror_source(SourcePtr source) {
  return std::make_shared<Mirrored>(std::move(source));
}

}  // namespace tenon::data
