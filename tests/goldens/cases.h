// Reference cases in $TENON_GOLDENS/NAME/: files found by prefix, tensors by key, and the
// comparison with the tolerances that the cases' README states.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "core/io/tensor_io.h"
#include "models/nn/module.h"
#include "ops/pointwise/cast.h"
#include "tests/support/catch.h"

namespace tenon::golden {

class Case {
 public:
  explicit Case(const std::filesystem::path& path)
      : name_(path.filename().string()),
        file_(path, ErrorKind::Data),
        config_(io::parse_json(file_.metadata().at("config"), name_)) {}

  const std::string& name() const { return name_; }
  const nlohmann::json& config() const { return config_; }
  bool has(const std::string& key) const { return file_.contains(key); }
  Tensor at(const std::string& key) const {
    return io::read_tensor(file_.at(key), ErrorKind::Data);
  }
  // Undefined when the case has no such tensor.
  Tensor maybe(const std::string& key) const { return has(key) ? at(key) : Tensor(); }
  std::vector<std::string> keys(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const auto& [key, entry] : file_.tensors())
      if (key.starts_with(prefix)) out.push_back(key);
    return out;
  }

  // max |got - want| <= tolerance * max |want|.
  void close(const Tensor& got, const std::string& key, double tolerance) const {
    INFO(name_ << " " << key);
    REQUIRE(got.defined());
    const Tensor want = at(key);
    REQUIRE(got.sizes() == want.sizes());
    const Difference d = difference(got.detach(), want);
    INFO("largest error " << d.max_abs << " of " << d.max_ref << " at " << d.index);
    CHECK(d.max_abs <= tolerance * std::max(d.max_ref, 1e-12));
  }
  void close_absolute(const Tensor& got, const std::string& key, double tolerance) const {
    INFO(name_ << " " << key);
    REQUIRE(got.defined());
    const Difference d = difference(got.detach(), at(key));
    INFO("largest error " << d.max_abs << " at " << d.index);
    CHECK(d.max_abs <= tolerance);
  }

  // Loads param.<prefix><name> into every parameter and buffer of a module; all must be there.
  void load(const nn::Module& module, const std::string& prefix = "param.") const {
    for (const auto& [name, p] : module.named()) {
      INFO(name_ << " " << prefix + name);
      REQUIRE(has(prefix + name));
      const Tensor value = at(prefix + name);
      REQUIRE(value.sizes() == p->tensor().sizes());
      p->tensor().copy_from(cast(value, p->tensor().dtype()));
    }
  }

 private:
  std::string name_;
  io::SafetensorsReader file_;
  nlohmann::json config_;
};

// Cases of $TENON_GOLDENS/<paper>/<prefix>*.safetensors, by name.
inline std::vector<std::filesystem::path> find_cases(const std::string& paper,
                                                     const std::string& prefix) {
  std::vector<std::filesystem::path> out;
  const char* root = std::getenv("TENON_GOLDENS");
  const std::filesystem::path folder = root ? std::filesystem::path(root) / paper : "";
  if (!root || !std::filesystem::is_directory(folder)) return out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".safetensors")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Runs `body` for each case of a prefix and says how many ran; without any the test is skipped.
template <class Body>
void for_cases(const std::string& paper, const std::string& prefix, Body&& body) {
  const auto cases = find_cases(paper, prefix);
  if (cases.empty()) TENON_SKIP("no " + paper + "/" + prefix + "*.safetensors; set TENON_GOLDENS");
  for (const auto& path : cases) body(Case(path));
  std::printf("goldens %s/%s*: %zu ran\n", paper.c_str(), prefix.c_str(), cases.size());
}

template <class T>
T value_or(const nlohmann::json& json, const char* key, T other) {
  return json.contains(key) ? json.at(key).get<T>() : other;
}

}  // namespace tenon::golden
