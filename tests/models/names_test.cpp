// Parameter names, shapes and counts are those of the published networks: what
// models/qac/names-*.txt list (one a line, in the order of the state_dict, buffers included) is
// what the presets build.
#include <sstream>

#include "models/qac/model.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "trainers/qac/config.h"

using namespace tenon;

namespace {

// The network of a preset of tenon-train-qac.
qac::ModelConfig preset(const std::string& name, bool condition = true) {
  qac::Config c;
  config::Table table;
  qac::describe(table, c);
  config::CommandLine command(qac::train_program(), table,
                              {"--preset", name, condition ? "--condition" : "--no-condition"}, {});
  command.resolve();
  return qac::model_config(c);
}

// The first line that differs, for a message one can read.
void require_same_lines(const std::string& got, const std::string& want) {
  std::istringstream a(got), b(want);
  std::string x, y;
  for (int line = 1;; ++line) {
    const bool more_a = static_cast<bool>(std::getline(a, x)),
               more_b = static_cast<bool>(std::getline(b, y));
    INFO("line " << line << ": got '" << (more_a ? x : "") << "', want '" << (more_b ? y : "")
                 << "'");
    REQUIRE(more_a == more_b);
    if (!more_a) return;
    REQUIRE(x == y);
  }
}

void check_names(const qac::Model& model, const std::string& golden) {
  std::string got;
  for (const auto& [name, p] : model.named())
    got += name + " " + to_string(p->tensor().sizes()) + "\n";
  const std::filesystem::path file =
      std::filesystem::path(TENON_SOURCE_DIR) / "models/qac" / golden;
  require_same_lines(got, test::read_file(file));
}

int64_t count(const qac::Model& model, const std::string& prefix) {
  int64_t n = 0;
  for (const auto& [name, p] : model.named_parameters())
    if (name.starts_with(prefix)) n += p->tensor().numel();
  return n;
}

constexpr int64_t kLabelMap = 11 * 128;  // map_label of a code of 10

}  // namespace

TEST_CASE("the unconditional CIFAR-10 network has the published names") {
  const qac::Model model(preset("cifar10-uncond", false));
  check_names(model, "names-cifar10-uncond.txt");
  CHECK(model.parameter_count() == 55'733'891);
  CHECK(model.encoder() == nullptr);
}

TEST_CASE("the CIFAR-10 preset adds a label map and an encoder of one per cent") {
  const qac::Model model(preset("cifar10-uncond"));
  check_names(model, "names-cifar10-qac.txt");
  CHECK(count(model, "model.") == 55'733'891 + kLabelMap);
  CHECK(count(model, "encoder.") == 572'736);
}

TEST_CASE("the 64x64 networks have the published number of parameters") {
  CHECK(qac::Model(preset("ffhq64", false)).parameter_count() == 61'805'571);
  const qac::Model ffhq(preset("ffhq64"));
  CHECK(count(ffhq, "model.") == 61'805'571 + kLabelMap);
  CHECK(count(ffhq, "encoder.") == 593'616);
  const qac::ModelConfig afhq = preset("afhqv2-64");  // another dropout and a shorter code
  CHECK(afhq.unet.dropout == 0.25);
  CHECK(afhq.encoder.code_dim == 8);
  CHECK(qac::Model(afhq).parameter_count() == 61'805'571 + 9 * 128 + 593'616 - 2 * 3072);
}

TEST_CASE("the residual network adds its own names") {
  qac::ModelConfig config;
  config.condition = false;
  config.unet = {.img_resolution = 16,
                 .augment_dim = 0,
                 .model_channels = 8,
                 .channel_mult = {1, 2},
                 .num_blocks = 1,
                 .embedding_type = "fourier",
                 .channel_mult_noise = 2,
                 .encoder_type = "residual",
                 .resample_filter = {1, 3, 3, 1}};
  const qac::Model model(config);
  const auto shape = [&](const std::string& name) -> std::string {
    for (const auto& [n, p] : model.named())
      if (n == name) return to_string(p->tensor().sizes()) + (p->trainable() ? "" : " buffer");
    return "none";
  };
  CHECK(shape("model.map_noise.freqs") == "[8] buffer");
  CHECK(shape("model.enc.8x8_aux_residual.weight") == "[8, 3, 3, 3]");
  CHECK(shape("model.enc.8x8_aux_residual.bias") == "[8]");
  CHECK(shape("model.enc.8x8_aux_residual.resample_filter") == "[1, 1, 4, 4] buffer");
  CHECK(shape("model.enc.16x16_aux_residual.weight") == "none");
  CHECK(shape("model.map_augment.weight") == "none");
}
