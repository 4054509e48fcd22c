// safetensors files: u64 header length (little-endian), JSON header, then the tensors' bytes.
//
// One class reads a file, a folder with model.safetensors, or a sharded set with its index.json;
// tensors stay in the mapped files and are never copied here. Whatever a hostile file says, reading
// it costs at most its own size: lengths, shapes and ranges are checked against the file first.
// Format: https://github.com/huggingface/safetensors (format section).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/dtype/dtype.h"
#include "core/io/mapped_file.h"

namespace tenon::io {

// The engine's types in that format's words and back; nullopt for types the engine does not have.
std::string_view safetensors_dtype(DType dtype);
std::optional<DType> dtype_from_safetensors(std::string_view name);

// Bytes of one element of a safetensors dtype ("F32", "BF16", ...), 0 when it is unknown.
std::size_t safetensors_item_size(std::string_view dtype);

struct TensorEntry {
  std::string name;
  std::string dtype;  // F64 F32 BF16 F16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL F8_E4M3 F8_E5M2
  std::vector<std::int64_t> shape;
  ByteView data;  // not necessarily aligned: files of others may start a tensor anywhere

  std::int64_t count() const;  // elements
};

using TensorMap = std::map<std::string, TensorEntry, std::less<>>;
using Metadata = std::map<std::string, std::string>;

// The parser itself: `bytes` is the whole file and must outlive the entries. `name` stands in front
// of the errors, which have the given kind.
TensorMap parse_safetensors(ByteView bytes, const std::string& name,
                            ErrorKind kind = ErrorKind::Checkpoint, Metadata* metadata = nullptr);

class SafetensorsReader {
 public:
  // `path`: a .safetensors file, an .index.json file, or a folder that holds STEM.safetensors or
  // STEM.safetensors.index.json.
  explicit SafetensorsReader(const fs::path& path, ErrorKind kind = ErrorKind::Checkpoint,
                             const std::string& stem = "model");

  const fs::path& path() const { return path_; }
  const TensorMap& tensors() const { return tensors_; }
  const Metadata& metadata() const { return metadata_; }
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  // Throws with the nearest name when it is missing.
  const TensorEntry& at(std::string_view name) const;
  // The mapped file an entry's bytes lie in; keeps them alive beyond this reader.
  std::shared_ptr<MappedFile> file_of(std::string_view name) const;

 private:
  void add_file(const fs::path& path);
  void add_sharded(const fs::path& index);

  fs::path path_;
  ErrorKind kind_;
  TensorMap tensors_;
  Metadata metadata_;
  std::vector<std::shared_ptr<MappedFile>> files_;
};

// What a writer needs to know before the first byte.
struct TensorSpec {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;

  std::uint64_t bytes() const;
};

// Streams one file. The order in the file is by falling element size, then name, so that every
// tensor is aligned to its element; write() must be called in the order of specs().
class SafetensorsWriter {
 public:
  SafetensorsWriter(OutputFile& file, std::vector<TensorSpec> specs, const Metadata& metadata = {});

  const std::vector<TensorSpec>& specs() const { return specs_; }
  void write(ByteView data);  // all bytes of the next tensor
  void finish();              // an Internal error when tensors are missing

 private:
  OutputFile& file_;
  std::vector<TensorSpec> specs_;
  std::size_t next_ = 0;
};

struct TensorToWrite {
  TensorSpec spec;
  ByteView data;
};

struct SafetensorsFolder {
  std::string stem = "model";
  std::uint64_t shard_size = 0;  // bytes; 0 = never split
  Metadata metadata;
};

// Creates the file `name`, lets fill() write it, and closes it (CheckpointWriter::write is one).
using FileSink =
    std::function<void(const std::string& name, const std::function<void(OutputFile&)>& fill)>;

// Writes STEM.safetensors through `sink`, or, when the tensors are more than `shard_size` bytes,
// STEM-00001-of-0000N.safetensors and STEM.safetensors.index.json (the published form).
void write_safetensors(const FileSink& sink, std::vector<TensorToWrite> tensors,
                       const SafetensorsFolder& options = {});

// One file, atomically.
void write_safetensors_file(const fs::path& path, std::vector<TensorToWrite> tensors,
                            const Metadata& metadata = {});

}  // namespace tenon::io
