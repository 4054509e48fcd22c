// Reference cases of the data side: every augment*.safetensors and dataset*.safetensors in
// $TENON_GOLDENS/qac, with the configuration in the file's own metadata.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "core/io/json.h"
#include "core/io/safetensors.h"
#include "datasets/augment.h"
#include "datasets/open_source.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon {
namespace {

using io::fs::path;

path folder() {
  const char* root = std::getenv("TENON_GOLDENS");
  return root ? path(root) / "qac" : path();
}

std::vector<path> cases(const std::string& prefix) {
  std::vector<path> out;
  if (!io::fs::is_directory(folder())) return out;
  for (const auto& entry : io::fs::directory_iterator(folder())) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".safetensors")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

template <class T>
std::vector<T> values(const io::SafetensorsReader& file, const std::string& name) {
  const io::TensorEntry& entry = file.at(name);
  const std::map<std::string, std::string> types = {{"F32", typeid(float).name()},
                                                    {"I64", typeid(std::int64_t).name()},
                                                    {"U8", typeid(std::uint8_t).name()}};
  REQUIRE(types.at(entry.dtype) == typeid(T).name());
  std::vector<T> out(entry.data.size() / sizeof(T));
  std::memcpy(out.data(), entry.data.data(), entry.data.size());
  return out;
}

io::Json config_of(const io::SafetensorsReader& file) {
  return io::parse_json(file.metadata().at("config"), file.path().string() + " config");
}

data::AugmentConfig augment_config(const io::Json& json) {
  data::AugmentConfig config;
  const std::map<std::string, double*> fields = {{"p", &config.p},
                                                 {"xflip", &config.xflip},
                                                 {"yflip", &config.yflip},
                                                 {"scale", &config.scale},
                                                 {"rotate", &config.rotate},
                                                 {"rotate_frac", &config.rotate},
                                                 {"aniso", &config.aniso},
                                                 {"translate", &config.translate},
                                                 {"translate_frac", &config.translate},
                                                 {"scale_std", &config.scale_std},
                                                 {"rotate_max", &config.rotate_max},
                                                 {"rotate_frac_max", &config.rotate_max},
                                                 {"aniso_std", &config.aniso_std},
                                                 {"aniso_rotate_prob", &config.aniso_rotate_prob},
                                                 {"translate_std", &config.translate_std},
                                                 {"translate_frac_std", &config.translate_std}};
  for (const auto& [key, value] : json.items()) {
    INFO("key " << key);
    REQUIRE(fields.count(key) == 1);
    *fields.at(key) = value.get<double>();
  }
  return config;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - b[i]);
    largest = d >= largest ? d : std::isnan(d) ? 1e300 : largest;
  }
  return largest;
}

}  // namespace

TEST_CASE("goldens: qac augment") {
  const std::vector<path> files = cases("augment");
  if (files.empty()) TENON_SKIP("TENON_GOLDENS names no folder with qac/augment*.safetensors");
  for (const path& p : files) {
    INFO(p.string());
    const io::SafetensorsReader file(p);
    const data::AugmentConfig config = augment_config(config_of(file));
    const std::vector<std::int64_t>& shape = file.at("input.images").shape;
    const auto n = static_cast<std::size_t>(shape[0]);
    std::vector<data::AugmentDraws> draws(n);
    const auto read = [&](const std::string& name, float data::AugmentDraws::*field,
                          std::size_t row = 0) {
      if (!file.contains("input." + name)) return;
      const std::vector<float> v = values<float>(file, "input." + name);
      REQUIRE(v.size() >= (row + 1) * n);
      for (std::size_t i = 0; i < n; ++i) draws[i].*field = v[row * n + i];
    };
    using D = data::AugmentDraws;
    read("u_x", &D::u_x), read("u_xbit", &D::u_xbit), read("u_y", &D::u_y);
    read("u_ybit", &D::u_ybit), read("u_scale", &D::u_scale), read("n_scale", &D::n_scale);
    read("u_rot", &D::u_rot), read("u_rotv", &D::u_rotv), read("u_aniso", &D::u_aniso);
    read("n_aniso", &D::n_aniso), read("u_anisorot", &D::u_anisorot);
    read("u_anisov", &D::u_anisov), read("u_trans", &D::u_trans);
    read("n_trans", &D::n_trans_x, 0), read("n_trans", &D::n_trans_y, 1);

    const std::vector<float> in = values<float>(file, "input.images");
    std::vector<float> out(in.size()), labels(n * static_cast<std::size_t>(config.label_dim()));
    data::augment(in, {shape[0], shape[1], shape[2], shape[3]}, draws, config, out, labels);
    CHECK(largest_difference(out, values<float>(file, "output.images")) <= 1e-4);
    CHECK(largest_difference(labels, values<float>(file, "output.labels")) <= 1e-5);
  }
  std::printf("goldens: %zu augment cases\n", files.size());
}

TEST_CASE("goldens: qac dataset") {
  const std::vector<path> files = cases("dataset");
  if (files.empty()) TENON_SKIP("TENON_GOLDENS names no folder with qac/dataset*.safetensors");
  for (const path& p : files) {
    INFO(p.string());
    const io::SafetensorsReader file(p);
    const io::Json config = config_of(file);
    const data::SourcePtr source =
        data::open_source((p.parent_path() / config.at("zip").get<std::string>()).string());
    const data::SourceInfo& info = source->info();
    const std::vector<std::int64_t>& shape = file.at("output.images").shape;
    REQUIRE(std::vector<std::int64_t>{info.size, info.channels, info.height, info.width} == shape);

    std::vector<std::uint8_t> images;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < source->size(); ++i) {
      const data::Sample sample = source->read(i);
      images.insert(images.end(), sample.image.begin(), sample.image.end());
      labels.push_back(sample.label);
      if (config.contains("files"))
        CHECK(source->locate(i).ends_with(
            config.at("files").at(static_cast<std::size_t>(i)).get<std::string>()));
    }
    const bool same_images = images == values<std::uint8_t>(file, "output.images");
    CHECK(same_images);
    CHECK(labels == values<std::int64_t>(file, "output.labels"));

    const auto scaled = [](const std::vector<std::uint8_t>& image) {
      std::vector<float> out(image.size());
      data::to_network_scale(image, out);
      return out;
    };
    // Vectors are compared inside, so that a failure does not print all of them.
    const bool plain =
        scaled(source->read(0).image) == values<float>(file, "output.net_input_image0");
    CHECK(plain);
    const data::SourcePtr doubled = data::mirror_source(source);
    const bool flipped = scaled(doubled->read(source->size()).image) ==
                         values<float>(file, "output.net_input_image0_xflip");
    CHECK(flipped);

    if (!file.contains("input.cifar_bytes")) continue;
    const test::TempDir temp;
    const io::ByteView raw = file.at("input.cifar_bytes").data;
    const data::SourcePtr cifar = data::open_source(temp.write("c.bin", io::as_text(raw)).string());
    images.clear();
    labels.clear();
    for (std::int64_t i = 0; i < cifar->size(); ++i) {
      const data::Sample sample = cifar->read(i);
      images.insert(images.end(), sample.image.begin(), sample.image.end());
      labels.push_back(sample.label);
    }
    const bool same_cifar = images == values<std::uint8_t>(file, "output.cifar_images");
    CHECK(same_cifar);
    CHECK(labels == values<std::int64_t>(file, "output.cifar_labels"));
  }
  std::printf("goldens: %zu dataset cases\n", files.size());
}

}  // namespace tenon
