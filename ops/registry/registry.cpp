#include <algorithm>
#include <map>

#include "core/io/file.h"
#include "ops/registry/op.h"

namespace tenon {

namespace {

// Node-based: references to OpInfo stay valid.
std::map<std::string, OpInfo, std::less<>>& table() {
  static std::map<std::string, OpInfo, std::less<>> ops;
  return ops;
}

}  // namespace

namespace detail {

OpInfo& op_slot(const char* name) {
  return table()[name];
}

void add_implementation(const char* op, const Implementation& impl) {
  auto& list = op_slot(op).implementations[static_cast<int>(impl.device)];
  // Same rank: by name, so that the order does not depend on the linker.
  const auto before = [](const Implementation& a, const Implementation& b) {
    return a.rank != b.rank ? a.rank > b.rank : std::string_view(a.name) < b.name;
  };
  list.insert(std::upper_bound(list.begin(), list.end(), impl, before), impl);
}

}  // namespace detail

std::vector<const OpInfo*> all_ops() {
  std::vector<const OpInfo*> out;
  for (const auto& [name, info] : table())
    if (info.infer) out.push_back(&info);
  return out;
}

const OpInfo& find_op(std::string_view name) {
  const auto it = table().find(name);
  if (it != table().end() && it->second.infer) return it->second;
  std::vector<std::string> names;
  for (const OpInfo* op : all_ops()) names.push_back(op->traits.name);
  const std::string near = io::nearest_name(name, names);
  throw_hint(ErrorKind::Usage, near.empty() ? "" : fmt::format("did you mean {}?", near),
             "there is no op '{}'", name);
}

TensorMeta like(const Tensor& t) {
  return like(t, t.dtype());
}
TensorMeta like(const Tensor& t, DType dtype) {
  return {t.sizes(), dtype, t.is_channels_last() ? t.strides() : Dims{}};
}
TensorMeta dense_like(const Tensor& t, DType dtype) {
  TensorMeta meta{t.sizes(), dtype, {}};
  if (t.is_contiguous()) return meta;
  SmallVec<size_t, 6> order;
  for (size_t d = 0; d < t.sizes().size(); ++d) {
    if (t.sizes()[d] != 1 && t.strides()[d] <= 0) return meta;  // broadcast: no order to keep
    order.push_back(d);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return t.strides()[a] > t.strides()[b]; });
  Dims strides(order.size());
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = step;
    step *= std::max<int64_t>(t.sizes()[order[i]], 1);
  }
  if (strides != contiguous_strides(t.sizes())) meta.strides = std::move(strides);
  return meta;
}
TensorMeta image_like(const Tensor& order, Dims sizes, DType dtype) {
  Dims strides;
  if (sizes.size() == 4 && order.is_channels_last()) strides = channels_last_strides(sizes);
  return {std::move(sizes), dtype, std::move(strides)};
}

InputSpec floats(Dims shape, double low, double high) {
  InputSpec s;
  s.shape = std::move(shape);
  s.low = low;
  s.high = high;
  return s;
}
InputSpec statistics(Dims shape, double low, double high) {
  InputSpec s = floats(std::move(shape), low, high);
  s.keeps_f32 = true;
  return s;
}
InputSpec ints(Dims shape, int64_t low, int64_t high) {
  InputSpec s;
  s.shape = std::move(shape);
  s.kind = InputSpec::Kind::Int;
  s.low = static_cast<double>(low);
  s.high = static_cast<double>(high);
  s.differentiable = false;
  return s;
}
InputSpec none() {
  InputSpec s;
  s.kind = InputSpec::Kind::None;
  s.differentiable = false;
  return s;
}

}  // namespace tenon
