#include "datasets/idx.h"

#include <algorithm>
#include <limits>

#include "core/io/gzip.h"
#include "datasets/labels.h"

namespace tenon::data {
namespace {

using io::fs::path;
constexpr ErrorKind kind = ErrorKind::Data;
constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 33;

// Reads the next bytes of a plain or a gzipped file.
class Input {
 public:
  Input(std::span<const std::uint8_t> bytes, const std::string& name) : rest_(bytes) {
    if (io::is_gzip(bytes)) packed_ = std::make_unique<io::GzipReader>(bytes, name, kind);
  }
  std::size_t read(std::span<std::uint8_t> out) {
    if (packed_) return packed_->read(out);
    const std::size_t n = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), n, out.begin());
    rest_ = rest_.subspan(n);
    return n;
  }

 private:
  std::span<const std::uint8_t> rest_;
  std::unique_ptr<io::GzipReader> packed_;
};

class IdxSource final : public Source {
 public:
  IdxSource(path file, IdxArray images, Labels labels)
      : file_(std::move(file)), images_(std::move(images)), labels_(std::move(labels)) {
    info_.size = images_.sizes[0];
    info_.channels = 1;
    info_.height = static_cast<int>(images_.sizes[1]);
    info_.width = static_cast<int>(images_.sizes[2]);
    labels_.describe(info_);
    info_.description = fmt::format("{} (IDX), {}", file_.string(), describe_shape(info_));
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    std::copy_n(images_.values.begin() + i * static_cast<std::int64_t>(chw.size()), chw.size(),
                chw.begin());
  }
  std::int64_t label(std::int64_t i) const override { return labels_.label(i); }
  std::string locate(std::int64_t i) const override {
    return fmt::format("{}, offset {}{}", file_.string(),
                       16 + static_cast<std::uint64_t>(i) * info_.image_bytes(),
                       file_.extension() == ".gz" ? " when unpacked" : "");
  }

 private:
  path file_;
  IdxArray images_;
  Labels labels_;
};

// The file or its .gz twin, "" when neither is there.
path existing(const path& plain) {
  std::error_code code;
  if (io::fs::is_regular_file(plain, code)) return plain;
  path packed = plain;
  packed += ".gz";
  return io::fs::is_regular_file(packed, code) ? packed : path();
}

std::string stem_of(const std::string& split) {
  return split == "test" ? "t10k" : split;
}

path images_in(const path& folder, const std::string& split) {
  return existing(folder / (stem_of(split) + "-images-idx3-ubyte"));
}

path labels_beside(const path& images) {
  std::string name = images.filename().string();
  const std::size_t at = name.find("images-idx3");
  if (at == std::string::npos) return {};
  name.replace(at, 11, "labels-idx1");
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return existing(images.parent_path() / name);
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name) {
  Input in(bytes, name);
  std::uint8_t head[4];
  check(in.read(head) == 4, kind, "{}: too short for an IDX file", name);
  check(head[0] == 0 && head[1] == 0, kind,
        "{}: starts with {:02x} {:02x}, an IDX file starts with 00 00", name, head[0], head[1]);
  check(head[2] == 8, kind, "{}: IDX values of type {:#04x}, want 0x08 (u8)", name, head[2]);
  check(head[3] >= 1 && head[3] <= 4, kind, "{}: an IDX array of rank {}, want 1 to 4", name,
        head[3]);
  IdxArray out;
  std::uint64_t count = 1;
  for (int d = 0; d < head[3]; ++d) {
    std::uint8_t raw[4];
    check(in.read(raw) == 4, kind, "{}: cut inside the IDX header", name);
    const auto size = io::load_be<std::uint32_t>(raw);
    out.sizes.push_back(size);
    check(size == 0 || count <= kMaxFile / size, kind,
          "{}: the IDX header asks for more than {} bytes", name, kMaxFile);
    count *= size;
  }
  // In growing steps: a few hostile bytes must not ask for gigabytes.
  std::uint64_t filled = 0;
  while (filled < count) {
    out.values.resize(std::min<std::uint64_t>(count, std::max<std::uint64_t>(2 * filled, 1 << 20)));
    const std::size_t got = in.read(std::span(out.values).subspan(filled));
    filled += got;
    check(filled == out.values.size(), kind,
          "{}: the IDX header promises {} bytes of values, the file holds {} (cut?)", name, count,
          filled);
  }
  std::uint8_t extra[1];
  check(in.read(extra) == 0, kind, "{}: bytes after the {} values the IDX header promises", name,
        count);
  return out;
}

bool looks_like_idx(const path& p, const std::string& split) {
  std::error_code code;
  if (io::fs::is_directory(p, code)) return !images_in(p, split).empty();
  return p.filename().string().find("idx3-ubyte") != std::string::npos;
}

SourcePtr open_idx(const path& p, const std::string& split) {
  std::error_code code;
  path file = p;
  if (!io::fs::exists(p, code)) throw io::not_found(p, "data");
  if (io::fs::is_directory(p, code)) {
    file = images_in(p, split);
    if (file.empty())
      throw io::not_found(p / (stem_of(split) + "-images-idx3-ubyte.gz"), "data set");
  }
  IdxArray images = parse_idx(io::read_file(file, kMaxFile), file.string());
  check(images.sizes.size() == 3, kind, "{}: an IDX array of rank {}, want 3 (images)",
        file.string(), images.sizes.size());
  check(images.sizes[0] > 0 && images.sizes[1] > 0 && images.sizes[2] > 0 &&
            images.sizes[1] <= 32768 && images.sizes[2] <= 32768,
        kind, "{}: {} images of {}x{}", file.string(), images.sizes[0], images.sizes[1],
        images.sizes[2]);
  Labels labels;
  if (const path label_file = labels_beside(file); !label_file.empty()) {
    const IdxArray raw = parse_idx(io::read_file(label_file, kMaxFile), label_file.string());
    check(raw.sizes.size() == 1 && raw.sizes[0] == images.sizes[0], kind,
          "{}: {} labels for the {} images of {}", label_file.string(), raw.sizes[0],
          images.sizes[0], file.string());
    labels = Labels::classes({raw.values.begin(), raw.values.end()}, 0, label_file.string());
  }
  return std::make_shared<IdxSource>(file, std::move(images), std::move(labels));
}

}  // namespace tenon::data
