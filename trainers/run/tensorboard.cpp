#include "trainers/run/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/base/error.h"
#include "core/io/crc32c.h"
#include "trainers/run/folder.h"

namespace tenon::run {
namespace {

// Protobuf wire types.
constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

void varint(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) out += static_cast<char>(v | 0x80);
  out += static_cast<char>(v);
}
void key(std::string& out, int field, int type) {
  varint(out, static_cast<std::uint64_t>(field << 3 | type));
}
void put_varint(std::string& out, int field, std::uint64_t v) {
  key(out, field, kVarint);
  varint(out, v);
}
void put_bytes(std::string& out, int field, std::string_view bytes) {
  key(out, field, kBytes);
  varint(out, bytes.size());
  out += bytes;
}
template <class Bits, class T>
void put_fixed(std::string& out, int field, int type, T value) {
  key(out, field, type);
  Bits bits;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  std::uint8_t bytes[sizeof bits];
  io::store_le<Bits>(bytes, bits);
  out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

// Event: 1 wall_time, 2 step, 3 file_version, 5 summary, 7 start marker.
std::string event_head(double wall_time, std::int64_t step) {
  std::string out;
  put_fixed<std::uint64_t>(out, 1, kFixed64, wall_time);
  if (step != 0) put_varint(out, 2, static_cast<std::uint64_t>(step));
  return out;
}
// Summary: repeated 1 {1 tag, ...value}.
std::string summary_event(double wall_time, std::int64_t step, const std::string& value) {
  std::string summary, out = event_head(wall_time, step);
  put_bytes(summary, 1, value);
  put_bytes(out, 5, summary);
  return out;
}
std::string start_event(double wall_time, std::int64_t step) {
  std::string marker, out = event_head(wall_time, step);
  put_varint(marker, 1, 1);
  put_bytes(out, 7, marker);
  return out;
}

double wall_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class Bits>
void append_le(std::string& out, Bits v) {
  std::uint8_t bytes[sizeof v];
  io::store_le<Bits>(bytes, v);
  out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

}  // namespace

std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = io::crc32c(0, io::as_bytes(bytes));
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

std::string event_record(std::string_view event) {
  std::string out;
  append_le<std::uint64_t>(out, event.size());
  append_le<std::uint32_t>(out, masked_crc(out));
  out += event;
  append_le<std::uint32_t>(out, masked_crc(event));
  return out;
}

std::string version_event(double wall_time) {
  std::string out = event_head(wall_time, 0);
  put_bytes(out, 3, "brain.Event:2");
  return out;
}

std::string scalar_event(double wall_time, std::int64_t step, const std::string& tag, float value) {
  std::string v;
  put_bytes(v, 1, tag);
  put_fixed<std::uint32_t>(v, 2, kFixed32, value);
  return summary_event(wall_time, step, v);
}

EventWriter::EventWriter(const std::filesystem::path& folder, std::int64_t step, Warn warn,
                         double flush_seconds)
    : warn_(std::move(warn)) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  const double now = wall_now();
  // Readers take the files of a folder in the order of their names.
  for (int n = 0; n < 1000; ++n) {
    path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<long>(now),
                                 host_name(), getpid(), n);
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor_ >= 0 || errno != EEXIST) break;
  }
  if (descriptor_ < 0) {
    warn_(fmt::format("no TensorBoard file: cannot write '{}': {}", path_.string(),
                      std::strerror(errno)));
    return;
  }
  add(version_event(now));
  add(start_event(now, step));
  write_out();
  thread_ = std::thread([this, flush_seconds] { loop(flush_seconds); });
}

EventWriter::~EventWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  write_out();
  if (descriptor_ >= 0) close(descriptor_);
}

void EventWriter::loop(double seconds) {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    wake_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return stop_; });
    lock.unlock();
    write_out();
    lock.lock();
  }
}

void EventWriter::add(const std::string& event) {
  const std::lock_guard lock(mutex_);
  pending_ += event_record(event);
}

void EventWriter::write_out() {
  const std::lock_guard file_lock(file_mutex_);
  std::string bytes;
  {
    const std::lock_guard lock(mutex_);
    bytes.swap(pending_);
  }
  for (std::size_t at = 0; descriptor_ >= 0 && at < bytes.size();) {
    const ssize_t n = ::write(descriptor_, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      warn_(fmt::format("TensorBoard file switched off: cannot write '{}': {}", path_.string(),
                        std::strerror(n < 0 ? errno : ENOSPC)));
      close(descriptor_);
      descriptor_ = -1;
      break;
    }
    at += static_cast<std::size_t>(n);
  }
}

void EventWriter::scalar(const std::string& tag, std::int64_t step, double value) {
  add(scalar_event(wall_now(), step, tag, static_cast<float>(value)));
}

void EventWriter::image(const std::string& tag, std::int64_t step, int width, int height,
                        int channels, std::string_view png) {
  // Image: 1 height, 2 width, 3 colorspace (1 grey, 3 RGB), 4 PNG bytes.
  std::string image, v;
  put_varint(image, 1, static_cast<std::uint64_t>(height));
  put_varint(image, 2, static_cast<std::uint64_t>(width));
  put_varint(image, 3, static_cast<std::uint64_t>(channels));
  put_bytes(image, 4, png);
  put_bytes(v, 1, tag);
  put_bytes(v, 4, image);
  add(summary_event(wall_now(), step, v));
}

void EventWriter::text(const std::string& tag, std::int64_t step, const std::string& value) {
  // Value: 8 tensor {1 dtype 7 = string, 2 shape {2 {1 size}}, 8 bytes}, 9 metadata {1 {1 "text"}}.
  std::string dim, shape, tensor, plugin, metadata, v;
  put_varint(dim, 1, 1);
  put_bytes(shape, 2, dim);
  put_varint(tensor, 1, 7);
  put_bytes(tensor, 2, shape);
  put_bytes(tensor, 8, value);
  put_bytes(plugin, 1, "text");
  put_bytes(metadata, 1, plugin);
  put_bytes(v, 1, tag);
  put_bytes(v, 8, tensor);
  put_bytes(v, 9, metadata);
  add(summary_event(wall_now(), step, v));
}

void EventWriter::flush() {
  write_out();
}

}  // namespace tenon::run
