#include "models/nn/state.h"

#include <algorithm>
#include <set>

#include "core/io/file.h"
#include "core/io/tensor_io.h"
#include "ops/pointwise/cast.h"

namespace tenon::nn {

namespace {

bool listed(const std::vector<std::string>& rules, const std::string& name) {
  return std::any_of(rules.begin(), rules.end(), [&](const std::string& rule) {
    return rule == name || (rule.ends_with('.') && name.starts_with(rule));
  });
}

Dims dims_of(const io::TensorEntry& e) {
  return Dims(e.shape.begin(), e.shape.end());
}

Tensor copy_of(const Tensor& t) {
  Tensor out = Tensor::empty(t.sizes(), t.dtype());
  out.copy_from(t);
  return out;
}

}  // namespace

void load(const Module& model, const io::SafetensorsReader& file, const LoadRules& rules) {
  std::vector<std::string> missing, misshaped, extra, names;
  std::set<std::string> known;
  const auto all = model.named();
  for (const auto& [name, p] : all) {
    known.insert(name);
    if (!file.contains(name)) {
      if (!listed(rules.optional, name)) missing.push_back(name);
      continue;
    }
    const io::TensorEntry& e = file.at(name);
    if (dims_of(e) != p->tensor().sizes())
      misshaped.push_back(fmt::format("{} is {}, model wants {}", name, to_string(dims_of(e)),
                                      to_string(p->tensor().sizes())));
  }
  for (const auto& [name, e] : file.tensors()) {
    names.push_back(name);
    if (!known.count(name) && !listed(rules.ignore, name)) extra.push_back(name);
  }
  if (!missing.empty() || !misshaped.empty() || !extra.empty()) {
    std::string first;
    if (!misshaped.empty()) first += "; first of other shape: " + misshaped[0];
    if (!missing.empty()) {
      first += "; first missing: " + missing[0];
      const std::string near = io::nearest_name(missing[0], names);
      if (!near.empty()) first += fmt::format(" (nearest name in the file: {})", near);
    }
    if (!extra.empty()) first += "; first extra: " + extra[0];
    throw_error(ErrorKind::Checkpoint,
                "{} does not fit the model: {} missing, {} extra, {} of other shape{}",
                file.path().string(), missing.size(), extra.size(), misshaped.size(), first);
  }
  for (const auto& [name, p] : all) {
    if (!file.contains(name)) continue;
    const Tensor value = io::read_tensor(file.at(name));
    check(is_float(value.dtype()) == is_float(p->tensor().dtype()), ErrorKind::Checkpoint,
          "{}: {} is {}, model wants {}", file.path().string(), name, value.describe(),
          dtype_name(p->tensor().dtype()));
    copy_values(value, p->tensor());
  }
}

std::vector<std::pair<std::string, Tensor>> snapshot(const Module& model) {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const auto& [name, p] : model.named()) out.emplace_back(name, copy_of(p->tensor()));
  return out;
}

std::vector<std::pair<std::string, Tensor>> snapshot(const Module& model,
                                                     const FlatParameters& layout,
                                                     const Tensor& flat) {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const auto& e : layout.entries()) out.emplace_back(e.name, copy_of(layout.view(flat, e)));
  for (const auto& [name, p] : model.named())
    if (!p->trainable()) out.emplace_back(name, copy_of(p->tensor()));
  return out;
}

}  // namespace tenon::nn
