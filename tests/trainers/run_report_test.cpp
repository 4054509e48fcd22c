#include <chrono>
#include <cmath>

#include "core/io/png.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "trainers/run/chart.h"
#include "trainers/run/grid.h"
#include "trainers/run/metrics.h"
#include "trainers/run/report.h"

using namespace tenon;
using namespace tenon::run;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

void write_lines(const std::filesystem::path& file, int lines) {
  MetricsWriter out(file);
  out.write(Record("header").add("run", std::string("x")));
  for (int i = 1; i <= lines; ++i) {
    Record r("train", i * 10);
    r.add("loss", 1.0 / i + 0.1).add("lr", 1e-3).add("grad_norm", 0.5 + 0.1 * std::sin(i));
    r.add("per_s", 60.0).add("step_ms", 100.0).add("data_ms", 0.1).add("mem_peak_gib", 1.5);
    r.add("code_bits", 9.0);
    out.write(r);
  }
}

}  // namespace

TEST_CASE("run grid: pictures stand two pixels apart on white") {
  // Three 1x2 grey pictures in two columns.
  const io::Image grid = make_grid({10, 11, 20, 21, 30, 31}, 3, 1, 2, 1, 2);
  CHECK(grid.width == 6);
  CHECK(grid.height == 4);
  const io::ByteBuffer want = {10,  11,  255, 255, 20,  21,  255, 255, 255, 255, 255, 255,
                               255, 255, 255, 255, 255, 255, 30,  31,  255, 255, 255, 255};
  CHECK(grid.pixels == want);
  CHECK(make_grid(std::vector<std::uint8_t>(64 * 12), 64, 2, 2, 3).width == 8 * 4 - 2);
  REQUIRE_ERROR(make_grid({1, 2}, 1, 1, 1, 1), ErrorKind::Usage, "got 2 bytes, want 1");
  REQUIRE_ERROR(make_grid({}, 0, 1, 1, 1), ErrorKind::Usage, "cannot be drawn");

  test::TempDir dir;
  write_grid(dir / "g.png", grid, {{"step", "12"}, {"solver", "ipndm"}});
  const std::string file = test::read_file(dir / "g.png");
  CHECK(has(file, "solver"));
  CHECK(io::decode_image(io::as_bytes(file), "g.png").pixels == grid.pixels);
}

TEST_CASE("run chart: thinning keeps the outline") {
  std::vector<Point> points;
  for (int i = 0; i < 100000; ++i) points.push_back({double(i), std::sin(i * 0.001)});
  points[54321].y = 50;
  points[77777].y = -50;
  points[5].y = std::nan("");
  const auto thin = thin_out(points, 2000);
  CHECK(thin.size() <= 2000);
  CHECK(thin.size() > 1900);
  double low = 0, high = 0;
  for (std::size_t i = 0; i < thin.size(); ++i) {
    low = std::min(low, thin[i].y);
    high = std::max(high, thin[i].y);
    if (i) CHECK(thin[i].x > thin[i - 1].x);
  }
  CHECK(low == -50);
  CHECK(high == 50);
  CHECK(thin_out({{1, 2}, {2, 3}}, 2000).size() == 2);
}

TEST_CASE("run chart: round ticks and running means") {
  CHECK(tick_step(0, 10, 5) == 2);
  CHECK(tick_step(0, 1, 5) == Approx(0.2));
  CHECK(tick_step(0, 390625, 8) == 50000);
  CHECK(tick_step(0, 7, 5) == 2);
  const std::vector<Point> p = {{0, 1}, {1, 2}, {2, std::nan("")}, {3, 4}, {4, 9}};
  const auto mean = running_mean(p, 1);
  REQUIRE(mean.size() == 5);
  CHECK(mean[0].y == 1);
  CHECK(mean[1].y == 1.5);
  CHECK(mean[2].y == 3);
  CHECK(mean[3].y == 6.5);
  CHECK(mean[4].y == 6.5);  // the window does not shrink at the end
}

TEST_CASE("run chart: odd data draws something valid") {
  for (const std::vector<Point>& points : {std::vector<Point>{},
                                           {{5, 1}},
                                           {{5, 0}, {6, 0}},
                                           {{1, std::nan("")}, {2, std::nan("")}},
                                           {{1, -3}, {2, 1e300}},
                                           {{1, 1e-300}, {2, 1}}}) {
    Chart chart{.title = "a<b", .unit = "", .series = {{"x", points}}, .restarts = {1.5}};
    const std::string svg = chart_svg(chart);
    INFO(svg);
    CHECK(has(svg, "<title>a&lt;b</title>"));
    CHECK_FALSE(has(svg, "\"M nan"));
    CHECK_FALSE(has(svg, "inf"));
    CHECK(has(svg, "</svg>"));
  }
}

TEST_CASE("run report: one page with curves, samples, settings and nothing from outside") {
  test::TempDir dir;
  const auto run = dir / "0007-qac-x";
  std::filesystem::create_directories(run / "samples");
  {
    MetricsWriter out(run / "metrics.jsonl");
    out.write(Record("header").add("run", std::string("0007-qac-x")));
    const auto train = [&](int step, double loss) {
      out.write(Record("train", step).add("loss", loss).add("lr", 1e-3).add("code_bits", 9.5));
    };
    train(10, 1);
    train(20, 0.5);
    out.write(Record("budget", 20).add("forward_s", 10.0).add("data_s", 1.0));
    train(30, 9);  // voided
    out.write(Record("resume", 20));
    train(30, std::nan(""));
    train(40, 0.25);
    const io::Image grid = make_grid({1, 2, 3, 4}, 4, 1, 1, 1);
    for (int step : {20, 40}) {
      const std::string file = "samples/step-" + std::to_string(step) + ".png";
      write_grid(run / file, grid, {});
      out.write(Record("sample", step).add("file", file));
    }
    out.write(Record("sample", 40).add("file", std::string("../../secret.png")));
    out.write(Record("eval", 40)
                  .add("name", std::string("fid50k"))
                  .add("value", 5.5)
                  .add("ci95", std::vector<double>{5.4, 5.6})
                  .add("weights", std::string("ema")));
    out.write(Record("budget", 40).add("forward_s", 20.0).add("backward_s", 30.0));
  }
  dir.write("0007-qac-x/status.json",
            "{\"state\":\"failed\",\"step\":40,\"total\":100,\"error\":\"loss <odd> & more\"}");
  dir.write("0007-qac-x/config.json", "{\"optim\":{\"lr\":0.001}}");
  dir.write("0007-qac-x/env.json",
            "{\"preset\":\"tiny\",\"cpu\":\"Zen\",\"changes\":[{\"key\":\"optim.lr\",\"preset\":"
            "\"0.1\",\"value\":\"0.001\",\"origin\":\"--lr\"}]}");
  dir.write("0007-qac-x/command.txt", "tenon-train-qac --lr '<x>'\n");
  write_report({.runs = {run}, .paper_metric = "fid50k", .paper_value = 5.14}, dir / "r.html");
  const std::string page = test::read_file(dir / "r.html");
  for (const char* part :
       {"<title>0007-qac-x</title>", "failed", "at step 40 of 100", "best fid50k 5.5 at step 40",
        "(paper: 5.14)", "loss &lt;odd&gt; &amp; more", "resumed at step 20",
        "not finite at step 30", "<h3>Loss</h3>", "code bits", "5.4 to 5.6", "preset tiny", "--lr",
        "&lt;x&gt;", "Zen", "prefers-color-scheme: dark", "1m01s"}) {
    INFO(part);
    CHECK(has(page, part));
  }
  CHECK(count(page, "data:image/png;base64,") == 3);  // the newest large, then both
  for (const char* part : {"<script", "http:", "https:", "url(", "@import", "<link"})
    CHECK_FALSE(has(page, part));
  CHECK_FALSE(has(page, "secret"));
  CHECK(count(page, "<svg") == count(page, "</svg>"));
  CHECK(count(page, "<section") == count(page, "</section>"));
}

TEST_CASE("run report: several runs share their curves, and their settings are compared") {
  test::TempDir dir;
  for (const char* name : {"0001-a", "0002-b"}) {
    std::filesystem::create_directories(dir / name);
    write_lines(dir / name / "metrics.jsonl", 3);
  }
  dir.write("0001-a/config.json", "{\"optim\":{\"lr\":0.1},\"x\":1}");
  dir.write("0002-b/config.json", "{\"optim\":{\"lr\":0.2},\"x\":1}");
  write_report({.runs = {dir / "0001-a", dir / "0002-b"}}, dir / "cmp.html");
  const std::string page = test::read_file(dir / "cmp.html");
  CHECK(has(page, "2 runs"));
  CHECK(has(page, "<td>optim.lr</td><td>0.1</td><td>0.2</td>"));
  CHECK_FALSE(has(page, "<td>x</td>"));
  CHECK(has(page, "class=\"line s1\""));
  REQUIRE_ERROR(write_report({.runs = {dir / "none"}}, dir / "x.html"), ErrorKind::Data, "metrics");
}

TEST_CASE("run report: a long run stays small and quick") {
  test::TempDir dir;
  std::filesystem::create_directories(dir / "r/samples");
  write_lines(dir / "r/metrics.jsonl", 20000);
  {
    // Noise does not compress: 12 pictures of about 1 MB.
    std::vector<std::uint8_t> noise(600 * 600 * 3);
    std::uint32_t state = 1;
    for (auto& v : noise)
      v = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
    MetricsWriter out(dir / "r/metrics.jsonl");
    for (int i = 0; i < 12; ++i) {
      const std::string file = "samples/" + std::to_string(i) + ".png";
      write_grid(dir / "r" / file, make_grid(noise, 1, 600, 600, 3), {});
      out.write(Record("sample", i).add("file", file));
    }
  }
  write_report({.runs = {dir / "r"}}, dir / "r.html");
  const auto size = std::filesystem::file_size(dir / "r.html");
  CHECK(size <= 8u << 20);
  CHECK(size > 5u << 20);
}
