// Labels of a whole data set in one place, so that every source states and checks them alike.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/source.h"

namespace tenon::data {

class Labels {
 public:
  static Labels none() { return {}; }
  // Integers >= 0; the number of classes is at least `classes` and at least the largest plus 1.
  static Labels classes(std::vector<std::int64_t> values, std::int64_t classes,
                        const std::string& where);
  // Rows of `dim` floats.
  static Labels vectors(std::vector<float> values, std::int64_t dim);

  void describe(SourceInfo& info) const {
    info.label_kind = kind_;
    info.label_dim = dim_;
  }
  std::int64_t label(std::int64_t i) const {
    return kind_ == LabelKind::Class ? classes_[static_cast<std::size_t>(i)] : -1;
  }
  std::span<const float> vector(std::int64_t i) const {
    if (kind_ != LabelKind::Vector) return {};
    return {vectors_.data() + i * dim_, static_cast<std::size_t>(dim_)};
  }

 private:
  LabelKind kind_ = LabelKind::None;
  std::int64_t dim_ = 0;
  std::vector<std::int64_t> classes_;
  std::vector<float> vectors_;
};

}  // namespace tenon::data
