#include "datasets/picture_store.h"

#include <algorithm>
#include <unordered_map>

namespace tenon::data {
namespace {

constexpr std::uint64_t kMaxPicture = 512 << 20;
constexpr std::uint64_t kMaxExtra = 1 << 30;

class FolderStore final : public PictureStore {
 public:
  explicit FolderStore(const io::fs::path& root) : root_(root), name_(root.string()) {
    std::error_code code;
    using Walk = io::fs::recursive_directory_iterator;
    for (Walk it(root, io::fs::directory_options::follow_directory_symlink, code), end;
         !code && it != end; it.increment(code)) {
      // A link that leads back up would make the walk endless.
      check(it.depth() < 32, ErrorKind::Data, "'{}': folders nested deeper than 32", name_);
      if (it->is_regular_file(code) && io::is_image_name(it->path().filename().string()))
        names_.push_back(it->path().lexically_relative(root).generic_string());
    }
    check(!code, ErrorKind::Data, "cannot list '{}': {}", name_, code.message());
    std::sort(names_.begin(), names_.end());
  }
  io::ByteBuffer read(std::size_t i) const override {
    return io::read_file(root_ / names_[i], kMaxPicture);
  }
  std::optional<io::ByteBuffer> read_extra(const std::string& name) const override {
    std::error_code code;
    if (!io::fs::is_regular_file(root_ / name, code)) return std::nullopt;
    return io::read_file(root_ / name, kMaxExtra);
  }
  std::string locate(std::size_t i) const override { return (root_ / names_[i]).string(); }
  const std::string& name() const override { return name_; }

 private:
  io::fs::path root_;
  std::string name_;
};

class ZipStore final : public PictureStore {
 public:
  explicit ZipStore(std::unique_ptr<io::ZipArchive> zip) : zip_(std::move(zip)) {
    for (const io::ZipEntry& entry : zip_->entries()) {
      if (io::is_image_name(entry.name)) {
        pictures_.push_back(entry);
      } else {
        extras_.emplace(entry.name, entry);
      }
    }
    std::sort(pictures_.begin(), pictures_.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const io::ZipEntry& entry : pictures_) names_.push_back(entry.name);
  }
  io::ByteBuffer read(std::size_t i) const override {
    return zip_->read(pictures_[i], kMaxPicture);
  }
  std::optional<io::ByteBuffer> read_extra(const std::string& name) const override {
    const auto it = extras_.find(name);
    if (it == extras_.end()) return std::nullopt;
    return zip_->read(it->second, kMaxExtra);
  }
  std::string locate(std::size_t i) const override { return zip_->name() + ":" + names_[i]; }
  const std::string& name() const override { return zip_->name(); }

 private:
  std::unique_ptr<io::ZipArchive> zip_;
  std::vector<io::ZipEntry> pictures_;
  std::unordered_map<std::string, io::ZipEntry> extras_;
};

}  // namespace

std::unique_ptr<PictureStore> open_picture_store(const io::fs::path& path) {
  std::error_code code;
  if (!io::fs::exists(path, code)) throw io::not_found(path, "data");
  if (io::fs::is_directory(path, code)) return std::make_unique<FolderStore>(path);
  return std::make_unique<ZipStore>(std::make_unique<io::ZipArchive>(path));
}

std::unique_ptr<PictureStore> open_picture_store(std::span<const std::uint8_t> bytes,
                                                 const std::string& name) {
  return std::make_unique<ZipStore>(std::make_unique<io::ZipArchive>(bytes, name));
}

}  // namespace tenon::data
