#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "trainers/run/meters.h"
#include "trainers/run/metrics.h"

using namespace tenon;
using namespace tenon::run;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

Record train(std::int64_t step, double loss) {
  Record r("train", step);
  r.time = 1;
  return r.add("loss", loss);
}

}  // namespace

TEST_CASE("run metrics: one flat JSON line a record") {
  Record r("eval", 12000);
  r.time = 1795512667.1;
  r.add("name", std::string("fid \"50k\"\n")).add("value", 3.91).add("n", std::int64_t{50000});
  r.add("ci95", std::vector<double>{3.86, 3.97}).add("partial", true);
  CHECK(json_line(r) ==
        "{\"kind\":\"eval\",\"step\":12000,\"t\":1795512667.100,\"name\":\"fid \\\"50k\\\"\\n\","
        "\"value\":3.91,\"n\":50000,\"ci95\":[3.86,3.97],\"partial\":true}");
  Record header("header");
  CHECK(json_line(header).rfind("{\"v\":1,\"kind\":\"header\"", 0) == 0);
}

TEST_CASE("run metrics: what is not finite becomes null and is named") {
  Record r = train(3, kNan);
  r.add("lr", 1e-4).add("grad_norm", std::numeric_limits<double>::infinity());
  CHECK(json_line(r) ==
        "{\"kind\":\"train\",\"step\":3,\"t\":1.000,\"loss\":null,\"lr\":0.0001,\"grad_norm\":null,"
        "\"nonfinite\":[\"loss\",\"grad_norm\"]}");
}

TEST_CASE("run metrics: written lines read back, resume voids later ones") {
  test::TempDir dir;
  const auto file = dir / "metrics.jsonl";
  {
    MetricsWriter out(file);
    out.write(Record("header").add("run", std::string("0001-x")));
    for (int step : {10, 20, 30}) out.write(train(step, step / 100.0));
  }
  {  // killed in the middle of a line
    std::ofstream half(file, std::ios::app);
    half << "{\"kind\":\"train\",\"step\":40,\"lo";
  }
  {
    MetricsWriter out(file);
    out.write(Record("resume", 20));
    out.write(train(30, 7));
    out.write(train(40, kNan));
  }
  const Metrics m = read_metrics(file);
  CHECK(m.header.text("run") == "0001-x");
  CHECK(m.damaged == 1);
  CHECK(m.restarts == std::vector<std::int64_t>{20});
  std::vector<std::pair<std::int64_t, double>> losses;
  for (const Record& r : m.records)
    if (r.kind == "train") losses.emplace_back(r.step, *r.number("loss"));
  REQUIRE(losses.size() == 4);
  CHECK(losses[0] == std::pair<std::int64_t, double>(10, 0.1));
  CHECK(losses[1].first == 20);
  CHECK(losses[2] == std::pair<std::int64_t, double>(30, 7.0));
  CHECK(losses[3].first == 40);
  CHECK(std::isnan(losses[3].second));
  REQUIRE_ERROR(read_metrics(dir / "none.jsonl"), ErrorKind::Data, "none.jsonl");
}

TEST_CASE("run metrics: numbers survive exactly") {
  test::TempDir dir;
  const std::vector<double> values = {0.1, 1e-300, 1.0 / 3, 6.14e-4, 12345678901234.0, -2.5e17, 0};
  {
    MetricsWriter out(dir / "m");
    for (double v : values) out.write(train(1, v));
  }
  const Metrics m = read_metrics(dir / "m");
  REQUIRE(m.records.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(*m.records[i].number("loss") == values[i]);
}

TEST_CASE("run metrics: a full disk is a Disk error") {
  if (!std::filesystem::exists("/dev/full")) TENON_SKIP("no /dev/full");
  MetricsWriter out("/dev/full");
  REQUIRE_ERROR(out.write(train(1, 1)), ErrorKind::Disk, "/dev/full");
}

TEST_CASE("run meters: loss is sum over weight, rates are of step time only") {
  Meters m;
  m.add_loss(10, 4);
  m.add_loss(2, 2);
  for (int i = 0; i < 4; ++i) m.add_step(32, 0.5);
  m.add_time(Phase::Data, 0.2);
  m.add_time(Phase::Evaluate, 100);
  const auto w = m.take();
  CHECK(w.loss == 2.0);
  CHECK(w.steps == 4);
  CHECK(w.samples == 128);
  CHECK(w.per_second == Approx(64));
  CHECK(w.step_seconds == Approx(0.5));
  CHECK(w.data_share == Approx(0.1));
  CHECK(std::isnan(m.take().loss));
  CHECK(m.budget()[static_cast<std::size_t>(Phase::Evaluate)] == 100);
}

TEST_CASE("run meters: time left is by the median of the last hundred steps") {
  Meters m;
  for (int i = 0; i < 4; ++i) {
    m.add_step(1, 1);
    CHECK_FALSE(m.seconds_left(i, 100));
  }
  m.add_step(1, 1000);  // one slow step does not matter
  CHECK(m.seconds_left(5, 100) == 95.0);
  for (int i = 0; i < 100; ++i) m.add_step(1, 2);  // older steps are forgotten
  CHECK(m.seconds_left(90, 100) == 20.0);
  CHECK(m.seconds_left(101, 100) == 0.0);
  m.add_time(Phase::Evaluate, 30);
  m.add_time(Phase::Evaluate, 50);
  m.add_time(Phase::Save, 7);
  CHECK(m.seconds_left(100, 100, 2, 1) == 87.0);
}

TEST_CASE("run meters: a scope adds its time to its phase") {
  Meters m;
  {
    const auto scope = m.measure(Phase::Save);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(m.mean_of(Phase::Save) >= 0.002);
  CHECK(m.mean_of(Phase::Data) == 0);
}
