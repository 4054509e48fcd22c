#include "datasets/generated.h"

#include <algorithm>
#include <cstring>

#include "core/base/rng.h"

namespace tenon::data {
namespace {

class GeneratedSource final : public Source {
 public:
  explicit GeneratedSource(const GeneratedOptions& options)
      : images_(RngKey{options.seed}.fold("generated images")),
        labels_(RngKey{options.seed}.fold("generated labels")),
        seed_(options.seed) {
    check(
        options.size > 0 && options.channels > 0 && options.resolution > 0 && options.classes >= 0,
        ErrorKind::Usage, "generated data: {} images {}x{}x{}, {} classes", options.size,
        options.channels, options.resolution, options.resolution, options.classes);
    info_.size = options.size;
    info_.channels = options.channels;
    info_.height = info_.width = options.resolution;
    info_.label_kind = options.classes > 0 ? LabelKind::Class : LabelKind::None;
    info_.label_dim = options.classes;
    info_.description =
        fmt::format("generated with seed {}, {}", options.seed, describe_shape(info_));
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    for (std::size_t at = 0, block = 0; at < chw.size(); at += 16, ++block) {
      const Philox4 r = images_.block(block, static_cast<std::uint64_t>(i));
      std::memcpy(chw.data() + at, r.v, std::min<std::size_t>(16, chw.size() - at));
    }
  }
  std::int64_t label(std::int64_t i) const override {
    if (info_.label_dim == 0) return -1;
    const std::uint32_t r = labels_.block(0, static_cast<std::uint64_t>(i)).v[0];
    return static_cast<std::int64_t>(r * static_cast<std::uint64_t>(info_.label_dim) >> 32);
  }
  std::string locate(std::int64_t i) const override {
    return fmt::format("generated, seed {}, number {}", seed_, i);
  }

 private:
  RngKey images_, labels_;
  std::uint64_t seed_;
};

}  // namespace

SourcePtr make_generated(const GeneratedOptions& options) {
  return std::make_shared<GeneratedSource>(options);
}

}  // namespace tenon::data
