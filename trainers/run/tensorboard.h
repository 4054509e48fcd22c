// Event files that TensorBoard reads, written without TensorFlow or protobuf.
//
// A file is a row of records: u64 length, masked CRC-32C of the length, data, masked CRC-32C of the
// data; the data is a protobuf message `Event`, of which five fields are used (docs/run-folder.md).
// A background thread writes every 10 seconds. A write that fails (disk full) switches the writer
// off with one warning: curves must never stop a training.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace tenon::run {

// Parts of the format, for tests.
std::uint32_t masked_crc(std::string_view bytes);
std::string event_record(std::string_view event);
std::string version_event(double wall_time);
std::string scalar_event(double wall_time, std::int64_t step, const std::string& tag, float value);

class EventWriter {
 public:
  using Warn = std::function<void(const std::string&)>;  // called from the background thread, too

  // A new file in `folder`. A resumed run gets a further file; its start marker at `step` voids
  // what older files say about later steps.
  EventWriter(const std::filesystem::path& folder, std::int64_t step, Warn warn,
              double flush_seconds = 10);
  ~EventWriter();  // writes what is left
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void scalar(const std::string& tag, std::int64_t step, double value);
  void image(const std::string& tag, std::int64_t step, int width, int height, int channels,
             std::string_view png);
  void text(const std::string& tag, std::int64_t step, const std::string& value);
  void flush();

  const std::filesystem::path& path() const { return path_; }

 private:
  void add(const std::string& event);
  void write_out();
  void loop(double seconds);

  std::filesystem::path path_;
  Warn warn_;
  int descriptor_ = -1;
  std::mutex mutex_, file_mutex_;
  std::condition_variable wake_;
  std::string pending_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tenon::run
