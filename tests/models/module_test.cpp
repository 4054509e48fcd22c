// Modules: names, initial values, flat parameters, loading and saving by name.
#include "models/nn/flat.h"

#include "autograd/engine.h"
#include "autograd/variable.h"
#include "core/io/tensor_io.h"
#include "models/nn/layers.h"
#include "models/nn/state.h"
#include "ops/ops.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace tenon;

namespace {

struct Net : nn::Module {
  nn::Linear fc1{this, "fc1", 3, 5};
  nn::ModuleList<nn::Linear> layers{this, "layers"};
  nn::Parameter steps{this, "steps", {2}, nn::init::constant(7), false};
  Net() {
    layers.add(5, 5);
    layers.add(5, 2, false);
  }
  Tensor forward(const Tensor& x) const {
    return layers[1].forward(relu(layers[0].forward(relu(fc1.forward(x)))));
  }
};

std::vector<std::string> names_of(const std::vector<nn::Module::Named>& list) {
  std::vector<std::string> out;
  for (const auto& [name, p] : list) out.push_back(name);
  return out;
}
std::vector<float> values(const nn::Module& m, const std::string& name) {
  for (const auto& [n, p] : m.named())
    if (n == name) return p->tensor().to_vector<float>();
  return {};
}

void write(const std::filesystem::path& path,
           const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::vector<io::TensorToWrite> list;
  for (const auto& [name, t] : tensors) list.push_back(io::tensor_to_write(name, t));
  io::write_safetensors_file(path, std::move(list));
}

}  // namespace

TEST_CASE("names are the path from the root, in order of declaration") {
  const Net net;
  CHECK(names_of(net.named()) == std::vector<std::string>{"steps", "fc1.weight", "fc1.bias",
                                                          "layers.0.weight", "layers.0.bias",
                                                          "layers.1.weight"});
  CHECK(net.named_parameters().size() == 5);  // without the buffer
  CHECK(net.parameter_count() == 3 * 5 + 5 + 5 * 5 + 5 + 5 * 2);
}

TEST_CASE("set_training reaches the whole tree") {
  Net net;
  net.set_training(false);
  CHECK(!net.training());
  CHECK(!net.layers[1].training());
  net.set_training(true);
  CHECK(net.layers[1].training());
}

TEST_CASE("two parameters of one name are refused") {
  nn::Module root;
  const nn::Linear a(&root, "fc", 2, 2), b(&root, "fc", 2, 2);
  REQUIRE_ERROR(nn::FlatParameters(root), ErrorKind::Internal, "two parameters are named fc.bias");
}

TEST_CASE("an initial value depends on the seed and the name alone") {
  Net a, b;
  nn::initialise(a, 4);
  nn::initialise(b, 4);
  CHECK(values(a, "fc1.weight") == values(b, "fc1.weight"));
  nn::initialise(b, 5);
  CHECK(values(a, "fc1.weight") != values(b, "fc1.weight"));
  // The same name in a tree with other members and another order.
  nn::Module other;
  const nn::Linear first(&other, "first", 9, 9), fc1(&other, "fc1", 3, 5);
  nn::initialise(other, 4);
  CHECK(values(other, "fc1.weight") == values(a, "fc1.weight"));
  CHECK(values(a, "layers.0.weight") != values(a, "layers.1.weight"));
  CHECK(values(a, "fc1.bias") == std::vector<float>(5, 0));
  CHECK(values(a, "steps") == std::vector<float>(2, 7));
}

TEST_CASE("xavier_uniform fills its interval") {
  nn::Module root;
  const nn::Parameter w(&root, "w", {32, 16, 3, 3}, nn::init::xavier_uniform(0.5));
  nn::initialise(root, 1);
  const double bound = 0.5 * std::sqrt(6.0 / ((32 + 16) * 9));
  double low = 0, high = 0, sum = 0;
  for (const float x : values(root, "w")) {
    low = std::min<double>(low, x);
    high = std::max<double>(high, x);
    sum += x;
  }
  CHECK(high <= bound);
  CHECK(low >= -bound);
  CHECK(high > 0.98 * bound);
  CHECK(low < -0.98 * bound);
  CHECK(std::abs(sum / (32 * 16 * 9)) < 0.05 * bound);
}

TEST_CASE("flat parameters are views ordered by name") {
  Net net;
  nn::initialise(net, 2);
  const std::vector<float> before = values(net, "fc1.weight");
  const nn::FlatParameters flat(net);
  REQUIRE(flat.entries().size() == 5);
  for (size_t i = 0; i < flat.entries().size(); ++i) {
    const auto& e = flat.entries()[i];
    CHECK(e.offset % 16 == 0);
    if (i > 0) CHECK(flat.entries()[i - 1].name < e.name);
    CHECK(e.parameter->tensor().storage() == flat.values().storage());
    CHECK(requires_grad(e.parameter->tensor()));
  }
  CHECK(values(net, "fc1.weight") == before);
  flat.values().zero();
  CHECK(values(net, "fc1.weight") == std::vector<float>(15, 0));
  CHECK(flat.like("test").sizes() == flat.values().sizes());
}

TEST_CASE("gradients land in the flat buffer, and an untouched parameter gets zero") {
  Net net;
  nn::initialise(net, 3);
  const nn::FlatParameters flat(net);
  const Tensor x = Tensor::full({4, 3}, 0.5);
  for (int round = 0; round < 2; ++round) {  // the second overwrites the first
    flat.gradients().copy_from(Tensor::full(flat.gradients().sizes(), 9));
    flat.begin_gradients();
    backward(sum(net.fc1.forward(x)));
    flat.finish_gradients();
    for (const auto& e : flat.entries()) {
      INFO(e.name);
      const auto g = flat.view(flat.gradients(), e).to_vector<float>();
      const float want = e.name == "fc1.weight" ? 2.0f : e.name == "fc1.bias" ? 4.0f : 0.0f;
      CHECK(g == std::vector<float>(g.size(), want));
    }
  }
}

TEST_CASE("another buffer can take the weights' place and give it back") {
  Net net;
  nn::initialise(net, 3);
  const nn::FlatParameters flat(net);
  const std::vector<float> trained = values(net, "fc1.weight");
  const Tensor ema = flat.like("test");
  ema.copy_from(Tensor::full(ema.sizes(), 0.25));
  flat.use(ema);
  CHECK(values(net, "fc1.weight") == std::vector<float>(15, 0.25f));
  flat.use(flat.values());
  CHECK(values(net, "fc1.weight") == trained);
  flat.begin_gradients();
  backward(sum(net.forward(Tensor::full({2, 3}, 1))));
  flat.finish_gradients();
  CHECK(sum(square(flat.gradients())).item() > 0);
}

TEST_CASE("a snapshot comes back through a file") {
  const test::TempDir folder;
  Net a, b;
  nn::initialise(a, 1);
  nn::initialise(b, 2);
  write(folder / "model.safetensors", nn::snapshot(a));
  nn::load(b, io::SafetensorsReader(folder / "model.safetensors"));
  for (const auto& [name, p] : a.named()) CHECK(values(b, name) == p->tensor().to_vector<float>());

  // With a flat buffer: parameters from there, buffers from the model; and it is a copy.
  const nn::FlatParameters flat(a);
  const Tensor ema = flat.like("test");
  ema.copy_from(Tensor::full(ema.sizes(), 0.5));
  const auto saved = nn::snapshot(a, flat, ema);
  ema.zero();
  write(folder / "ema.safetensors", saved);
  nn::load(b, io::SafetensorsReader(folder / "ema.safetensors"));
  CHECK(values(b, "layers.1.weight") == std::vector<float>(10, 0.5f));
  CHECK(values(b, "steps") == std::vector<float>(2, 7));
}

TEST_CASE("half-precision files are converted, integers are refused") {
  const test::TempDir folder;
  Net net;
  nn::initialise(net, 1);
  auto tensors = nn::snapshot(net);
  for (auto& [name, t] : tensors)
    if (name == "fc1.bias") t = Tensor::full({5}, 1.5, DType::bf16);
  write(folder / "model.safetensors", tensors);
  nn::load(net, io::SafetensorsReader(folder / "model.safetensors"));
  CHECK(values(net, "fc1.bias") == std::vector<float>(5, 1.5f));
  for (auto& [name, t] : tensors)
    if (name == "fc1.bias") t = Tensor::full({5}, 1, DType::i64);
  write(folder / "bad.safetensors", tensors);
  REQUIRE_ERROR(nn::load(net, io::SafetensorsReader(folder / "bad.safetensors")),
                ErrorKind::Checkpoint, "fc1.bias is i64 [5], model wants f32");
}

TEST_CASE("a file that does not fit is described and changes nothing") {
  const test::TempDir folder;
  Net net;
  nn::initialise(net, 1);
  const std::vector<float> before = values(net, "layers.0.weight");
  write(folder / "model.safetensors", {{"fc1.weight", Tensor::zeros({5, 4})},
                                       {"fc1.bias_", Tensor::zeros({5})},
                                       {"layers.0.weight", Tensor::zeros({5, 5})},
                                       {"layers.0.bias", Tensor::zeros({5})},
                                       {"layers.1.weight", Tensor::zeros({2, 5})},
                                       {"steps", Tensor::zeros({2})},
                                       {"codes", Tensor::zeros({9})}});
  const io::SafetensorsReader file(folder / "model.safetensors");
  REQUIRE_ERROR(nn::load(net, file), ErrorKind::Checkpoint, "1 missing, 2 extra, 1 of other shape");
  REQUIRE_ERROR(nn::load(net, file), ErrorKind::Checkpoint,
                "fc1.weight is [5, 4], model wants [5, 3]");
  REQUIRE_ERROR(nn::load(net, file), ErrorKind::Checkpoint,
                "first missing: fc1.bias (nearest name in the file: fc1.bias_)");
  REQUIRE_ERROR(nn::load(net, file), ErrorKind::Checkpoint, "first extra: codes");
  CHECK(values(net, "layers.0.weight") == before);
}

TEST_CASE("names may be ignored or optional by rule") {
  const test::TempDir folder;
  Net net;
  nn::initialise(net, 1);
  auto tensors = nn::snapshot(net);
  std::erase_if(tensors, [](const auto& t) { return t.first.starts_with("layers."); });
  tensors.emplace_back("codes", Tensor::zeros({9}));
  write(folder / "model.safetensors", tensors);
  const io::SafetensorsReader file(folder / "model.safetensors");
  const std::vector<float> kept = values(net, "layers.1.weight");
  nn::load(net, file, {.ignore = {"codes"}, .optional = {"layers."}});
  CHECK(values(net, "layers.1.weight") == kept);
  REQUIRE_ERROR(nn::load(net, file, {.ignore = {}, .optional = {"layers."}}), ErrorKind::Checkpoint,
                "1 extra");
  REQUIRE_ERROR(nn::load(net, file, {.ignore = {"codes"}, .optional = {"layers.1."}}),
                ErrorKind::Checkpoint, "2 missing");
}
