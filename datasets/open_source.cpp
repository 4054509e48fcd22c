#include "datasets/open_source.h"

#include <algorithm>
#include <charconv>

#include "datasets/cifar.h"
#include "datasets/generated.h"
#include "datasets/idx.h"
#include "datasets/picture_store.h"

namespace tenon::data {
namespace {

using io::fs::path;
constexpr std::string_view kGenerated = "generated:";
constexpr std::string_view kFormats[] = {"auto", "idx", "cifar", "edm", "folder", "generated"};

struct Packaged {
  std::string_view name, folder, package;
};
constexpr Packaged kPackaged[] = {
    {"fashion-mnist", "/usr/share/datasets/fashion-mnist", "dataset-fashion-mnist"}};

// The folder of a packaged data set if `spec` is its name and nothing here is called so.
path resolve(const std::string& spec) {
  std::error_code code;
  if (io::fs::exists(spec, code)) return spec;
  for (const Packaged& set : kPackaged) {
    if (set.name != spec) continue;
    if (io::fs::exists(set.folder, code)) return path(set.folder);
    throw_hint(ErrorKind::Data, fmt::format("apt-get install {}", set.package),
               "data set '{}' is not installed (no folder '{}')", spec, set.folder);
  }
  throw io::not_found(spec, "data");
}

std::uint64_t parse_number(std::string_view text, const std::string& spec) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  check(result.ec == std::errc() && result.ptr == text.data() + text.size(), ErrorKind::Usage,
        "data '{}': '{}' is not a number, want generated:N or generated:N:SEED", spec, text);
  return value;
}

SourcePtr open_generated(const std::string& spec, const FitOptions& fit) {
  check(spec.starts_with(kGenerated), ErrorKind::Usage, "data '{}': want generated:N[:SEED]", spec);
  const std::string_view rest = std::string_view(spec).substr(kGenerated.size());
  const std::size_t colon = rest.find(':');
  GeneratedOptions options;
  const std::uint64_t size = parse_number(rest.substr(0, colon), spec);
  check(size > 0 && size < std::uint64_t{1} << 40, ErrorKind::Usage,
        "data '{}': {} pictures, want 1 to 2^40", spec, size);
  options.size = static_cast<std::int64_t>(size);
  if (colon != std::string_view::npos) options.seed = parse_number(rest.substr(colon + 1), spec);
  if (fit.resolution > 0) options.resolution = fit.resolution;
  if (fit.channels > 0) options.channels = fit.channels;
  return make_generated(options);
}

// What kind of tree of pictures a folder is.
std::string detect_tree(const path& folder) {
  std::error_code code;
  if (io::fs::exists(folder / "dataset.json", code)) return "edm";
  bool pictures_on_top = false, numbered = true;
  int folders = 0;
  for (io::fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (it->is_directory(code)) {
      ++folders;
      // EDM writes 00000/img00000000.png: five digits mean no class.
      numbered =
          numbered && name.size() == 5 && name.find_first_not_of("0123456789") == std::string::npos;
    } else {
      pictures_on_top = pictures_on_top || io::is_image_name(name);
    }
  }
  if (pictures_on_top || (folders > 0 && numbered)) return "edm";
  return folders > 0 ? "folder" : "";
}

}  // namespace

std::string detect_format(const std::string& spec, const std::string& split) {
  if (spec.starts_with(kGenerated)) return "generated";
  const path p = resolve(spec);
  std::error_code code;
  std::string found;
  if (io::fs::is_directory(p, code)) {
    if (looks_like_idx(p, split)) {
      found = "idx";
    } else if (looks_like_cifar(p, split)) {
      found = "cifar";
    } else {
      found = detect_tree(p);
    }
  } else if (p.extension() == ".zip") {
    found = "edm";
  } else if (looks_like_idx(p)) {
    found = "idx";
  } else if (looks_like_cifar(p)) {
    found = "cifar";
  }
  if (found.empty())
    throw_hint(ErrorKind::Data, "name the format: --data-format idx|cifar|edm|folder",
               "data '{}' is of no known form: want IDX files, CIFAR .bin files, a .zip or folder "
               "of pictures, or generated:N",
               spec);
  return found;
}

SourcePtr open_source(const std::string& spec, const SourceOptions& options) {
  const auto known = std::find(std::begin(kFormats), std::end(kFormats), options.format);
  if (known == std::end(kFormats)) {
    const std::string near =
        io::nearest_name(options.format, {std::begin(kFormats), std::end(kFormats)});
    throw Error(ErrorKind::Usage,
                fmt::format("data format '{}' is unknown, want auto, idx, cifar, edm, folder or "
                            "generated",
                            options.format),
                near.empty() ? "" : fmt::format("did you mean {}?", near));
  }
  check(options.split == "train" || options.split == "test", ErrorKind::Usage,
        "split '{}', want train or test", options.split);
  std::string format = options.format;
  if (format == "auto") format = detect_format(spec, options.split);

  SourcePtr source;
  if (format == "generated") {
    source = open_generated(spec, options.fit);
  } else if (format == "idx" || format == "cifar") {
    const path p = resolve(spec);
    source = format == "idx" ? open_idx(p, options.split) : open_cifar(p, options.split);
    const FitOptions& fit = options.fit;
    const SourceInfo& info = source->info();
    if ((fit.resolution > 0 && (fit.resolution != info.width || fit.resolution != info.height)) ||
        (fit.channels > 0 && fit.channels != info.channels)) {
      FitOptions padded = fit;
      padded.pad = true;  // digits and garments keep their pixels, on a larger canvas
      source = fit_source(std::move(source), padded);
    }
  } else {
    PictureOptions pictures;
    pictures.fit = options.fit;
    pictures.use_labels = options.use_labels;
    auto store = open_picture_store(resolve(spec));
    pictures.strict_size = options.strict_size && format == "edm";
    source = format == "edm" ? make_edm_source(std::move(store), pictures)
                             : make_class_folder_source(std::move(store), pictures);
  }
  if (options.max_size > 0)
    source = limit_source(std::move(source), options.max_size, options.seed);
  if (options.mirror) source = mirror_source(std::move(source));
  return source;
}

}  // namespace tenon::data
