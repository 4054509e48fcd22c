#include <cstdlib>
#include <set>

#include "core/io/gzip.h"
#include "core/io/jpeg.h"
#include "core/io/png.h"
#include "core/io/zip.h"
#include "datasets/cifar.h"
#include "datasets/idx.h"
#include "datasets/open_source.h"
#include "datasets/picture_store.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon::data {
namespace {

std::string text(const io::ByteBuffer& bytes) {
  return std::string(io::as_text(bytes));
}

// An IDX file of u8.
std::string idx(const std::vector<std::uint32_t>& sizes, std::size_t count, int type = 8) {
  std::string out = {0, 0, static_cast<char>(type), static_cast<char>(sizes.size())};
  for (const std::uint32_t s : sizes)
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(s >> shift));
  for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<char>(i % 251));
  return out;
}

std::string labels_idx(const std::vector<int>& labels) {
  std::string out = idx({static_cast<std::uint32_t>(labels.size())}, 0);
  for (const int label : labels) out.push_back(static_cast<char>(label));
  return out;
}

std::string cifar_record(int label, std::uint8_t first, bool hundred = false) {
  std::string out;
  if (hundred) out.push_back(3);
  out.push_back(static_cast<char>(label));
  for (int i = 0; i < 3072; ++i) out.push_back(static_cast<char>(first + i));
  return out;
}

io::Image plain(int width, int height, int channels, std::uint8_t value) {
  return {width, height, channels,
          io::ByteBuffer(static_cast<std::size_t>(width * height * channels), value)};
}

std::string png(int width, int height, int channels, std::uint8_t value) {
  return text(io::encode_png(plain(width, height, channels, value)));
}

// A folder in EDM's form with one 8x8 picture for each value.
void edm_folder(const test::TempDir& temp, const std::string& folder, int n,
                const std::string& json) {
  for (int i = 0; i < n; ++i)
    temp.write(fmt::format("{}/00000/img{:08}.png", folder, i),
               png(8, 8, 3, static_cast<std::uint8_t>(10 * i)));
  if (!json.empty()) temp.write(folder + "/dataset.json", json);
}

constexpr auto kData = ErrorKind::Data;

}  // namespace

TEST_CASE("data: idx, plain and gzipped, with and without labels") {
  const test::TempDir temp;
  for (const bool packed : {false, true}) {
    const std::string dir = packed ? "gz" : "plain", end = packed ? ".gz" : "";
    const auto put = [&](const std::string& name, const std::string& content) {
      temp.write(dir + "/" + name + end, packed ? text(io::gzip(io::as_bytes(content))) : content);
    };
    put("train-images-idx3-ubyte", idx({3, 2, 4}, 24));
    put("train-labels-idx1-ubyte", labels_idx({4, 0, 9}));
    put("t10k-images-idx3-ubyte", idx({1, 2, 4}, 8));
    CHECK(detect_format((temp / dir).string()) == "idx");
    const SourcePtr train = open_source((temp / dir).string());
    CHECK(train->size() == 3);
    CHECK(train->info().label_dim == 10);
    CHECK(train->read(1).label == 0);
    CHECK(train->read(1).image == std::vector<std::uint8_t>{8, 9, 10, 11, 12, 13, 14, 15});
    CHECK(train->locate(1).find("offset 24") != std::string::npos);
    SourceOptions test_split;
    test_split.split = "test";
    const SourcePtr test = open_source((temp / dir).string(), test_split);
    CHECK(test->size() == 1);
    CHECK(test->info().label_kind == LabelKind::None);
    CHECK(test->read(0).label == -1);
  }
  REQUIRE_ERROR(open_idx(temp / "plain" / "train-image"), kData, "no file or folder");
}

TEST_CASE("data: damaged idx files are refused") {
  struct Row {
    std::string bytes, part;
  };
  const Row rows[] = {
      {"", "too short"},
      {std::string("\x1f\x8bxx"), "gzip data"},
      {"PK\x03\x04", "starts with 50 4b"},
      {idx({2, 2}, 4, 13), "type 0x0d"},
      {std::string("\0\0\x08\0", 4), "rank 0"},
      {idx({2, 2}, 4).substr(0, 10), "cut inside the IDX header"},
      {idx({2, 2}, 3), "promises 4 bytes of values, the file holds 3"},
      {idx({2, 2}, 5), "bytes after"},
      {idx({0xffffffff, 0xffffffff, 0xffffffff}, 4), "asks for more"},
      {idx({0x7fffffff}, 4), "the file holds 4"},
  };
  for (const Row& row : rows) {
    INFO(row.part);
    REQUIRE_ERROR(parse_idx(io::as_bytes(row.bytes), "x.idx"), kData, row.part);
  }
  const io::ByteBuffer packed = io::gzip(io::as_bytes(idx({100, 10, 10}, 10000)));
  for (std::size_t n = 0; n < packed.size(); n += 7)
    REQUIRE_THROWS_AS(parse_idx(io::ByteView(packed).subspan(0, n), "x"), Error);
  const test::TempDir temp;
  const auto images = temp.write("train-images-idx3-ubyte", idx({3, 2, 4}, 24));
  temp.write("train-labels-idx1-ubyte", labels_idx({1, 2}));
  REQUIRE_ERROR(open_idx(images), kData, "2 labels for the 3 images");
}

TEST_CASE("data: cifar binaries, any number of records and files") {
  const test::TempDir temp;
  const std::string first = cifar_record(7, 1) + cifar_record(2, 5);
  temp.write("c/data_batch_1.bin", first);
  temp.write("c/data_batch_2.bin", cifar_record(9, 9));
  temp.write("c/test_batch.bin", cifar_record(1, 0));
  const SourcePtr train = open_source((temp / "c").string());
  CHECK(train->size() == 3);
  CHECK(train->info().label_dim == 10);
  CHECK(train->read(2).label == 9);
  CHECK(train->read(2).image[1] == 10);
  CHECK(train->locate(1).find("data_batch_1.bin, offset 3073") != std::string::npos);
  CHECK(open_source((temp / "c/test_batch.bin").string())->size() == 1);

  temp.write("h/train.bin", cifar_record(99, 0, true) + cifar_record(5, 0, true));
  for (const char* path : {"h", "h/train.bin"}) {
    const SourcePtr hundred = open_source((temp / path).string());
    CHECK(hundred->info().label_dim == 100);
    CHECK(hundred->read(0).label == 99);
    CHECK(hundred->read(0).image[0] == 0);
  }
  REQUIRE_ERROR(open_cifar(temp.write("cut.bin", first.substr(0, 5000))), kData, "(cut?)");
  REQUIRE_ERROR(open_cifar(temp.write("l.bin", cifar_record(10, 0))), kData, "label 10");
  REQUIRE_ERROR(open_cifar(temp.write("e.bin", "")), kData, "0 bytes");
  SourceOptions test_split;
  test_split.split = "test";
  REQUIRE_ERROR(open_cifar(temp / "h", "test"), kData, "split test");
}

TEST_CASE("data: edm folders and archives, labels by name") {
  const test::TempDir temp;
  // Labels in another order than the files.
  edm_folder(temp, "d", 3,
             R"({"labels": [["00000/img00000002.png", 5], ["00000/img00000000.png", 1],
                            ["00000\\img00000001.png", 0]]})");
  std::vector<std::pair<std::string, io::ByteBuffer>> files;
  for (const int i : {2, 0, 1}) {
    const std::string name = fmt::format("00000/img{:08}.png", i);
    files.emplace_back(name, io::read_file(temp / ("d/" + name)));
  }
  files.emplace_back("dataset.json", io::read_file(temp / "d/dataset.json"));
  io::write_zip(temp / "d.zip", files);
  for (const char* path : {"d", "d.zip"}) {
    INFO(path);
    CHECK(detect_format((temp / path).string()) == "edm");
    const SourcePtr source = open_source((temp / path).string());
    REQUIRE(source->size() == 3);
    CHECK(source->info().label_dim == 6);
    for (std::int64_t i = 0; i < 3; ++i) {
      CHECK(source->read(i).image ==
            std::vector<std::uint8_t>(192, static_cast<std::uint8_t>(10 * i)));
      CHECK(source->read(i).label ==
            std::vector<std::int64_t>{1, 0, 5}[static_cast<std::size_t>(i)]);
    }
  }
  SourceOptions bare;
  bare.use_labels = false;
  CHECK(open_source((temp / "d.zip").string(), bare)->info().label_kind == LabelKind::None);

  edm_folder(
      temp, "v", 2,
      R"({"labels": [["00000/img00000000.png", [0.5, 1]], ["00000/img00000001.png", [2, 3]]]})");
  const SourcePtr vectors = open_source((temp / "v").string());
  CHECK(vectors->info().label_kind == LabelKind::Vector);
  CHECK(vectors->read(1).label_vector == std::vector<float>{2, 3});

  edm_folder(temp, "n", 1, R"({"labels": null})");
  CHECK(open_source((temp / "n").string())->info().label_kind == LabelKind::None);
  edm_folder(temp, "nojson", 1, "");
  CHECK(detect_format((temp / "nojson").string()) == "edm");
}

TEST_CASE("data: edm errors") {
  const test::TempDir temp;
  const std::vector<std::string> names = {"a.png", "b.png"};
  struct Row {
    const char *json, *part;
  };
  const Row rows[] = {
      {R"({"labels": [["a.png", 1]]})", "no label for 'b.png'"},
      {R"({"labels": []})", "no label for 'a.png' and 1 other"},
      {R"({"labels": [[1], ["b.png", 0]]})", "want a string"},
      {R"({"labels": [["a.png"], ["b.png", 0]]})", "want [name, label]"},
      {R"({"labels": [["a.png", 1, 2]]})", "want [name, label]"},
      {R"({"labels": [["a.png", 1], ["a.png", 1]]})", "second label"},
      {R"({"labels": [["a.png", -1], ["b.png", 0]]})", "label -1"},
      {R"({"labels": [["a.png", 1.5], ["b.png", 0]]})", "not a 64-bit integer"},
      {R"({"labels": [["a.png", 1e9], ["b.png", 0]]})", "not a 64-bit integer"},
      {R"({"labels": [["a.png", 999999999], ["b.png", 0]]})", "not a class"},
      {R"({"labels": [["a.png", [1]], ["b.png", [1, 2]]]})", "label vector of 2"},
      {R"({"labels": [["a.png", [1]], ["b.png", 1]]})", "a number among"},
      {R"({"labels": [["a.png", []], ["b.png", []]]})", "empty label vector"},
      {R"({"label": null})", "no key \"labels\""},
      {R"({"labels": [["a.png", 1],]})", "trailing comma"},
  };
  for (const Row& row : rows) {
    INFO(row.json);
    REQUIRE_ERROR(parse_edm_labels(row.json, "dataset.json", names), kData, row.part);
  }

  const auto open = [&](const std::string& path) { return open_source((temp / path).string()); };
  temp.write("odd/dataset.json", R"({"labels": null})");
  REQUIRE_ERROR(open("odd"), kData, "holds no PNG or JPEG");
  temp.write("odd/a.png", png(8, 6, 3, 0));
  REQUIRE_ERROR(open("odd"), kData, "8x6 pixels, want square");
  temp.write("odd/a.png", png(12, 12, 3, 0));
  REQUIRE_ERROR(open("odd"), kData, "power of two");
  temp.write("odd/a.png", png(16, 16, 3, 0));
  temp.write("odd/b.png", png(8, 8, 3, 0));
  temp.write("odd/c.png", png(16, 16, 1, 0));
  const SourcePtr mixed = open("odd");
  CHECK_NOTHROW(mixed->read(0));
  REQUIRE_ERROR(mixed->read(1), kData, "b.png: a picture of 3x8x8, the first one has 3x16x16");
  REQUIRE_ERROR(mixed->read(2), kData, "c.png: a picture of 1x16x16");
  temp.write("bad.zip", "PK nonsense");
  REQUIRE_ERROR(open("bad.zip"), kData, "zip archive");
  REQUIRE_ERROR(open("bda.zip"), kData, "'bad.zip' is in that folder");
}

TEST_CASE("data: class folders") {
  const test::TempDir temp;
  temp.write("t/zebra/1.png", png(8, 8, 3, 1));
  temp.write("t/ant/x/2.png", png(8, 8, 3, 2));
  temp.write("t/ant/1.jpg", text(io::encode_jpeg(plain(8, 8, 3, 100))));
  const SourcePtr source = open_source((temp / "t").string());
  CHECK(source->size() == 3);
  CHECK(source->info().label_dim == 2);
  CHECK(source->read(0).label == 0);
  CHECK(source->read(2).label == 1);
  CHECK(source->read(2).image[0] == 1);
  temp.write("t/loose.png", png(8, 8, 3, 2));
  SourceOptions options;
  options.format = "folder";
  REQUIRE_ERROR(open_source((temp / "t").string(), options), kData, "'loose.png' lies in no class");
  CHECK(detect_format((temp / "t").string()) == "edm");
}

TEST_CASE("data: fitting, limiting and mirroring") {
  const test::TempDir temp;
  const auto path = temp.write("train-images-idx3-ubyte", idx({4, 4, 4}, 64)).string();
  SourceOptions options;
  options.fit.resolution = 8;
  options.fit.channels = 3;
  const SourcePtr padded = open_source(path, options);
  CHECK(padded->info().image_bytes() == 192);
  const std::vector<std::uint8_t> image = padded->read(1).image;
  CHECK(image[0] == 0);
  CHECK(image[2 * 8 + 2] == 16);       // first value of sample 1, two pixels in
  CHECK(image[64 + 5 * 8 + 5] == 31);  // last one, second channel

  options.fit = {};
  options.fit.resolution = 2;
  CHECK(open_source(path, options)->read(0).image == std::vector<std::uint8_t>{3, 5, 11, 13});

  options.fit = {};
  options.max_size = 3;
  const SourcePtr some = open_source(path, options);
  CHECK(some->size() == 3);
  std::set<std::uint8_t> firsts;
  for (std::int64_t i = 0; i < 3; ++i) firsts.insert(some->read(i).image[0]);
  CHECK(firsts.size() == 3);

  options.mirror = true;
  const SourcePtr twice = open_source(path, options);
  CHECK(twice->size() == 6);
  CHECK(twice->read(3).image[0] == some->read(0).image[3]);
  CHECK(twice->locate(3) == some->locate(0));
}

TEST_CASE("data: picture transforms") {
  io::Image image{4, 2, 3, io::ByteBuffer(24)};
  for (std::size_t i = 0; i < 24; ++i) image.pixels[i] = static_cast<std::uint8_t>(i);
  std::vector<std::uint8_t> chw(24);
  to_chw(image, chw);
  CHECK(chw[1] == 3);
  CHECK(chw[8] == 1);
  CHECK(from_chw(chw, 3, 2, 4).pixels == image.pixels);
  flip_x(chw, 4);
  CHECK(chw[0] == 9);

  FitOptions fit;
  fit.resolution = 2;
  REQUIRE_ERROR(fit_image(image, fit, "p.png"), kData, "p.png: a picture of 4x2");
  fit.center_crop = true;
  CHECK(fit_image(image, fit, "p").pixels[0] == 3);  // the middle two columns
  fit.channels = 1;
  CHECK(fit_image(image, fit, "p").channels == 1);
  CHECK(fit_image(plain(2, 2, 3, 200), {0, 1}, "p").pixels[0] == 200);

  // Constant pictures stay constant, whatever the factor.
  for (const int size : {1, 3, 7, 20, 33}) {
    const io::Image out = resize_lanczos(plain(20, 20, 3, 77), size, size);
    CHECK(out.pixels == plain(size, size, 3, 77).pixels);
  }
  std::vector<float> scaled(3);
  to_network_scale(std::vector<std::uint8_t>{0, 255, 128}, scaled);
  CHECK(scaled == std::vector<float>{-1, 1, static_cast<float>(128 / 127.5 - 1)});
}

TEST_CASE("data: lanczos and luma give PIL's bytes") {
  const io::Image in{6, 1, 1, {0, 50, 200, 255, 30, 90}};
  // Image.resize((n, 1), Image.LANCZOS) of Pillow 12
  CHECK(resize_lanczos(in, 3, 1).pixels == io::ByteBuffer{35, 202, 78});
  CHECK(resize_lanczos(in, 4, 1).pixels == io::ByteBuffer{0, 173, 184, 49});
  CHECK(resize_lanczos(in, 9, 1).pixels == io::ByteBuffer{0, 9, 72, 173, 255, 225, 55, 39, 102});
  CHECK(resize_lanczos(in, 6, 1).pixels == in.pixels);

  io::Image colour = plain(23, 17, 3, 0);
  for (int y = 0, i = 0; y < 17; ++y)
    for (int x = 0; x < 23; ++x)
      for (const int v : {x * 37 + y * 11, x * x + y * 5, x * y * 3})
        colour.pixels[static_cast<std::size_t>(i++)] = static_cast<std::uint8_t>(v);
  struct Row {
    int width, height;
    std::uint64_t sum, weighted;
  };
  for (const Row& row :
       {Row{8, 8, 21699, 260952}, Row{32, 30, 323298, 820170}, Row{11, 17, 63179, 115367}}) {
    const io::Image out = resize_lanczos(colour, row.width, row.height);
    std::uint64_t sum = 0, weighted = 0;
    for (std::size_t i = 0; i < out.pixels.size(); ++i) {
      sum += out.pixels[i];
      weighted += (i + 1) * out.pixels[i];
    }
    CHECK(sum == row.sum);
    CHECK(weighted % 1000003 == row.weighted);
  }
  FitOptions grey;
  grey.channels = 1;
  CHECK(fit_image({1, 1, 3, {13, 200, 77}}, grey, "p").pixels[0] == 130);
}

TEST_CASE("data: generated pictures are a function of seed and number") {
  const SourcePtr a = open_source("generated:100:7"), b = open_source("generated:50:7");
  CHECK(a->info().image_bytes() == 3072);
  CHECK(a->size() == 100);
  CHECK(a->read(31).image == b->read(31).image);
  CHECK(a->read(31).label == b->read(31).label);
  CHECK(a->read(30).image != a->read(31).image);
  CHECK(open_source("generated:100")->read(3).image != a->read(3).image);
  double sum = 0;
  for (const std::uint8_t v : a->read(0).image) sum += v;
  CHECK(std::abs(sum / 3072 - 127.5) < 5);
  REQUIRE_ERROR(open_source("generated:"), ErrorKind::Usage, "is not a number");
  REQUIRE_ERROR(open_source("generated:0"), ErrorKind::Usage, "0 pictures");
  REQUIRE_ERROR(open_source("generated:5x"), ErrorKind::Usage, "'5x'");
}

TEST_CASE("data: unknown formats and paths say what is wanted") {
  const test::TempDir temp;
  REQUIRE_ERROR(open_source(temp.write("a.txt", "x").string()), kData, "no known form");
  SourceOptions options;
  options.format = "cifr";
  REQUIRE_ERROR(open_source("generated:5", options), ErrorKind::Usage, "did you mean cifar");
  options = {};
  options.split = "trian";
  REQUIRE_ERROR(open_source("generated:5", options), ErrorKind::Usage, "want train or test");
}

TEST_CASE("data: the packaged data set reads") {
  if (!io::fs::exists("/usr/share/datasets/fashion-mnist"))
    TENON_SKIP("the package dataset-fashion-mnist is not installed");
  SourceOptions options;
  options.split = "test";
  options.fit.resolution = 32;
  const SourcePtr source = open_source("fashion-mnist", options);
  CHECK(source->size() == 10000);
  CHECK(source->info().label_dim == 10);
  CHECK(source->read(0).label == 9);  // an ankle boot
  CHECK(source->read(0).image.size() == 1024);
}

TEST_CASE("data: the shared CIFAR archive and its binary form agree") {
  const char* root = std::getenv("TENON_SHARED_DATA");
  if (!root) TENON_SKIP("TENON_SHARED_DATA is not set");
  const io::fs::path cifar = io::fs::path(root) / "cifar10";
  const SourcePtr zip = open_source((cifar / "cifar10-test-jpeg.zip").string());
  const SourcePtr bin = open_source((cifar / "test_batch.bin").string());
  CHECK(zip->size() == 10000);
  for (std::int64_t i = 0; i < bin->size(); ++i) {
    const Sample a = zip->read(i), b = bin->read(i);
    REQUIRE(a.label == b.label);
    REQUIRE((a.image == b.image));
  }
}

}  // namespace tenon::data
