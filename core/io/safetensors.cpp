#include "core/io/safetensors.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/io/json_reader.h"

namespace tenon::io {
namespace {

// The reference implementation's limit; real headers are far below.
constexpr std::uint64_t kMaxHeader = 100'000'000;

// In the order of DType.
constexpr std::string_view kDTypeNames[kDTypeCount] = {"F64", "F32", "BF16", "F16",
                                                       "I64", "I32", "U8",   "BOOL"};

struct RawEntry {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

RawEntry read_entry(JsonReader& in, const std::string& tensor) {
  RawEntry e;
  in.object([&](const std::string& key) {
    if (key == "dtype") {
      e.dtype = in.string();
      e.has_dtype = true;
    } else if (key == "shape") {
      in.array([&] {
        e.shape.push_back(in.integer());
        if (e.shape.size() > 64)
          in.fail(fmt::format("tensor '{}' has more than 64 dimensions", tensor));
      });
      e.has_shape = true;
    } else if (key == "data_offsets") {
      std::vector<std::uint64_t> offsets;
      in.array([&] {
        if (offsets.size() == 2)
          in.fail(fmt::format("tensor '{}': data_offsets has more than 2 numbers", tensor));
        offsets.push_back(in.unsigned_integer());
      });
      if (offsets.size() != 2)
        in.fail(fmt::format("tensor '{}': data_offsets needs 2 numbers", tensor));
      e.begin = offsets[0];
      e.end = offsets[1];
      e.has_offsets = true;
    } else {
      in.fail(fmt::format("tensor '{}' has an unknown key \"{}\"", tensor, key));
    }
  });
  if (!e.has_dtype || !e.has_shape || !e.has_offsets)
    in.fail(fmt::format("tensor '{}' lacks dtype, shape or data_offsets", tensor));
  return e;
}

// Product with overflow check; `bytes_each` is the element size.
std::uint64_t checked_bytes(const std::vector<std::int64_t>& shape, std::uint64_t bytes_each,
                            const std::string& where, ErrorKind kind) {
  std::uint64_t bytes = bytes_each;
  bool empty = false;
  for (const std::int64_t d : shape) {
    check(d >= 0, kind, "{}: negative size {} in the shape", where, d);
    empty = empty || d == 0;
  }
  if (empty) return 0;
  for (const std::int64_t d : shape) {
    const auto size = static_cast<std::uint64_t>(d);
    check(bytes <= std::numeric_limits<std::int64_t>::max() / size, kind,
          "{}: the shape's product overflows 64 bits", where);
    bytes *= size;
  }
  return bytes;
}

std::string shard_name(const std::string& stem, std::size_t i, std::size_t n) {
  return n == 1 ? stem + ".safetensors"
                : fmt::format("{}-{:05}-of-{:05}.safetensors", stem, i + 1, n);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string out;
  for (const std::int64_t d : shape) {
    if (!out.empty()) out += ',';
    out += std::to_string(d);
  }
  return out;
}

bool file_order(const TensorSpec& a, const TensorSpec& b) {
  const std::size_t size_a = safetensors_item_size(a.dtype),
                    size_b = safetensors_item_size(b.dtype);
  return size_a != size_b ? size_a > size_b : a.name < b.name;
}

}  // namespace

std::size_t safetensors_item_size(std::string_view dtype) {
  struct Row {
    std::string_view name;
    std::size_t size;
  };
  constexpr Row kRows[] = {{"F32", 4}, {"BF16", 2}, {"F16", 2},  {"F64", 8},     {"I64", 8},
                           {"I32", 4}, {"U8", 1},   {"BOOL", 1}, {"I16", 2},     {"I8", 1},
                           {"U64", 8}, {"U32", 4},  {"U16", 2},  {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (const Row& row : kRows)
    if (row.name == dtype) return row.size;
  return 0;
}

std::string_view safetensors_dtype(DType dtype) {
  return kDTypeNames[static_cast<int>(dtype)];
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (kDTypeNames[i] == name) return static_cast<DType>(i);
  return std::nullopt;
}

std::int64_t TensorEntry::count() const {
  return static_cast<std::int64_t>(data.size() / safetensors_item_size(dtype));
}

TensorMap parse_safetensors(ByteView bytes, const std::string& name, ErrorKind kind,
                            Metadata* metadata) {
  check(bytes.size() >= 8, kind, "{}: {} bytes, too short for a safetensors file", name,
        bytes.size());
  const auto length = load_le<std::uint64_t>(bytes.data());
  check(length <= bytes.size() - 8, kind,
        "{}: the header says it is {} bytes long, but only {} follow (not a safetensors file, or "
        "cut)",
        name, length, bytes.size() - 8);
  check(length <= kMaxHeader, kind, "{}: a header of {} bytes, the limit is {}", name, length,
        kMaxHeader);
  const ByteView data = bytes.subspan(8 + length);

  TensorMap out;
  std::vector<std::pair<std::uint64_t, const TensorEntry*>> order;  // by start, to find holes
  JsonReader in(as_text(bytes.subspan(8, length)), name + " header", kind, 8);
  in.object([&](const std::string& key) {
    if (key == "__metadata__") {
      in.object([&](const std::string& field) {
        std::string value = in.string();
        if (metadata) (*metadata)[field] = std::move(value);
      });
      return;
    }
    RawEntry raw = read_entry(in, key);
    const std::string where = fmt::format("{}: tensor '{}'", name, key);
    const std::size_t item = safetensors_item_size(raw.dtype);
    check(item != 0, kind, "{}: unknown dtype \"{}\"", where, raw.dtype);
    const std::uint64_t want = checked_bytes(raw.shape, item, where, kind);
    check(raw.begin <= raw.end && raw.end <= data.size(), kind,
          "{}: bytes {}..{} do not lie in the {} bytes of data (file cut?)", where, raw.begin,
          raw.end, data.size());
    check(raw.end - raw.begin == want, kind, "{}: {} of shape [{}] is {} bytes, the file gives {}",
          where, raw.dtype, shape_text(raw.shape), want, raw.end - raw.begin);
    TensorEntry& entry = out[key];
    entry = {key, std::move(raw.dtype), std::move(raw.shape), data.subspan(raw.begin, want)};
    order.emplace_back(raw.begin, &entry);
  });
  in.finish();

  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    // An empty tensor may share its start with the next one.
    return std::pair(a.first, a.second->data.size()) < std::pair(b.first, b.second->data.size());
  });
  std::uint64_t end = 0;
  for (const auto& [begin, entry] : order) {
    check(begin >= end, kind, "{}: tensor '{}' overlaps another (bytes {}..{})", name, entry->name,
          begin, end);
    check(begin == end, kind, "{}: bytes {}..{} before tensor '{}' belong to no tensor", name, end,
          begin, entry->name);
    end = begin + entry->data.size();
  }
  check(end == data.size(), kind, "{}: {} bytes after the last tensor belong to none", name,
        data.size() - end);
  return out;
}

SafetensorsReader::SafetensorsReader(const fs::path& path, ErrorKind kind, const std::string& stem)
    : path_(path), kind_(kind) {
  std::error_code code;
  if (!fs::exists(path, code)) throw not_found(path, "weights", kind);
  if (fs::is_directory(path, code)) {
    const fs::path single = path / (stem + ".safetensors");
    const fs::path index = path / (stem + ".safetensors.index.json");
    if (fs::exists(index, code)) {
      add_sharded(index);
    } else {
      check(fs::exists(single, code), kind, "'{}' holds neither {}.safetensors nor its index.json",
            path.string(), stem);
      add_file(single);
    }
  } else if (path.extension() == ".json") {
    add_sharded(path);
  } else {
    add_file(path);
  }
}

void SafetensorsReader::add_file(const fs::path& path) {
  auto file = std::make_shared<MappedFile>(path, kind_);
  for (auto& [name, entry] : parse_safetensors(file->bytes(), path.string(), kind_, &metadata_)) {
    const bool fresh = tensors_.emplace(name, entry).second;
    check(fresh, kind_, "{}: tensor '{}' is in another shard too", path.string(), name);
  }
  files_.push_back(std::move(file));
}

void SafetensorsReader::add_sharded(const fs::path& index) {
  const ByteBuffer bytes = read_file(index, kMaxHeader, kind_);
  std::map<std::string, std::vector<std::string>> names_in_shard;
  JsonReader in(as_text(bytes), index.string(), kind_);
  in.object([&](const std::string& key) {
    if (key != "weight_map") return in.skip();
    in.object([&](const std::string& tensor) {
      const std::string shard = in.string();
      // A shard is a file beside the index; anything else could read outside the folder.
      if (shard.empty() || shard == "." || shard == ".." || shard.find('/') != std::string::npos)
        in.fail(fmt::format("shard name \"{}\" is not a plain file name", shard));
      names_in_shard[shard].push_back(tensor);
    });
  });
  in.finish();
  check(!names_in_shard.empty(), kind_, "{}: no weight_map, or an empty one", index.string());
  std::size_t listed = 0;
  for (const auto& [shard, names] : names_in_shard) {
    add_file(index.parent_path() / shard);
    listed += names.size();
    for (const std::string& name : names)
      check(contains(name) && file_of(name) == files_.back(), kind_, "{}: tensor '{}' is not in {}",
            index.string(), name, shard);
  }
  check(listed == tensors_.size(), kind_, "{}: lists {} tensors, the shards hold {}",
        index.string(), listed, tensors_.size());
}

const TensorEntry& SafetensorsReader::at(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it != tensors_.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& [known, entry] : tensors_) names.push_back(known);
  const std::string near = nearest_name(name, names);
  throw Error(kind_, fmt::format("{}: no tensor '{}'", path_.string(), name),
              near.empty() ? "" : fmt::format("it holds '{}'", near));
}

std::shared_ptr<MappedFile> SafetensorsReader::file_of(std::string_view name) const {
  const std::uint8_t* p = at(name).data.data();
  for (const auto& file : files_) {
    const ByteView all = file->bytes();
    if (p >= all.data() && p <= all.data() + all.size()) return file;
  }
  throw_error(ErrorKind::Internal, "internal: tensor '{}' lies in no mapped file", name);
}

std::uint64_t TensorSpec::bytes() const {
  const std::size_t item = safetensors_item_size(dtype);
  check(item != 0, ErrorKind::Internal, "internal: unknown dtype {} for '{}'", dtype, name);
  return checked_bytes(shape, item, name, ErrorKind::Internal);
}

SafetensorsWriter::SafetensorsWriter(OutputFile& file, std::vector<TensorSpec> specs,
                                     const Metadata& metadata)
    : file_(file), specs_(std::move(specs)) {
  std::sort(specs_.begin(), specs_.end(), file_order);
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      header += fmt::format("{}{}:{}", header.back() == '{' ? "" : ",", json_quote(key),
                            json_quote(value));
    header += "}";
  }
  std::uint64_t offset = 0;
  for (const TensorSpec& t : specs_) {
    header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.size() > 1 ? "," : "", json_quote(t.name), t.dtype,
                          shape_text(t.shape), offset, offset + t.bytes());
    offset += t.bytes();
  }
  header += "}";
  // Spaces align the data to 8 bytes.
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::uint8_t length[8];
  store_le<std::uint64_t>(length, header.size());
  file_.write(ByteView(length));
  file_.write(header);
}

void SafetensorsWriter::write(ByteView data) {
  TENON_ASSERT(next_ < specs_.size());
  const TensorSpec& spec = specs_[next_++];
  check(data.size() == spec.bytes(), ErrorKind::Internal, "internal: '{}' needs {} bytes, got {}",
        spec.name, spec.bytes(), data.size());
  file_.write(data);
}

void SafetensorsWriter::finish() {
  TENON_ASSERT(next_ == specs_.size());
}

namespace {

void fill_file(OutputFile& file, const TensorToWrite* tensors, std::size_t n,
               const Metadata& metadata) {
  std::vector<TensorSpec> specs;
  std::map<std::string_view, ByteView> data;
  for (std::size_t i = 0; i < n; ++i) {
    specs.push_back(tensors[i].spec);
    TENON_ASSERT(data.emplace(tensors[i].spec.name, tensors[i].data).second);
  }
  SafetensorsWriter writer(file, std::move(specs), metadata);
  for (const TensorSpec& spec : writer.specs()) writer.write(data.at(spec.name));
  writer.finish();
}

}  // namespace

void write_safetensors(const FileSink& sink, std::vector<TensorToWrite> tensors,
                       const SafetensorsFolder& options) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    return a.spec.name < b.spec.name;
  });
  std::vector<std::size_t> starts = {0};  // first tensor of each shard
  std::uint64_t filled = 0, total = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t bytes = tensors[i].spec.bytes();
    if (options.shard_size > 0 && filled > 0 && filled + bytes > options.shard_size) {
      starts.push_back(i);
      filled = 0;
    }
    filled += bytes;
    total += bytes;
  }
  const std::size_t n = starts.size();
  starts.push_back(tensors.size());
  std::string map;
  for (std::size_t s = 0; s < n; ++s) {
    const std::string name = shard_name(options.stem, s, n);
    sink(name, [&](OutputFile& file) {
      fill_file(file, tensors.data() + starts[s], starts[s + 1] - starts[s], options.metadata);
    });
    for (std::size_t i = starts[s]; i < starts[s + 1]; ++i)
      map += fmt::format("{}\n    {}: {}", map.empty() ? "" : ",", json_quote(tensors[i].spec.name),
                         json_quote(name));
  }
  if (n == 1) return;
  sink(options.stem + ".safetensors.index.json", [&](OutputFile& file) {
    file.write(fmt::format(
        "{{\n  \"metadata\": {{\"total_size\": {}}},\n  \"weight_map\": {{{}\n  }}\n}}\n", total,
        map));
  });
}

void write_safetensors_file(const fs::path& path, std::vector<TensorToWrite> tensors,
                            const Metadata& metadata) {
  fs::path temporary = path;
  temporary += ".tmp";
  try {
    OutputFile file(temporary);
    fill_file(file, tensors.data(), tensors.size(), metadata);
    file.close();
    rename_path(temporary, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  sync_folder(path.parent_path().empty() ? fs::path(".") : path.parent_path());
}

}  // namespace tenon::io
