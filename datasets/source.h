// A source of samples: pictures by number, each with a label, decoded when asked for.
//
// All sources hand out u8 CHW bytes of one size; what differs on disk (interleaved, grey, 28x28,
// PNG) ends here or in transforms.h. Sources are immutable after construction, and read() may be
// called from many threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace tenon::data {

enum class LabelKind {
  None,    // no labels
  Class,   // one integer in [0, label_dim)
  Vector,  // label_dim floats
};

struct SourceInfo {
  std::int64_t size = 0;  // samples
  int channels = 0, height = 0, width = 0;
  LabelKind label_kind = LabelKind::None;
  std::int64_t label_dim = 0;  // classes, or floats in a vector
  std::string description;     // "fashion-mnist (IDX), 60000 images 1x28x28, 10 classes"

  std::size_t image_bytes() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
};

struct Sample {
  std::vector<std::uint8_t> image;  // [C, H, W]
  std::int64_t label = -1;          // Class
  std::vector<float> label_vector;  // Vector
};

class Source {
 public:
  virtual ~Source() = default;

  const SourceInfo& info() const { return info_; }
  std::int64_t size() const { return info_.size; }

  // Writes sample i's picture to `chw` (image_bytes() bytes).
  virtual void read_image(std::int64_t i, std::span<std::uint8_t> chw) const = 0;
  virtual std::int64_t label(std::int64_t) const { return -1; }
  virtual std::span<const float> label_vector(std::int64_t) const { return {}; }
  // Where sample i lies, for error messages: "train.zip:00000/img00000007.png",
  // "data_batch_1.bin, offset 21511".
  virtual std::string locate(std::int64_t i) const = 0;

  Sample read(std::int64_t i) const;

 protected:
  SourceInfo info_;
};

using SourcePtr = std::shared_ptr<const Source>;

// "60000 images 1x28x28, 10 classes".
std::string describe_shape(const SourceInfo& info);

}  // namespace tenon::data
