#include <nlohmann/json.hpp>

#include "core/config/command_line.h"
#include "core/config/program.h"
#include "core/io/json.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace tenon;
using namespace tenon::config;

namespace {

// A small program as a trainer would write it.
struct Settings {
  struct {
    double lr = 1e-3;
    std::vector<double> betas = {0.9, 0.999};
  } optim;
  struct {
    std::string arch = "ddpmpp";
    std::vector<std::int64_t> mult = {2, 2, 2};
    bool condition = true;
  } model;
  struct {
    std::int64_t batch = 512;
    std::optional<std::int64_t> micro_batch;
    std::optional<std::int64_t> steps;
    std::optional<double> kimg = 200000;
    double max_time = 0;
  } train;
  struct {
    Interval every{0, 1800};
  } save;
  std::string data = "none";
  std::string resume;
  bool quiet = false;
};

void describe(Table& t, Settings& s) {
  t.group("optimizer");
  t.add(s.optim.lr, {.key = "optim.lr",
                     .flag = "lr",
                     .meta = "RATE",
                     .help = "learning rate",
                     .min = 0,
                     .common = true});
  t.add(s.optim.betas, {.key = "optim.betas", .meta = "A,B", .help = "Adam", .min = 0, .max = 1});
  t.group("model");
  t.add(s.model.arch, {.key = "model.arch",
                       .flag = "arch",
                       .meta = "NAME",
                       .help = "backbone",
                       .choices = {"ddpmpp", "ncsnpp"}});
  t.add(s.model.mult, {.key = "model.mult", .meta = "N,..", .help = "widths", .min = 1});
  t.add(s.model.condition, {.key = "model.condition", .flag = "condition", .help = "use codes"});
  t.group("training");
  t.add(s.train.batch, {.key = "train.batch",
                        .flag = "batch",
                        .meta = "N",
                        .help = "images a step",
                        .min = 1,
                        .common = true,
                        .letter = 'b'});
  t.add(s.train.micro_batch, {.key = "train.micro_batch",
                              .flag = "micro-batch",
                              .meta = "N",
                              .help = "a rank",
                              .min = 1,
                              .none = "auto",
                              .resumable = true});
  t.add(s.train.steps, {.key = "train.steps",
                        .flag = "steps",
                        .meta = "N",
                        .help = "length",
                        .min = 1,
                        .exclusive = "length",
                        .resumable = true});
  t.add(s.train.kimg, {.key = "train.kimg",
                       .flag = "kimg",
                       .meta = "N",
                       .help = "length",
                       .exclusive = "length",
                       .resumable = true});
  t.add(s.train.max_time, {.key = "train.max_time",
                           .flag = "max-time",
                           .meta = "TIME",
                           .help = "stop",
                           .min = 0,
                           .unit = Unit::Seconds});
  t.add(s.save.every, {.key = "save.every", .flag = "save-every", .meta = "WHEN", .help = "save"});
  t.add(s.data, {.key = "data.path", .flag = "data", .meta = "PATH", .help = "data", .path = true});
  t.group("this run");
  t.add(s.resume, {.flag = "resume", .meta = "auto|PATH", .help = "go on", .bare = "auto"});
  t.add(s.quiet, {.flag = "quiet", .help = "errors only", .letter = 'q'});
}

const std::vector<Preset> kPresets = {
    {"cifar10", "the paper's", "", {{"train.batch", "256"}, {"optim.lr", "5e-4"}}},
    {"tiny", "minutes", "cifar10", {{"train.steps", "2k"}, {"train.batch", "64"}}},
    {"broken", "", "", {{"optim.lrr", "1"}}}};

struct Fixture {
  Settings s;
  Table table;
  std::optional<CommandLine> line;

  Fixture& parse(std::vector<std::string> words, std::vector<std::string> environment = {},
                 const std::string& base = {}) {
    describe(table, s);
    line.emplace(Program{.name = "tenon-train-demo",
                         .summary = "an example",
                         .examples = {"tenon-train-demo --lr 1e-4"},
                         .presets = kPresets,
                         .default_preset = "cifar10",
                         .version = "demo 1"},
                 table, std::move(words), std::move(environment));
    line->resolve(base);
    return *this;
  }
};

void fails(std::vector<std::string> words, const std::string& part,
           std::vector<std::string> environment = {}) {
  Fixture f;
  REQUIRE_ERROR(f.parse(std::move(words), std::move(environment)), ErrorKind::Usage, part);
}

}  // namespace

TEST_CASE("config: values with units") {
  CHECK(parse_count("512") == 512);
  CHECK(parse_count("10k") == 10000);
  CHECK(parse_count("2M") == 2000000);
  CHECK(parse_count("1.5M") == 1500000);
  CHECK(parse_count("1e6") == 1000000);
  CHECK(parse_count("-3") == -3);
  CHECK(parse_count("9223372036854775807") == 9223372036854775807LL);
  CHECK(parse_bytes("5G") == 5LL << 30);
  CHECK(parse_bytes("5GB") == 5000000000LL);
  CHECK(parse_bytes("100") == 100);
  CHECK(parse_seconds("90s") == 90);
  CHECK(parse_seconds("30m") == 1800);
  CHECK(parse_seconds("2h") == 7200);
  CHECK(parse_seconds("1d") == 86400);
  CHECK(parse_seconds("1h30m") == 5400);
  CHECK(parse_seconds("2.5") == 2.5);
  CHECK(parse_interval("10k") == Interval{10000, 0});
  CHECK(parse_interval("2M") == Interval{2000000, 0});
  CHECK(parse_interval("2m") == Interval{0, 120});
  CHECK(parse_interval("never").never());
  for (const char* bad : {"", "x", "5x", "1.5", "0.3k7", "nan", "inf", "1e99", "12 ", "--3"})
    REQUIRE_ERROR(parse_count(bad), ErrorKind::Usage, "is not a whole number");
  for (const char* bad : {"", "5x", "m", "1h30", "1hh"})
    REQUIRE_ERROR(parse_seconds(bad), ErrorKind::Usage, "is not a time");
  for (const char* bad : {"-1s", "-5", "soon"})
    REQUIRE_ERROR(parse_interval(bad), ErrorKind::Usage, "is not an interval");
  for (double s : {0.0, 0.25, 59.0, 60.0, 5400.0, 90061.0, 1e9, 1800.5})
    CHECK(parse_seconds(format_seconds(s)) == s);
}

TEST_CASE("config: override order, later wins, origins kept") {
  test::TempDir dir;
  const auto a = dir.write("a.json",
                           "{\n // first\n \"optim\": {\"lr\": 2e-3},\n"
                           " \"train\": {\"batch\": 1000}\n}");
  const auto b = dir.write("b.json", "{\"train\": {\n\"batch\": 2000, \"max_time\": \"2h\"}}");
  const auto value_and_origin = [&](std::vector<std::string> words,
                                    std::vector<std::string> environment) {
    Fixture f;
    f.parse(std::move(words), std::move(environment));
    return fmt::format("{} {}", f.s.train.batch, f.table.find_key("train.batch")->origin);
  };
  const std::string as = a.string(), bs = b.string();
  CHECK(value_and_origin({}, {}) == "256 preset cifar10");
  CHECK(value_and_origin({"--preset", "tiny"}, {}) == "64 preset tiny");
  CHECK(value_and_origin({"--config", as}, {}) == "1000 " + as + ":4");
  CHECK(value_and_origin({"--config", as, "--config", bs}, {}) == "2000 " + bs + ":2");
  CHECK(value_and_origin({"--config", bs, "--config", as}, {}) == "1000 " + as + ":4");
  const std::string set = "TENON_SET=optim.lr=1;train.batch=3";
  CHECK(value_and_origin({"--config", as}, {set}) == "3 TENON_SET");
  CHECK(value_and_origin({"--config", as}, {set, "TENON_BATCH=4"}) == "4 TENON_BATCH");
  CHECK(value_and_origin({"--config", as}, {"TENON_BATCH=4", set}) == "4 TENON_BATCH");
  CHECK(value_and_origin({"--batch", "5"}, {"TENON_BATCH=4"}) == "5 --batch");
  CHECK(value_and_origin({"--batch", "5", "--set", "train.batch=6"}, {}) == "6 --set");
  CHECK(value_and_origin({"--set", "train.batch=6", "--batch=5"}, {}) == "5 --batch");
  CHECK(value_and_origin({"-b", "7", "--batch", "5", "-b", "8"}, {}) == "8 --batch");
  // Where a file stands on the line does not matter: flags win.
  CHECK(value_and_origin({"--batch", "5", "--config", as}, {}) == "5 --batch");
}

TEST_CASE("config: forms of flags") {
  Fixture f;
  f.parse({"--lr=0.5", "--no-condition", "--micro-batch", "auto", "--max-time", "1h30m", "-q",
           "--set", "model.mult=1,2,4", "--set", "optim.betas=0.5,0.9", "--resume", "--steps",
           "10k"});
  CHECK(f.s.optim.lr == 0.5);
  CHECK_FALSE(f.s.model.condition);
  CHECK_FALSE(f.s.train.micro_batch);
  CHECK(f.s.train.max_time == 5400);
  CHECK(f.s.quiet);
  CHECK(f.s.model.mult == std::vector<std::int64_t>{1, 2, 4});
  CHECK(f.s.optim.betas == std::vector<double>{0.5, 0.9});
  CHECK(f.s.resume == "auto");
  CHECK(f.s.train.steps == 10000);
  CHECK_FALSE(f.s.train.kimg);  // --steps takes its place

  const auto condition = [](std::vector<std::string> words) {
    Fixture g;
    return g.parse(std::move(words)).s.model.condition;
  };
  CHECK(condition({}));
  CHECK_FALSE(condition({"--condition=false"}));
  CHECK(condition({"--no-condition", "--condition"}));
  CHECK_FALSE(condition({"--condition", "--no-condition"}));
  CHECK(condition({"--no-condition=false"}));
  Fixture r;
  CHECK(r.parse({"--resume", "runs/3", "--lr", "1"}).s.resume == "runs/3");
  Fixture k;
  CHECK(k.parse({"--steps", "5", "--kimg", "3"}).s.train.kimg == 3);
  CHECK_FALSE(k.s.train.steps);
}

TEST_CASE("config: mistakes name the nearest name") {
  fails({"--lrr", "3"}, "unknown flag --lrr (did you mean --lr?)");
  fails({"--learning-rate=3"}, "unknown flag --learning-rate (did you mean --lr?)");
  fails({"--zzzzzzzz"}, "unknown flag --zzzzzzzz");
  fails({"--xx"}, "unknown flag --xx (hint");
  fails({"--optim.lr", "3"}, "--set optim.lr=VALUE");
  fails({"--no-lr"}, "unknown flag --no-lr");
  fails({"stray"}, "'stray' is not a flag");
  fails({"--set", "optim.learning_rate=1"},
        "--set: unknown key optim.learning_rate (did you mean optim.lr?)");
  fails({"--set", "lr=1"}, "did you mean optim.lr?");
  fails({"--set", "optim.lr"}, "is not KEY=VALUE");
  fails({"--preset", "tinny"}, "no preset 'tinny' (did you mean tiny?)");
  fails({"--preset", "broken"}, "preset broken: unknown key optim.lrr");
  fails({"--lr"}, "--lr wants a value: --lr RATE");
  fails({"--lr", "--batch", "3"}, "--lr wants a value");
  fails({"--lr", "fast"}, "--lr: 'fast' is not a number");
  fails({"--lr", "-1"}, "--lr: -1 is out of range, want at least 0");
  fails({"--set", "optim.betas=0.5,2"}, "2 is out of range, want at least 0 and at most 1");
  fails({"--batch", "0"}, "--batch: 0 is out of range");
  fails({"--arch", "ddpmp"}, "'ddpmp' is not one of ddpmpp, ncsnpp (did you mean ddpmpp?)");
  fails({"--condition=maybe"}, "--condition");
  fails({}, "TENON_BATCH: 'x' is not", {"TENON_BATCH=x"});
  fails({}, "TENON_SET: unknown key a.b", {"TENON_SET=a.b=1"});

  Fixture f;
  f.parse({}, {"TENON_BACTH=3", "TENON_GOLDENS=x", "HOME=y", "TENON_MICRO_BATCH=2"});
  REQUIRE(f.line->warnings().size() == 1);
  CHECK(f.line->warnings()[0] ==
        "unknown environment variable TENON_BACTH (did you mean TENON_BATCH?)");
  CHECK(f.s.train.micro_batch == 2);
}

TEST_CASE("config: files are read strictly") {
  test::TempDir dir;
  const auto file_fails = [&](const std::string& text, const std::string& part) {
    const auto path = dir.write("c.json", text);
    fails({"--config", path.string()}, part);
  };
  file_fails("{\n\"optim\": {\n\"learning_rate\": 1}}",
             "c.json:3: unknown key optim.learning_rate (did you mean optim.lr?)");
  file_fails("{\"optim\": {\"lr\": 1, \"lr\": 2}}", "duplicate key");
  file_fails("{\"optim\": {\"lr\": 1,}}", "trailing comma");
  file_fails("{\"optim\": {\"lr\": \"1\"}}", "c.json:1: optim.lr: want a number, got \"1\"");
  file_fails("{\"train\": {\"batch\": 1.5}}", "train.batch: '1.5' is not a whole number");
  file_fails("{\"model\": {\"condition\": 1}}", "want true or false");
  file_fails("{\"model\": {\"mult\": 2}}", "want a list");
  file_fails("{\"optim\": 3}", "unknown key optim");
  file_fails("[]", "a configuration is an object");
  file_fails("{\"optim\": ", "c.json:1:");
  fails({"--config", (dir / "missing.json").string()}, "missing.json");
}

TEST_CASE("config: relative paths are beside the file that names them") {
  test::TempDir dir;
  dir.write("conf/images.zip", "");
  const auto config = dir.write("conf/a.json", "{\"data\": {\"path\": \"images.zip\"}}");
  Fixture f;
  f.parse({"--config", config.string()});
  CHECK(f.s.data == (dir / "conf/images.zip").string());
  const auto other = dir.write("conf/b.json", "{\"data\": {\"path\": \"generated:512\"}}");
  Fixture g;
  g.parse({"--config", other.string()});
  CHECK(g.s.data == "generated:512");
}

TEST_CASE("config: the printed configuration is a configuration with the same values") {
  test::TempDir dir;
  Fixture f;
  f.parse({"--preset", "tiny", "--lr", "0.1", "--save-every", "500", "--max-time", "90m"},
          {"TENON_BATCH=9"});
  const std::string text = f.line->printed_config();
  INFO(text);
  const auto contains = [&](const char* part) { return text.find(part) != text.npos; };
  CHECK(contains("\"lr\": 0.1,"));
  CHECK(contains("// --lr"));
  CHECK(contains("// TENON_BATCH"));
  CHECK(contains("// preset tiny"));
  CHECK(contains("// default"));
  const auto path = dir.write("printed.json", text);
  Fixture g;
  g.parse({"--config", path.string()});
  CHECK(g.line->preset() == "tiny");
  CHECK(g.line->printed_config(false) == f.line->printed_config(false));
  CHECK(nlohmann::json::parse(f.line->printed_config(false))["train"]["steps"] == 2000);
  CHECK(g.line->compare(path.string()).empty());
}

TEST_CASE("config: a saved configuration is the base, and differences are told") {
  test::TempDir dir;
  Fixture f;
  f.parse({"--preset", "tiny", "--lr", "0.1"});
  const auto path = dir.write("config.json", f.line->printed_config(false));
  {
    Fixture g;  // the same command again
    g.parse({"--preset", "tiny", "--lr", "0.1", "--resume"}, {}, path.string());
    CHECK(g.line->compare(path.string()).empty());
  }
  Fixture g;
  g.parse({"--resume", "--batch", "7", "--steps", "5k"}, {}, path.string());
  CHECK(g.s.optim.lr == 0.1);
  CHECK(g.s.train.steps == 5000);
  const auto differences = g.line->compare(path.string());
  REQUIRE(differences.size() == 2);
  CHECK(differences[0].key == "train.batch");
  CHECK(differences[0].before == "64");
  CHECK(differences[0].after == "7");
  CHECK(differences[0].origin == "--batch");
  CHECK_FALSE(differences[0].resumable);
  CHECK(differences[1].key == "train.steps");
  CHECK(differences[1].resumable);
  const std::string table = difference_table(differences, "saved", "now");
  CHECK(table.find("train.batch  64     7  (--batch)") != table.npos);
}

TEST_CASE("config: changes against the preset") {
  Fixture f;
  f.parse({"--preset", "tiny", "--lr", "0.1", "--batch", "64"});
  const auto changes = f.line->changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].key == "optim.lr");
  CHECK(changes[0].before == "0.0005");
}

TEST_CASE("config: help, version and presets come before every other check") {
  const auto text = [](std::vector<std::string> words) {
    Settings s;
    Table t;
    describe(t, s);
    return CommandLine({.name = "demo",
                        .summary = "an example",
                        .examples = {"demo --lr 1"},
                        .presets = kPresets,
                        .version = "demo 1\n"},
                       t, std::move(words), {})
        .information();
  };
  CHECK(text({}).empty());
  CHECK(text({"--version"}) == "demo 1\n");
  CHECK(text({"--bogus", "--version"}) == "demo 1\n");
  CHECK(text({"--list-presets"}).find("tiny") != std::string::npos);
  const std::string help = text({"--help"}), all = text({"--help-all"});
  INFO(all);
  CHECK(help.find("--lr RATE") != std::string::npos);
  CHECK(help.find("demo --lr 1") != std::string::npos);
  CHECK(help.find("--arch") == std::string::npos);
  CHECK(all.find("backbone (ddpmpp, ncsnpp) [ddpmpp] <model.arch>") != std::string::npos);
  CHECK(all.find("--no-condition") != std::string::npos);
  CHECK(all.find("--set optim.betas=A,B") != std::string::npos);
  std::size_t longest = 0, begin = 0;
  for (std::size_t end; (end = all.find('\n', begin)) != all.npos; begin = end + 1)
    longest = std::max(longest, end - begin);
  CHECK(longest <= 100);
}

TEST_CASE("config: operands are taken only where a program wants them") {
  Settings s;
  Table t;
  describe(t, s);
  std::vector<std::string> files;
  t.positional(files, "IN OUT", 2, 2);
  Program p{.name = "tenon-convert", .summary = "", .examples = {}};
  CommandLine line(p, t, {"a.bin", "--lr", "1", "--", "--odd"}, {});
  line.resolve();
  CHECK(files == std::vector<std::string>{"a.bin", "--odd"});
  REQUIRE_ERROR(CommandLine(p, t, {"a"}, {}), ErrorKind::Usage, "1 words given");
  CHECK(line.text() == "tenon-convert a.bin --lr 1 -- --odd");
}

TEST_CASE("config: the frame of a program maps errors to exit codes") {
  CHECK(program_main([] { return 0; }) == 0);
  CHECK(program_main([] { return 10; }) == 10);
  CHECK(program_main([]() -> int { throw Error(ErrorKind::Disk, "full", "free some"); }) == 9);
  CHECK(program_main([]() -> int { throw Error(ErrorKind::Stopped, "step 3"); }) == 75);
  CHECK(program_main([]() -> int { throw std::bad_alloc(); }) == 5);
  CHECK(program_main([]() -> int { throw std::runtime_error("odd"); }) == 1);
}
