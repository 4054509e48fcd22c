// Named picture files in a folder tree or a zip archive, sorted by name.
#pragma once

#include <optional>

#include "core/io/zip.h"
#include "datasets/labels.h"
#include "datasets/transforms.h"

namespace tenon::data {

class PictureStore {
 public:
  virtual ~PictureStore() = default;
  // Names of the PNG and JPEG files with '/' between folders, in byte order.
  const std::vector<std::string>& names() const { return names_; }
  virtual io::ByteBuffer read(std::size_t i) const = 0;
  // A file that is not a picture, by name; nullopt when it is not there.
  virtual std::optional<io::ByteBuffer> read_extra(const std::string& name) const = 0;
  virtual std::string locate(std::size_t i) const = 0;
  virtual const std::string& name() const = 0;

 protected:
  std::vector<std::string> names_;
};

std::unique_ptr<PictureStore> open_picture_store(const io::fs::path& path);
// A zip archive in memory; `bytes` must outlive it.
std::unique_ptr<PictureStore> open_picture_store(std::span<const std::uint8_t> bytes,
                                                 const std::string& name);

// What to do with each picture. With fit.resolution 0 all must have the size of the first; square
// and a power of two as well if strict_size.
struct PictureOptions {
  FitOptions fit;
  bool strict_size = true;
  bool use_labels = true;
};

// EDM's data set: a zip or folder tree with an optional dataset.json at the top,
//   {"labels": [["00000/img00000000.png", 6], ...]}   or   {"labels": null};
// integers are classes, lists are float vectors. Every picture needs a label; order = sorted names.
// (github.com/NVlabs/edm, training/dataset.py)
SourcePtr make_edm_source(std::unique_ptr<PictureStore> store, const PictureOptions& options);

// A folder of folders: class = position of the first folder's name in sorted order.
SourcePtr make_class_folder_source(std::unique_ptr<PictureStore> store,
                                   const PictureOptions& options);

// The labels of dataset.json for these names; none() for null.
Labels parse_edm_labels(std::string_view text, const std::string& where,
                        const std::vector<std::string>& names);

}  // namespace tenon::data
