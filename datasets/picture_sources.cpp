// The two sources over a PictureStore (picture_store.h): EDM data sets and class folders.
#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "core/io/image.h"
#include "core/io/json_reader.h"
#include "datasets/picture_store.h"

namespace tenon::data {
namespace {

constexpr ErrorKind kind = ErrorKind::Data;

class PictureSource final : public Source {
 public:
  PictureSource(std::unique_ptr<PictureStore> store, Labels labels, const PictureOptions& options,
                std::string_view form)
      : store_(std::move(store)), labels_(std::move(labels)), fit_(options.fit) {
    const io::Image first = decode(0);
    const bool power = std::has_single_bit(static_cast<unsigned>(first.width));
    if (options.strict_size && fit_.resolution == 0 && (first.width != first.height || !power))
      throw_hint(kind, "give a resolution to bring them all to, and center-crop if not square",
                 "{}: a picture of {}x{} pixels, want square ones with a power of two a side",
                 locate(0), first.width, first.height);
    info_.size = static_cast<std::int64_t>(store_->names().size());
    info_.channels = first.channels;
    info_.height = first.height;
    info_.width = first.width;
    labels_.describe(info_);
    info_.description = fmt::format("{} ({}), {}", store_->name(), form, describe_shape(info_));
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    const io::Image image = decode(i);
    if (image.width != info_.width || image.height != info_.height ||
        image.channels != info_.channels)
      throw_hint(kind,
                 image.channels != info_.channels ? "give the number of channels to bring all to"
                                                  : "give a resolution to bring all to",
                 "{}: a picture of {}x{}x{}, the first one has {}x{}x{}", locate(i), image.channels,
                 image.height, image.width, info_.channels, info_.height, info_.width);
    to_chw(image, chw);
  }
  std::int64_t label(std::int64_t i) const override { return labels_.label(i); }
  std::span<const float> label_vector(std::int64_t i) const override { return labels_.vector(i); }
  std::string locate(std::int64_t i) const override {
    return store_->locate(static_cast<std::size_t>(i));
  }

 private:
  io::Image decode(std::int64_t i) const {
    const std::string where = locate(i);
    return fit_image(io::decode_image(store_->read(static_cast<std::size_t>(i)), where), fit_,
                     where);
  }

  std::unique_ptr<PictureStore> store_;
  Labels labels_;
  FitOptions fit_;
};

void require_pictures(const PictureStore& store) {
  check(!store.names().empty(), kind, "'{}' holds no PNG or JPEG picture", store.name());
}

}  // namespace

Labels parse_edm_labels(std::string_view text, const std::string& where,
                        const std::vector<std::string>& names) {
  std::unordered_map<std::string, std::size_t> position;
  for (std::size_t i = 0; i < names.size(); ++i) position.emplace(names[i], i);
  std::vector<std::int64_t> classes(names.size(), -1);
  std::vector<float> vectors;  // filled when the labels are lists
  std::vector<bool> seen(names.size(), false);
  std::int64_t dim = -1;  // -1 unknown yet, 0 classes, else floats in a vector
  bool is_null = true, has_key = false;

  io::JsonReader in(text, where, kind);
  const auto read_label = [&](std::size_t at) {
    if (in.peek() == io::JsonReader::Kind::Number) {
      if (dim > 0) in.fail("a number among label vectors");
      dim = 0;
      const std::int64_t value = in.integer();
      if (at < names.size()) classes[at] = value;
      return;
    }
    std::vector<float> row;
    in.array([&] { row.push_back(static_cast<float>(in.number())); });
    const auto n = static_cast<std::int64_t>(row.size());
    if (n == 0) in.fail("an empty label vector");
    if (dim >= 0 && dim != n)
      in.fail(fmt::format("a label vector of {} numbers, the one before has {}", n, dim));
    if (dim < 0) {
      dim = n;
      vectors.resize(names.size() * row.size());
    }
    if (at < names.size())
      std::copy(row.begin(), row.end(), vectors.begin() + static_cast<std::ptrdiff_t>(at) * n);
  };
  const auto read_pair = [&] {
    std::size_t at = names.size();  // names.size(): a label of a picture that is not there
    int field = 0;
    in.array([&] {
      if (field == 0) {
        std::string name = in.string();
        std::replace(name.begin(), name.end(), '\\', '/');
        if (const auto it = position.find(name); it != position.end()) {
          at = it->second;
          if (seen[at]) in.fail("a second label for '" + name + "'");
          seen[at] = true;
        }
      } else if (field == 1) {
        read_label(at);
      } else {
        in.fail("want [name, label]");
      }
      ++field;
    });
    if (field != 2) in.fail("want [name, label]");
  };
  in.object([&](const std::string& key) {
    if (key != "labels") return in.skip();
    has_key = true;
    if (in.peek() == io::JsonReader::Kind::Null) return in.null();
    is_null = false;
    in.array(read_pair);
  });
  in.finish();
  check(has_key, kind, "{}: no key \"labels\"", where);
  if (is_null) return Labels::none();
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    const auto count = std::count(seen.begin(), seen.end(), false);
    throw_error(kind, "{}: no label for '{}'{}", where,
                names[static_cast<std::size_t>(missing - seen.begin())],
                count > 1 ? fmt::format(" and {} other pictures", count - 1) : "");
  }
  if (dim > 0) return Labels::vectors(std::move(vectors), dim);
  return Labels::classes(std::move(classes), 0, where);
}

SourcePtr make_edm_source(std::unique_ptr<PictureStore> store, const PictureOptions& options) {
  require_pictures(*store);
  Labels labels;
  if (options.use_labels) {
    const std::string where = store->name() + ":dataset.json";
    if (const auto text = store->read_extra("dataset.json"))
      labels = parse_edm_labels(io::as_text(*text), where, store->names());
  }
  return std::make_shared<PictureSource>(std::move(store), std::move(labels), options,
                                         "EDM data set");
}

SourcePtr make_class_folder_source(std::unique_ptr<PictureStore> store,
                                   const PictureOptions& options) {
  require_pictures(*store);
  std::vector<std::string> classes;  // sorted, since the names are
  std::vector<std::int64_t> labels;
  for (const std::string& name : store->names()) {
    const std::size_t slash = name.find('/');
    check(slash != std::string::npos, kind,
          "'{}': the picture '{}' lies in no class folder, others do", store->name(), name);
    if (classes.empty() || classes.back() != name.substr(0, slash))
      classes.push_back(name.substr(0, slash));
    labels.push_back(static_cast<std::int64_t>(classes.size()) - 1);
  }
  Labels table;
  if (options.use_labels)
    table = Labels::classes(std::move(labels), static_cast<std::int64_t>(classes.size()),
                            store->name());
  return std::make_shared<PictureSource>(std::move(store), std::move(table), options,
                                         "class folders");
}

}  // namespace tenon::data
