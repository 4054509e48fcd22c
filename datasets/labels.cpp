#include "datasets/labels.h"

#include <algorithm>

namespace tenon::data {
namespace {

// One-hot vectors of this many classes are still sensible; a label above is a damaged file.
constexpr std::int64_t kMaxClasses = 1 << 20;

}  // namespace

Labels Labels::classes(std::vector<std::int64_t> values, std::int64_t classes,
                       const std::string& where) {
  Labels out;
  out.kind_ = LabelKind::Class;
  out.dim_ = classes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    check(values[i] >= 0 && values[i] < kMaxClasses, ErrorKind::Data,
          "{}: label {} of sample {} is not a class number (0..{})", where, values[i], i,
          kMaxClasses - 1);
    out.dim_ = std::max(out.dim_, values[i] + 1);
  }
  out.classes_ = std::move(values);
  return out;
}

Labels Labels::vectors(std::vector<float> values, std::int64_t dim) {
  TENON_ASSERT(dim > 0 && values.size() % static_cast<std::size_t>(dim) == 0);
  Labels out;
  out.kind_ = LabelKind::Vector;
  out.dim_ = dim;
  out.vectors_ = std::move(values);
  return out;
}

}  // namespace tenon::data
