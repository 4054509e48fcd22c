#include "core/io/safetensors.h"

#include <cstring>

#include "core/io/tensor_io.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon::io {
namespace {

// A file made by hand: this header, then `data_bytes` zeros.
std::string raw(const std::string& header, std::size_t data_bytes) {
  std::string out(8, '\0');
  store_le<std::uint64_t>(reinterpret_cast<std::uint8_t*>(out.data()), header.size());
  return out + header + std::string(data_bytes, '\0');
}

TensorMap parse(const std::string& text) {
  return parse_safetensors(as_bytes(text), "w");
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", name, dtype,
                     shape, offsets);
}

TensorToWrite floats(const std::string& name, const std::vector<float>& values) {
  return {{name, "F32", {static_cast<std::int64_t>(values.size())}},
          {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * 4}};
}

}  // namespace

TEST_CASE("io: safetensors round trip") {
  const test::TempDir temp;
  const std::vector<float> a = {1, 2, 3};
  const std::vector<std::uint8_t> b = {7};
  const std::vector<std::int64_t> c = {-1, 5};
  std::vector<TensorToWrite> tensors;
  tensors.push_back({{"z.u8", "U8", {1}}, b});
  tensors.push_back(floats("b.f32", a));
  tensors.push_back(
      {{"a\"quoted\"", "I64", {2, 1}}, {reinterpret_cast<const std::uint8_t*>(c.data()), 16}});
  tensors.push_back({{"empty", "BF16", {0, 3}}, {}});
  write_safetensors_file(temp / "w.safetensors", tensors, {{"config", "{\"x\": 1}"}});

  const SafetensorsReader in(temp / "w.safetensors");
  CHECK(in.tensors().size() == 4);
  CHECK(in.metadata().at("config") == "{\"x\": 1}");
  CHECK(in.at("b.f32").shape == std::vector<std::int64_t>{3});
  CHECK(std::memcmp(in.at("b.f32").data.data(), a.data(), 12) == 0);
  CHECK(in.at("empty").count() == 0);
  CHECK(in.at("a\"quoted\"").count() == 2);
  CHECK(in.file_of("z.u8")->path() == temp / "w.safetensors");
  // Every tensor is aligned to its element.
  CHECK(reinterpret_cast<std::uintptr_t>(in.at("b.f32").data.data()) % 4 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(in.at("a\"quoted\"").data.data()) % 8 == 0);
  REQUIRE_ERROR(in.at("b.f3"), ErrorKind::Checkpoint, "it holds 'b.f32'");
}

TEST_CASE("io: safetensors to tensors and back") {
  const test::TempDir temp;
  const Tensor t = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  write_safetensors_file(temp / "t.safetensors", {tensor_to_write("x", t)});
  const SafetensorsReader in(temp / "t.safetensors");
  const Tensor back = read_tensor(in.at("x"));
  CHECK(back.describe() == t.describe());
  CHECK(back.to_vector<float>() == t.to_vector<float>());
  const std::string text = raw("{" + tensor("q", "I16", "2", "0,4") + "}", 4);
  const TensorMap strange = parse(text);
  REQUIRE_ERROR(read_tensor(strange.at("q")), ErrorKind::Checkpoint, "dtype I16");
  for (int i = 0; i < kDTypeCount; ++i)
    CHECK(dtype_from_safetensors(safetensors_dtype(static_cast<DType>(i))) ==
          static_cast<DType>(i));
}

TEST_CASE("io: safetensors refuses damaged and hostile files") {
  struct Row {
    std::string file, part;
  };
  const std::string good = tensor("a", "F32", "2", "0,8");
  const std::vector<Row> rows = {
      {"", "too short"},
      {"abc", "too short"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "the header says"},
      {raw("{" + good + "}", 7), "do not lie in"},          // cut
      {raw("{" + good + "}", 9), "after the last tensor"},  // longer
      {raw("{" + good + "," + tensor("b", "U8", "4", "4,8") + "}", 8), "overlaps"},
      {raw("{" + good + "," + tensor("b", "U8", "1", "9,10") + "}", 10), "belong to no tensor"},
      {raw("{" + good + "," + good + "}", 8), "duplicate key"},
      {raw("{" + tensor("a", "F32", "-2", "0,8") + "}", 8), "negative size"},
      {raw("{" + tensor("a", "F32", "4611686018427387904,4611686018427387904", "0,8") + "}", 8),
       "overflows"},
      {raw("{" + tensor("a", "F32", "2305843009213693952", "0,8") + "}", 8), "overflows"},
      {raw("{" + tensor("a", "F31", "2", "0,8") + "}", 8), "unknown dtype"},
      {raw("{" + tensor("a", "F32", "3", "0,8") + "}", 8), "is 12 bytes, the file gives 8"},
      {raw("{" + tensor("a", "F32", "2", "8,0") + "}", 8), "do not lie in"},
      {raw("{" + tensor("a", "F32", "2", "-8,0") + "}", 8), "not an unsigned"},
      {raw("{" + tensor("a", "F32", "2", "0,18446744073709551615") + "}", 8), "do not lie in"},
      {raw("{" + tensor("a", "F32", "2", "0,8,9") + "}", 8), "more than 2"},
      {raw("{" + tensor("a", "F32", "2", "0") + "}", 8), "needs 2"},
      {raw(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "lacks"},
      {raw(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8), "unknown key"},
      {raw(R"({"a":[]})", 0), "want an object"},
      {raw(R"({"__metadata__":{"a":1}})", 0), "want a string"},
      {raw("{", 0), "the text ends"},
  };
  for (const Row& row : rows) {
    INFO(row.part);
    REQUIRE_ERROR(parse(row.file), ErrorKind::Checkpoint, row.part);
  }
  REQUIRE_ERROR(parse_safetensors(as_bytes("x"), "d", ErrorKind::Data), ErrorKind::Data, "d: ");
  CHECK(parse(raw("{" + good + "}", 8)).size() == 1);
  CHECK(parse(raw("{}   ", 0)).empty());
}

TEST_CASE("io: every cut of a safetensors file is refused") {
  const test::TempDir temp;
  const std::vector<float> a = {1, 2, 3}, b = {4};
  write_safetensors_file(temp / "w.safetensors", {floats("a", a), floats("b", b)});
  const std::string whole = test::read_file(temp / "w.safetensors");
  for (std::size_t n = 0; n < whole.size(); ++n)
    REQUIRE_THROWS_AS(parse(whole.substr(0, n)), Error);
  CHECK(parse(whole).size() == 2);
}

TEST_CASE("io: sharded safetensors") {
  const test::TempDir temp;
  const FileSink sink = [&](const std::string& name, const std::function<void(OutputFile&)>& fill) {
    OutputFile file(temp / name);
    fill(file);
    file.close();
  };
  const std::vector<float> v = {1, 2, 3, 4};
  const std::vector<TensorToWrite> tensors = {floats("a", v), floats("b", v), floats("c", v)};
  SafetensorsFolder options;
  options.shard_size = 33;
  write_safetensors(sink, tensors, options);
  CHECK(fs::exists(temp / "model-00001-of-00002.safetensors"));
  {
    const SafetensorsReader in(temp.path());
    CHECK(in.tensors().size() == 3);
    CHECK(in.file_of("a") == in.file_of("b"));
    CHECK(in.file_of("a") != in.file_of("c"));
    CHECK(SafetensorsReader(temp / "model.safetensors.index.json").contains("c"));
  }
  const std::string index = test::read_file(temp / "model.safetensors.index.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = index;
    text.replace(text.find(from), from.size(), to);
    return temp.write("model.safetensors.index.json", text);
  };
  REQUIRE_ERROR(SafetensorsReader(with("\"c\"", "\"d\"")), ErrorKind::Checkpoint, "'d' is not in");
  REQUIRE_ERROR(SafetensorsReader(with("model-00002", "../odel-00002")), ErrorKind::Checkpoint,
                "not a plain file name");
  REQUIRE_ERROR(SafetensorsReader(with("model-00002", "model-00003")), ErrorKind::Checkpoint,
                "no file or folder");
  fs::remove(temp / "model.safetensors.index.json");
  REQUIRE_ERROR(SafetensorsReader(temp.path()), ErrorKind::Checkpoint, "neither model.safetensors");

  options.shard_size = 0;
  options.stem = "ema";
  write_safetensors(sink, tensors, options);
  CHECK(SafetensorsReader(temp.path(), ErrorKind::Checkpoint, "ema").tensors().size() == 3);
}

}  // namespace tenon::io
