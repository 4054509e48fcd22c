// What users do wrong, and what breaks around them: one clear line, the documented exit code, and
// never a crash.
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>

#include "core/io/checkpoint_folder.h"
#include "core/io/png.h"
#include "core/io/zip.h"
#include "tests/e2e/program.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::test;
namespace fs = std::filesystem;

namespace {

// The program must end with this code, by itself, with one error line that contains `part` (or a
// hint that does).
void refused(const TempDir& dir, const char* program, const Words& words, ErrorKind kind,
             const std::string& part) {
  const Ended end = run(dir.path(), program, words);
  INFO("wanted: " << part << "\ngot: " << end.err);
  CHECK(end.signal == 0);
  CHECK(end.code == exit_code(kind));
  CHECK(lines_starting(end.err, "error: ") == 1);
  CHECK(end.err.find(part) != std::string::npos);
  CHECK(end.err.find("this is a bug") == std::string::npos);
  CHECK(end.out == "");
}

void refused(const TempDir& dir, const Words& words, ErrorKind kind, const std::string& part) {
  // Some damage is found by the first step only: a folder may be left.
  static int count = 0;
  Words all = tiny({"--steps", "2", "--run-dir", dir / fmt::format("refused-{}", count++)});
  all.insert(all.end(), words.begin(), words.end());
  refused(dir, "tenon-train-qac", all, kind, part);
}

bool no_run_in(const TempDir& dir) {
  for (const auto& entry : fs::directory_iterator(dir.path()))
    if (entry.path().filename().string().starts_with("refused")) return false;
  return true;
}

void refused_data(const TempDir& dir, const fs::path& data, const std::string& part) {
  INFO(data);
  refused(dir, {"--data", data.string()}, ErrorKind::Data, part);
}

std::string big_endian(std::initializer_list<uint32_t> numbers) {
  std::string out;
  for (const uint32_t n : numbers)
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift & 255);
  return out;
}

io::ByteBuffer png(int size) {
  io::Image image{size, size, 3, io::ByteBuffer(static_cast<size_t>(size * size * 3))};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 37);
  return io::encode_png(image);
}

io::ByteBuffer bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

std::string half(const std::string& text) {
  return text.substr(0, text.size() / 2);
}

// A finished run of 3 steps.
fs::path trained(const TempDir& dir) {
  const fs::path folder = dir / "good";
  const Ended end = run(dir.path(), "tenon-train-qac",
                        tiny({"--steps", "3", "--run-dir", folder.string(), "--sample-every", "3",
                              "--sample-nfe", "2"}));
  INFO(end.err);
  REQUIRE(end.code == 0);
  return folder;
}

std::string safetensors(const std::string& header, const std::string& data,
                        std::optional<uint64_t> length = {}) {
  const uint64_t n = length.value_or(header.size());
  std::string out(8, '\0');
  std::memcpy(out.data(), &n, 8);
  return out + header + data;
}

}  // namespace

TEST_CASE("errors: bad words are found before anything is done") {
  const TempDir dir;
  const auto usage = [&](const Words& words, const char* part) {
    refused(dir, words, ErrorKind::Usage, part);
  };
  usage({"--lrr", "1"}, "did you mean --lr?");
  usage({"--set", "optim.learning_rate=1"}, "did you mean optim.lr?");
  usage({"--preset", "fashion-tny"}, "fashion-tiny");
  usage({"--batch", "many"}, "--batch");
  usage({"--batch", "-3"}, "--batch");
  usage({"--batch"}, "--batch");
  usage({"--lr", "nan"}, "--lr");
  usage({"--dropout", "1.5"}, "--dropout");
  usage({"--steps", "99999999999999999999"}, "--steps");
  usage({"--arch", "unet"}, "ddpmpp");
  usage({"--resolution", "9"}, "9");
  usage({"--solver", "heun"}, "--s");
  usage({"--epochs", "0"}, "--epochs");
  usage({"--on-bad-sample", "perhaps"}, "skip:N");
  usage({"stray"}, "stray");
  usage({"--config", dir.write("a.json", R"({"optim": {"learning_rate": 1}})")}, "optim.lr");
  usage({"--config", dir.write("b.json", R"({"optim": {"lr": 1, "lr": 2}})")}, "lr");
  usage({"--config", dir.write("c.json", "{\"optim\": ")}, "c.json");
  CHECK(no_run_in(dir));
  refused(dir, "tenon-sample", {"--sedes", "1"}, ErrorKind::Usage, "--seeds");
  refused(dir, "tenon-sample", {}, ErrorKind::Usage, "--ckpt");
}

TEST_CASE("errors: a device that is not there ends with 6") {
  const TempDir dir;
  refused(dir, {"--device", "cuda"}, ErrorKind::Device, "cuda");
  CHECK(no_run_in(dir));
}

TEST_CASE("errors: data that is missing or damaged ends with 3") {
  const TempDir dir;
  io::write_zip(dir / "cifar.zip", {{"a.png", png(8)}});
  refused_data(dir, dir / "cifar.zp", "cifar.zip");
  refused_data(dir, dir / "nowhere/at/all", "nowhere");
  refused_data(dir, dir.write("notes.txt", "not a picture"), "known form");
  fs::create_directories(dir / "empty");
  refused_data(dir, dir / "empty", "known form");

  const std::string idx = big_endian({0x803, 20, 8, 8}) + std::string(20 * 64, 'x');
  refused_data(dir, dir.write("cut/train-images-idx3-ubyte", half(idx)), "train-images-idx3-ubyte");
  refused_data(dir, dir.write("head/train-images-idx3-ubyte", idx.substr(0, 6)), "idx3");
  refused_data(dir, dir.write("magic/train-images-idx3-ubyte", "wrong" + idx), "idx3");
  refused_data(dir,
               dir.write("huge/train-images-idx3-ubyte",
                         big_endian({0x803, 0xffffffff, 0xffffffff, 0xffffffff}) + "x"),
               "idx3");
  refused_data(dir, dir.write("gz/train-images-idx3-ubyte.gz", "\x1f\x8b\x08 no gzip"), "idx3");
  refused_data(dir, dir.write("cifar/data_batch_1.bin", std::string(4000, 'x')).parent_path(),
               "data_batch_1.bin");

  const std::string zip = read_file(dir / "cifar.zip");
  refused_data(dir, dir.write("cut.zip", half(zip)), "cut.zip");
  refused_data(dir, dir.write("tail.zip", zip.substr(zip.size() / 2)), "tail.zip");
  refused_data(dir, dir.write("zero.zip", ""), "zero.zip");
  const io::ByteBuffer picture = png(8);
  const io::ByteBuffer cut(picture.begin(), picture.begin() + picture.size() / 2);
  io::write_zip(dir / "inside.zip", {{"a.png", picture}, {"b.png", cut}});
  refused_data(dir, dir / "inside.zip", "b.png");
  io::write_zip(dir / "jpeg.zip", {{"a.jpg", bytes_of("\xff\xd8\xff\xe0 no jpeg")}});
  refused_data(dir, dir / "jpeg.zip", "a.jpg");
  dir.write("pictures/a.png", std::string(cut.begin(), cut.end()));
  refused_data(dir, dir / "pictures", "a.png");

  io::write_zip(dir / "labels.zip", {{"a.png", png(8)},
                                     {"b.png", png(8)},
                                     {"dataset.json", bytes_of(R"({"labels": [["a.png", 0]]})")}});
  refused_data(dir, dir / "labels.zip", "b.png");
  io::write_zip(dir / "json.zip", {{"a.png", png(8)}, {"dataset.json", bytes_of("{\"labels\"")}});
  refused_data(dir, dir / "json.zip", "dataset.json");
}

TEST_CASE("errors: a damaged sample may be skipped") {
  const TempDir dir;
  const io::ByteBuffer picture = png(8);
  std::vector<std::pair<std::string, io::ByteBuffer>> entries;
  for (int i = 0; i < 12; ++i) entries.emplace_back(fmt::format("{}.png", 10 + i), picture);
  for (const size_t bad : {5, 8}) entries[bad].second.resize(picture.size() / 2);
  io::write_zip(dir / "some.zip", entries);
  const auto with = [&](const char* limit) {
    return run(dir.path(), "tenon-train-qac",
               tiny({"--data", dir / "some.zip", "--steps", "4", "--run-dir", dir / limit,
                     "--on-bad-sample", limit}));
  };
  const Ended end = with("skip:9");
  INFO(end.err);
  CHECK(end.code == 0);
  CHECK(lines_starting(end.err, "warning: ") > 0);
  CHECK(with("skip:1").code == exit_code(ErrorKind::Data));
}

TEST_CASE("errors: checkpoints that are missing, damaged or of another model end with 4") {
  const TempDir dir;
  const fs::path run_folder = trained(dir);
  const fs::path good = checkpoint(run_folder, 3);
  const auto sample = [&](const fs::path& ckpt, const std::string& part) {
    INFO(ckpt);
    refused(dir, "tenon-sample", {"--ckpt", ckpt.string(), "--out", dir / "s", "--seeds", "0-1"},
            ErrorKind::Checkpoint, part);
  };
  sample(dir / "god", "good");
  fs::create_directories(dir / "hollow");
  sample(dir / "hollow", "no weights");
  refused(dir, {"--resume", dir / "god"}, ErrorKind::Checkpoint, "good");
  refused(dir, {"--init-from", good.string(), "--model-channels", "16"}, ErrorKind::Checkpoint,
          "does not fit");

  const std::string weights = read_file(good / "model.safetensors");
  const auto init = [&](const char* name, const std::string& content, const char* part) {
    INFO(name);
    refused(dir, {"--init-from", dir.write(name, content)}, ErrorKind::Checkpoint, part);
  };
  init("cut.safetensors", half(weights), "cut.safetensors");
  init("few.safetensors", weights.substr(0, 5), "few.safetensors");
  init("none.safetensors", "", "none.safetensors");
  init("long.safetensors", safetensors("{}", "", uint64_t{1} << 62), "long.safetensors");
  init("text.safetensors", safetensors("not json", ""), "text.safetensors");
  const auto one = [](const std::string& shape, const std::string& range) {
    return "{\"a\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + range + "}}";
  };
  init("minus.safetensors", safetensors(one("[-1]", "[0,4]"), "1234"), "minus.safetensors");
  init("overflow.safetensors",
       safetensors(one("[4294967296,4294967296,4294967296]", "[0,4]"), "1234"),
       "overflow.safetensors");
  init("outside.safetensors", safetensors(one("[1]", "[4,8]"), "1234"), "outside.safetensors");
  init("overlap.safetensors",
       safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                   R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                   "1234"),
       "overlap");
  init("deep.safetensors", safetensors(std::string(200'000, '['), ""), "deep.safetensors");

  // A checkpoint with a changed byte is not taken; with no other whole one there is nothing to
  // take.
  std::string changed = weights;
  changed[changed.size() - 9] = static_cast<char>(changed[changed.size() - 9] ^ 1);
  dir.write("good/checkpoints/step-00000003/model.safetensors", changed);
  refused(dir, {"--resume", good.string(), "--run-dir", run_folder.string()}, ErrorKind::Checkpoint,
          "model.safetensors");
  sample(run_folder, "no whole checkpoint");
}

TEST_CASE("errors: a folder that cannot be written ends with 9") {
  const TempDir dir;
  refused(dir, {"--run-dir", dir.write("file", "x").string() + "/run"}, ErrorKind::Disk, "file");
  const fs::path run_folder = trained(dir);
  refused(dir, "tenon-sample",
          {"--ckpt", run_folder.string(), "--out", dir / "file", "--seeds", "0-1"}, ErrorKind::Disk,
          "file");
}

TEST_CASE("errors: a loss that is not finite ends with 8, and the last good checkpoint is whole") {
  const TempDir dir;
  const Ended end =
      run(dir.path(), "tenon-train-qac",
          tiny({"--steps", "20", "--run-dir", dir / "run", "--lr", "1e30", "--save-every", "1"}));
  INFO(end.err);
  CHECK(end.code == 8);
  CHECK(lines_starting(end.err, "error: loss is not finite at step ") == 1);
  CHECK(end.err.find("first bad ") != std::string::npos);
  CHECK(end.err.find("Last good checkpoint: step ") != std::string::npos);
  CHECK(io::find_checkpoint(dir / "run/checkpoints"));
  const std::string status = read_file(dir / "run/status.json");
  CHECK(status.find("\"failed\"") != std::string::npos);
  CHECK(status.find("not finite") != std::string::npos);
}

TEST_CASE("errors: a full disk ends with 9, and the last good checkpoint is whole") {
  const TempDir dir;
  fs::create_directories(dir / "small");
  if (mount("none", (dir / "small").c_str(), "tmpfs", 0, "size=6m") != 0)
    TENON_SKIP("mounting a small file system is not permitted here");
  struct Unmount {
    fs::path at;
    ~Unmount() { umount2(at.c_str(), MNT_DETACH); }
  } const unmount{dir / "small"};
  const Ended end = run(
      dir.path(), "tenon-train-qac",
      tiny({"--steps", "50", "--run-dir", dir / "small/run", "--save-every", "1", "--keep", "0"}));
  INFO(end.err);
  CHECK(end.code == 9);
  CHECK(lines_starting(end.err, "error: ") == 1);
  CHECK(io::find_checkpoint(dir / "small/run/checkpoints"));
}
