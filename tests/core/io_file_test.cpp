#include "core/io/file.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/io/crc32c.h"
#include "core/io/mapped_file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon::io {

TEST_CASE("io: crc32c has the published values and can be continued") {
  const ByteBuffer zeros(32, 0);
  CHECK(crc32c(0, zeros) == 0x8A9136AAu);  // RFC 3720, B.4
  CHECK(crc32c(0, as_bytes("123456789")) == 0xE3069283u);
  CHECK(crc32c(crc32c(0, as_bytes("1234")), as_bytes("56789")) == 0xE3069283u);
}

TEST_CASE("io: missing files name the nearest name") {
  const test::TempDir temp;
  temp.write("cifar.zip", "x");
  REQUIRE_ERROR(read_file(temp / "cifar.zp"), ErrorKind::Data, "'cifar.zip' is in that folder");
  REQUIRE_ERROR(MappedFile(temp / "cifar.zi", ErrorKind::Checkpoint), ErrorKind::Checkpoint,
                "cifar.zip");
  REQUIRE_ERROR(read_file(temp / "none" / "a"), ErrorKind::Data, "does not exist either");
  REQUIRE_ERROR(read_file(temp.path()), ErrorKind::Data, "is a folder");
  CHECK(nearest_name("optim.learning_rat", {"optim.lr", "optim.learning_rate"}) ==
        "optim.learning_rate");
  CHECK(nearest_name("zzz", {"batch"}).empty());
}

TEST_CASE("io: files are read whole, and only up to the limit") {
  const test::TempDir temp;
  const fs::path file = temp.write("a", "hello");
  CHECK(as_text(read_file(file)) == "hello");
  REQUIRE_ERROR(read_file(file, 4), ErrorKind::Data, "limit is 4 B");
  CHECK(read_file(temp.write("empty", "")).empty());
  CHECK(MappedFile(file).bytes().size() == 5);
  CHECK(MappedFile(temp / "empty").bytes().empty());
  CHECK(digest_file(file) == Digest{5, crc32c(0, as_bytes("hello"))});
}

TEST_CASE("io: an atomic write replaces the file and leaves nothing else") {
  const test::TempDir temp;
  write_file_atomic(temp / "a", "one");
  write_file_atomic(temp / "a", "two");
  CHECK(as_text(read_file(temp / "a")) == "two");
  CHECK(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("io: writing where one may not or cannot is a disk error") {
  const test::TempDir temp;
  REQUIRE_ERROR(write_file_atomic(temp / "none/a", "x"), ErrorKind::Disk, "cannot create");
  temp.write("file", "x");
  REQUIRE_ERROR(make_folders(temp / "file/sub"), ErrorKind::Disk, "cannot create folder");
  REQUIRE_ERROR(require_space(temp.path(), ~std::uint64_t{0}, "a checkpoint"), ErrorKind::Disk,
                "a checkpoint needs");
  CHECK(free_space(temp / "not/there/yet") > 0);
}

TEST_CASE("io: a full disk is a disk error and keeps the old file") {
  if (!fs::exists("/dev/full")) TENON_SKIP("no /dev/full");
  OutputFile full("/dev/full");
  REQUIRE_ERROR(full.write("x"), ErrorKind::Disk, "No space left");

  // The same through write_file_atomic: a limit on file sizes fails in the middle of the write.
  const test::TempDir temp;
  write_file_atomic(temp / "a", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomic(temp / "a", std::string(5000, 'x'));
    } catch (const Error& error) {
      ::_exit(error.kind() == ErrorKind::Disk ? 9 : 1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 9);
  CHECK(as_text(read_file(temp / "a")) == "old");
  CHECK(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("io: sizes are written for people") {
  CHECK(format_bytes(512) == "512 B");
  CHECK(format_bytes(3 * 1024 * 1024 + 100 * 1024) == "3.1 MiB");
}

}  // namespace tenon::io
