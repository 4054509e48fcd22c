#include <cstdlib>
#include <ctime>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "trainers/run/progress.h"

using namespace tenon;
using namespace tenon::run;

namespace {

ProgressLine example() {
  ProgressLine p;
  p.step = 12000;
  p.total = 390625;
  p.loss = 0.2143;
  p.lr = 6.14e-4;
  p.grad_norm = 0.482;
  p.per_second = 5830.2;
  p.mfu = 0.412;
  p.data_share = 0.006;
  p.memory_bytes = 21.4 * (1 << 30);
  p.memory_size = 79.1 * (1 << 30);
  p.seconds_left = 9 * 3600 + 41 * 60;
  return p;
}

// The text that a log printed to a file that is no terminal.
template <class Use>
std::string printed(Log::Options options, Use use) {
  test::TempDir dir;
  std::FILE* out = std::fopen((dir / "out").c_str(), "w");
  REQUIRE(out != nullptr);
  {
    Log log(std::move(options), out);
    use(log);
  }
  std::fclose(out);
  return test::read_file(dir / "out");
}

}  // namespace

TEST_CASE("run progress: the line is exactly as documented") {
  setenv("TZ", "UTC", 1);
  tzset();
  // 1970-01-06 was a Tuesday.
  CHECK(format_progress(example(), 5 * 86400 + 9 * 3600 + 31 * 60) ==
        "step  12000/390625   3.1% | loss 0.2143 | lr 6.14e-04 | gnorm 0.482 | 5.83k img/s | mfu "
        "41.2% | data 0.6% | mem 21.4/79.1G | eta 9h41m (Tue 19:12)");
  ProgressLine p = example();
  p.step = 7;
  p.total = 900;
  p.mfu.reset();
  p.seconds_left.reset();
  p.memory_size = 0;
  p.extra = {{"code", "9.7bit"}, {"psnr", "28.31"}, {"third", "never"}};
  CHECK(format_progress(p, 0) ==
        "step      7/900   0.8% | loss 0.2143 | code 9.7bit | psnr 28.31 | lr 6.14e-04 | gnorm "
        "0.482 | 5.83k img/s | mfu - | data 0.6% | mem 21.4G | eta --");
}

TEST_CASE("run progress: times and rates") {
  CHECK(format_eta(0) == "0s");
  CHECK(format_eta(-5) == "0s");
  CHECK(format_eta(59.4) == "59s");
  CHECK(format_eta(723) == "12m03s");
  CHECK(format_eta(3600 * 9 + 41 * 60 + 59) == "9h41m");
  CHECK(format_eta(86400 * 3 + 3600 * 4) == "3d04h");
  CHECK(format_rate(0) == "0.00");
  CHECK(format_rate(9.996) == "10.0");
  CHECK(format_rate(61.74) == "61.7");
  CHECK(format_rate(912) == "912");
  CHECK(format_rate(999.7) == "1.00k");
  CHECK(format_rate(5830.2) == "5.83k");
  CHECK(format_rate(1.2e6) == "1.20M");
}

TEST_CASE("run progress: a pipe sees plain permanent lines only") {
  const std::string text = printed({.mode = ProgressMode::Auto, .color = false}, [](Log& log) {
    CHECK(log.mode() == ProgressMode::Plain);
    log.progress(example(), false);
    log.line("hello");
    log.progress(example(), true);
    log.record(Record("train", 1));
  });
  CHECK(text.rfind("hello\nstep  12000/390625", 0) == 0);
  CHECK(text.find('\r') == text.npos);
  CHECK(text.find('\033') == text.npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}

TEST_CASE("run progress: a terminal line is redrawn seldom and cut to the width") {
  const std::string text = printed({.mode = ProgressMode::Terminal, .width = 40}, [](Log& log) {
    for (int i = 0; i < 100; ++i) log.progress(example(), false);
    log.line("done");
  });
  CHECK(std::count(text.begin(), text.end(), '\r') <= 3);  // one drawing, one removal, no more
  const std::size_t drawn = text.find("step"), end = text.find('\033', drawn);
  CHECK(end - drawn == 39);
  CHECK(text.find("done\n") != text.npos);
}

TEST_CASE("run progress: json mode prints records and nothing else") {
  const std::string text = printed({.mode = ProgressMode::Json}, [](Log& log) {
    log.line("hello");
    log.progress(example(), true);
    log.record(Record("train", 1).add("loss", 0.5));
    log.warning("odd");
  });
  CHECK(text.rfind("{\"kind\":\"train\",\"step\":1,", 0) == 0);
  CHECK(text.find("\"text\":\"odd\"") != text.npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find("hello") == text.npos);
}

TEST_CASE("run progress: quiet leaves warnings, the log file gets everything with its time") {
  test::TempDir dir;
  Log::Options options{.mode = ProgressMode::Plain, .quiet = true, .file = dir / "log.txt"};
  const std::string text = printed(options, [](Log& log) {
    log.line("hello");
    log.warning("odd");
    log.progress(example(), true);
  });
  CHECK(text == "warning: odd\n");
  const std::string log = test::read_file(dir / "log.txt");
  CHECK(log.find(" hello\n") == std::string("2026-11-24T15:00:00+0000").size());
  CHECK(log.find(" warning: odd\n") != log.npos);
  CHECK(log.find(" step  12000/390625") != log.npos);
}

TEST_CASE("run progress: colours obey NO_COLOR and never go into a pipe") {
  std::FILE* out = std::tmpfile();
  REQUIRE(out != nullptr);
  CHECK_FALSE(use_color("auto", out));
  CHECK(use_color("always", out));
  CHECK_FALSE(use_color("never", out));
  std::fclose(out);
}
