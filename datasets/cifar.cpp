#include "datasets/cifar.h"

#include <algorithm>

#include "core/io/mapped_file.h"
#include "datasets/labels.h"

namespace tenon::data {
namespace {

using io::fs::path;
constexpr std::size_t kPixels = 3 * 32 * 32;

std::size_t label_bytes(CifarKind cifar) {
  return cifar == CifarKind::Cifar100 ? 2 : 1;
}
std::size_t record_bytes(CifarKind cifar) {
  return kPixels + label_bytes(cifar);
}

class CifarSource final : public Source {
 public:
  CifarSource(const path& shown, const std::vector<path>& files, CifarKind cifar)
      : record_(record_bytes(cifar)), skip_(label_bytes(cifar)) {
    std::vector<std::int64_t> labels;
    for (const path& file : files) {
      auto mapped = std::make_unique<io::MappedFile>(file);
      const std::int64_t n = check_cifar(mapped->bytes(), cifar, file.string());
      for (std::int64_t i = 0; i < n; ++i)
        labels.push_back(mapped->bytes()[static_cast<std::size_t>(i) * record_ + skip_ - 1]);
      starts_.push_back(info_.size);
      info_.size += n;
      files_.push_back(std::move(mapped));
    }
    const bool hundred = cifar == CifarKind::Cifar100;
    labels_ = Labels::classes(std::move(labels), hundred ? 100 : 10, shown.string());
    info_.channels = 3;
    info_.height = info_.width = 32;
    labels_.describe(info_);
    info_.description = fmt::format("{} (CIFAR-{} binary), {}", shown.string(), hundred ? 100 : 10,
                                    describe_shape(info_));
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    const auto [file, offset] = place(i);
    std::copy_n(files_[file]->bytes().data() + offset + skip_, chw.size(), chw.begin());
  }
  std::int64_t label(std::int64_t i) const override { return labels_.label(i); }
  std::string locate(std::int64_t i) const override {
    const auto [file, offset] = place(i);
    return fmt::format("{}, offset {}", files_[file]->path().string(), offset);
  }

 private:
  std::pair<std::size_t, std::size_t> place(std::int64_t i) const {
    const auto file = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), i) -
                                               starts_.begin() - 1);
    return {file, static_cast<std::size_t>(i - starts_[file]) * record_};
  }

  std::size_t record_, skip_;
  std::vector<std::int64_t> starts_;  // first sample of each file
  std::vector<std::unique_ptr<io::MappedFile>> files_;
  Labels labels_;
};

struct Found {
  std::vector<path> files;
  CifarKind cifar = CifarKind::Cifar10;
};

Found find_in_folder(const path& folder, const std::string& split) {
  std::error_code code;
  Found found;
  if (split == "test") {
    if (io::fs::is_regular_file(folder / "test_batch.bin", code))
      found.files.push_back(folder / "test_batch.bin");
  } else {
    for (io::fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
      const std::string name = it->path().filename().string();
      if (name.starts_with("data_batch_") && name.ends_with(".bin"))
        found.files.push_back(it->path());
    }
    std::sort(found.files.begin(), found.files.end());
  }
  if (!found.files.empty()) return found;
  const path hundred = folder / (split == "test" ? "test.bin" : "train.bin");
  if (io::fs::is_regular_file(hundred, code)) found = {{hundred}, CifarKind::Cifar100};
  return found;
}

}  // namespace

std::int64_t check_cifar(std::span<const std::uint8_t> bytes, CifarKind cifar,
                         const std::string& name) {
  const std::size_t record = record_bytes(cifar);
  check(!bytes.empty() && bytes.size() % record == 0, ErrorKind::Data,
        "{}: {} bytes are not a whole number of {}-byte records (cut?)", name, bytes.size(),
        record);
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    const bool ok =
        cifar == CifarKind::Cifar10 ? bytes[at] < 10 : bytes[at] < 20 && bytes[at + 1] < 100;
    check(ok, ErrorKind::Data, "{}: label {} at offset {} is not a class of this data set", name,
          bytes[at + label_bytes(cifar) - 1], at);
  }
  return static_cast<std::int64_t>(bytes.size() / record);
}

bool looks_like_cifar(const path& p, const std::string& split) {
  std::error_code code;
  if (io::fs::is_directory(p, code)) return !find_in_folder(p, split).files.empty();
  return p.extension() == ".bin";
}

SourcePtr open_cifar(const path& p, const std::string& split) {
  std::error_code code;
  if (!io::fs::exists(p, code)) throw io::not_found(p, "data");
  Found found;
  if (io::fs::is_directory(p, code)) {
    found = find_in_folder(p, split);
    check(!found.files.empty(), ErrorKind::Data,
          "data set '{}': neither data_batch_*.bin / test_batch.bin nor train.bin / test.bin for "
          "split {}",
          p.string(), split);
  } else {
    found.files = {p};
    const std::uint64_t size = io::fs::file_size(p, code);
    if (!code && size % record_bytes(CifarKind::Cifar10) != 0 &&
        size % record_bytes(CifarKind::Cifar100) == 0)
      found.cifar = CifarKind::Cifar100;
  }
  return std::make_shared<CifarSource>(p, found.files, found.cifar);
}

}  // namespace tenon::data
