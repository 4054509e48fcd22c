#include "core/io/crc32c.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "trainers/run/tensorboard.h"

using namespace tenon;
using namespace tenon::run;

namespace {

std::string bytes(std::initializer_list<int> values, std::string_view tail = {}) {
  std::string out;
  for (int v : values) out += static_cast<char>(v);
  return out + std::string(tail);
}

const std::string kZeros(8, '\0');

// The events of a file; every checksum is verified.
std::vector<std::string> events_of(const std::string& file) {
  std::vector<std::string> events;
  std::size_t at = 0;
  while (at < file.size()) {
    std::uint64_t length = 0;
    REQUIRE(at + 16 <= file.size());
    std::memcpy(&length, file.data() + at, 8);
    REQUIRE(at + 16 + length <= file.size());
    events.push_back(file.substr(at + 12, length));
    REQUIRE(file.substr(at, 16 + length) == event_record(events.back()));
    at += 16 + length;
  }
  return events;
}

}  // namespace

TEST_CASE("run tensorboard: checksums and records have the bytes of the reference writer") {
  const std::string zeros(32, '\0');
  CHECK(io::crc32c(0, io::as_bytes(zeros)) == 0x8A9136AAu);
  CHECK(masked_crc(bytes({0x1A, 0x11}, "CRC test, one two")) == 0x5794D08Au);
  CHECK(event_record(version_event(0)) ==
        bytes({0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09}) + kZeros +
            bytes({0x1a, 0x0d}, "brain.Event:2") + bytes({0xee, 0xdf, 0x28, 0xa3}));
  CHECK(event_record(scalar_event(0, 1, "train/loss", 0.5f)) ==
        bytes({32, 0, 0, 0, 0, 0, 0, 0, 0x29, 0xed, 0xa9, 0x50, 0x09}) + kZeros +
            bytes({0x10, 0x01, 0x2a, 0x13, 0x0a, 0x11, 0x0a, 0x0a}, "train/loss") +
            bytes({0x15, 0, 0, 0, 0x3f, 0xe7, 0x7b, 0x7b, 0x3c}));
}

TEST_CASE("run tensorboard: a file is a version, a start marker, then what was added") {
  test::TempDir dir;
  std::filesystem::path path;
  {
    EventWriter out(dir / "tb", 300, [](const std::string& text) { FAIL(text); });
    path = out.path();
    CHECK(path.filename().string().rfind("events.out.tfevents.", 0) == 0);
    out.scalar("train/loss", 301, 0.25);
    out.image("samples", 301, 3, 2, 3, "PNG");
    out.text("note", 301, "hello");
    EventWriter second(dir / "tb", 0, [](const std::string& text) { FAIL(text); });
    CHECK(second.path() != path);
  }
  const auto events = events_of(test::read_file(path));
  REQUIRE(events.size() == 5);
  CHECK(events[0].find("brain.Event:2") != std::string::npos);
  // After the 9 bytes of the time: step 300 as varint, field 7 {1: 1}.
  CHECK(events[1].substr(9) == bytes({0x10, 0xac, 0x02, 0x3a, 0x02, 0x08, 0x01}));
  CHECK(events[2].substr(9) ==
        bytes({0x10, 0xad, 0x02, 0x2a, 0x13, 0x0a, 0x11, 0x0a, 0x0a}, "train/loss") +
            bytes({0x15, 0, 0, 0x80, 0x3e}));
  CHECK(events[3].substr(12) ==
        bytes({0x2a, 0x18, 0x0a, 0x16, 0x0a, 0x07}, "samples") +
            bytes({0x22, 0x0b, 0x08, 2, 0x10, 3, 0x18, 3, 0x22, 0x03}, "PNG"));
  CHECK(events[4].find("hello") != std::string::npos);
}

TEST_CASE("run tensorboard: written in the background, and switched off once when it cannot be") {
  test::TempDir dir;
  EventWriter out(
      dir / "tb", 0, [](const std::string& text) { FAIL(text); }, 0.01);
  const auto before = std::filesystem::file_size(out.path());
  out.scalar("a", 1, 1);
  for (int i = 0; i < 500 && std::filesystem::file_size(out.path()) == before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(std::filesystem::file_size(out.path()) > before);

  int warnings = 0;
  dir.write("file", "not a folder");
  {
    EventWriter none(dir / "file", 0, [&](const std::string&) { ++warnings; });
    none.scalar("a", 1, 1);
    none.flush();
  }
  CHECK(warnings == 1);
}
