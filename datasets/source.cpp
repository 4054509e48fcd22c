#include "datasets/source.h"

namespace tenon::data {

Sample Source::read(std::int64_t i) const {
  check(i >= 0 && i < size(), ErrorKind::Internal, "internal: sample {} of {}", i, size());
  Sample sample;
  sample.image.resize(info_.image_bytes());
  read_image(i, sample.image);
  sample.label = label(i);
  const std::span<const float> vector = label_vector(i);
  sample.label_vector.assign(vector.begin(), vector.end());
  return sample;
}

std::string describe_shape(const SourceInfo& info) {
  std::string out = fmt::format("{} image{} {}x{}x{}", info.size, info.size == 1 ? "" : "s",
                                info.channels, info.height, info.width);
  if (info.label_kind == LabelKind::Class) out += fmt::format(", {} classes", info.label_dim);
  if (info.label_kind == LabelKind::Vector)
    out += fmt::format(", label vectors of {}", info.label_dim);
  return out;
}

}  // namespace tenon::data
