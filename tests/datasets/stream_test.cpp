#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "datasets/generated.h"
#include "datasets/prefetcher.h"
#include "tests/support/catch.h"

namespace tenon::data {
namespace {

// Sample i is one pixel of value i; some are damaged, some slow.
class FakeSource final : public Source {
 public:
  FakeSource(std::int64_t n, std::set<std::int64_t> bad, bool slow = false)
      : bad_(std::move(bad)), slow_(slow) {
    info_ = {n, 1, 1, 1, LabelKind::Class, 256, "fake"};
  }
  void read_image(std::int64_t i, std::span<std::uint8_t> chw) const override {
    if (slow_) std::this_thread::sleep_for(std::chrono::microseconds(100 * (i % 7)));
    if (bad_.count(i)) throw_error(ErrorKind::Data, "damaged");
    chw[0] = static_cast<std::uint8_t>(i);
  }
  std::int64_t label(std::int64_t i) const override { return i % 256; }
  std::string locate(std::int64_t i) const override { return fmt::format("f.bin, offset {}", i); }

 private:
  std::set<std::int64_t> bad_;
  bool slow_;
};

std::vector<std::int64_t> stream(const SourcePtr& source, PrefetchOptions options, int steps,
                                 std::int64_t first = 0) {
  Prefetcher prefetcher(source, Sampler(source->size(), 3), options, first);
  std::vector<std::int64_t> out;
  for (int s = 0; s < steps; ++s) {
    const Batch& batch = prefetcher.next();
    REQUIRE(batch.step == first + s);
    for (std::size_t i = 0; i < batch.indices.size(); ++i) {
      REQUIRE(batch.images[i] == static_cast<std::uint8_t>(batch.indices[i]));
      REQUIRE(batch.labels[i] == batch.indices[i] % 256);
      out.push_back(batch.indices[i]);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("data: the permutation is one, for every size") {
  for (const std::int64_t n : {1, 2, 3, 5, 16, 17, 500, 1000, 4096, 5000}) {
    const Permutation p(n, 42);
    std::vector<bool> seen(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t v = p(i);
      REQUIRE((v >= 0 && v < n));
      REQUIRE_FALSE(seen[static_cast<std::size_t>(v)]);
      seen[static_cast<std::size_t>(v)] = true;
    }
  }
  CHECK(Permutation(std::int64_t{1} << 50, 1)(12345) < std::int64_t{1} << 50);
}

TEST_CASE("data: the permutation looks random") {
  // Displacements of a random permutation: mean n/3, and another key gives another order.
  const std::int64_t n = 10000;
  const Permutation p(n, 1), q(n, 2);
  double displacement = 0;
  int equal = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    displacement += std::abs(static_cast<double>(p(i) - i));
    equal += p(i) == q(i);
  }
  CHECK(std::abs(displacement / (n * (n / 3.0)) - 1) < 0.05);
  CHECK(equal < 10);
  // First image of many keys: uniform over 8 places.
  std::vector<int> counts(8);
  for (std::uint64_t key = 0; key < 8000; ++key)
    ++counts[static_cast<std::size_t>(Permutation(8, key)(0))];
  for (const int c : counts) CHECK(std::abs(c - 1000) < 150);
}

TEST_CASE("data: the sampler visits all, each epoch in another order") {
  const Sampler sampler(97, 5);
  std::vector<std::int64_t> first, second;
  for (std::int64_t i = 0; i < 97; ++i) first.push_back(sampler.index(i));
  for (std::int64_t i = 97; i < 194; ++i) second.push_back(sampler.index(i));
  CHECK(first != second);
  CHECK(std::set<std::int64_t>(first.begin(), first.end()).size() == 97);
  CHECK(std::set<std::int64_t>(second.begin(), second.end()).size() == 97);
  CHECK(Sampler(97, 6).index(0) + 97 * Sampler(97, 6).index(1) !=
        sampler.index(0) + 97 * sampler.index(1));
  const Sampler in_order(5, 5, false);
  CHECK(in_order.index(7) == 2);
  CHECK(in_order.epoch(7) == 1);
  REQUIRE_ERROR(Sampler(0, 1), ErrorKind::Data, "empty");
}

TEST_CASE("data: ranks share one batch, whatever their number") {
  const auto global = rank_positions(3, 12, 0, 1);
  for (const int world : {2, 3, 4}) {
    std::vector<std::int64_t> merged;
    for (int rank = 0; rank < world; ++rank)
      for (const std::int64_t p : rank_positions(3, 12, rank, world)) merged.push_back(p);
    std::sort(merged.begin(), merged.end());
    CHECK(merged == global);
  }
  REQUIRE_ERROR(rank_positions(0, 10, 0, 3), ErrorKind::Usage, "does not divide by 3");
}

TEST_CASE("data: prefetched order does not depend on workers, depth or where one starts") {
  const auto source = std::make_shared<FakeSource>(100, std::set<std::int64_t>{}, true);
  PrefetchOptions options;
  options.batch = 20;
  options.workers = 0;
  const std::vector<std::int64_t> want = stream(source, options, 12);
  for (const int workers : {1, 2, 5})
    for (const int depth : {1, 4}) {
      options.workers = workers;
      options.depth = depth;
      CHECK(stream(source, options, 12) == want);
    }
  // Resumed at step 7.
  const std::vector<std::int64_t> rest = stream(source, options, 5, 7);
  CHECK(std::equal(rest.begin(), rest.end(), want.begin() + 7 * 20));
  // Two ranks, interleaved, are the same stream.
  options.world = 2;
  const std::vector<std::int64_t> even = stream(source, options, 12);
  options.rank = 1;
  const std::vector<std::int64_t> odd = stream(source, options, 12);
  for (std::size_t i = 0; i < even.size(); ++i) {
    REQUIRE(want[2 * i] == even[i]);
    REQUIRE(want[2 * i + 1] == odd[i]);
  }
}

TEST_CASE("data: a bad sample is named, and the first of a batch wins") {
  const auto source = std::make_shared<FakeSource>(40, std::set<std::int64_t>{11, 30}, true);
  for (const int workers : {0, 3}) {
    PrefetchOptions options;
    options.batch = 40;
    options.workers = workers;
    Prefetcher prefetcher(source, Sampler(40, 0, false), options);
    REQUIRE_ERROR(prefetcher.next(), ErrorKind::Data, "sample 11 (f.bin, offset 11): damaged");
    REQUIRE_ERROR(prefetcher.next(), ErrorKind::Data, "sample 11");  // and it stays an error
  }
}

TEST_CASE("data: skipping replaces bad samples, up to a limit") {
  const auto source = std::make_shared<FakeSource>(40, std::set<std::int64_t>{11, 12, 30});
  PrefetchOptions options;
  options.batch = 40;
  std::atomic<int> reports = 0;
  options.on_skip = [&](const std::string& text) {
    if (text.find("skipped (") != std::string::npos) ++reports;
  };
  for (const int workers : {0, 3}) {
    options.workers = workers;
    options.skip_limit = 3;
    reports = 0;
    Prefetcher prefetcher(source, Sampler(40, 0, false), options);
    for (int step = 0; step < 3; ++step) {
      const Batch& batch = prefetcher.next();
      CHECK(batch.indices[11] == 13);
      CHECK(batch.indices[12] == 13);
      CHECK(batch.indices[30] == 31);
      CHECK(batch.labels[30] == 31);
    }
    CHECK(prefetcher.skipped() == 3);
    CHECK(reports == 3);
    options.skip_limit = 2;
    Prefetcher strict(source, Sampler(40, 0, false), options);
    REQUIRE_ERROR(strict.next(), ErrorKind::Data, "damaged");
  }
  // All damaged: an error, not an endless search.
  std::set<std::int64_t> all;
  for (std::int64_t i = 0; i < 5; ++i) all.insert(i);
  options.batch = 5;
  options.skip_limit = 100;
  Prefetcher hopeless(std::make_shared<FakeSource>(5, all), Sampler(5, 0), options);
  REQUIRE_ERROR(hopeless.next(), ErrorKind::Data, "damaged");
}

TEST_CASE("data: prefetchers stop at any time") {
  const auto source = std::make_shared<FakeSource>(100, std::set<std::int64_t>{50}, true);
  PrefetchOptions options;
  options.batch = 30;
  options.workers = 4;
  for (int used = 0; used < 4; ++used) {
    Prefetcher prefetcher(source, Sampler(100, 0), options);
    for (int i = 0; i < used; ++i) {
      try {
        prefetcher.next();
      } catch (const Error&) {
      }
    }
    CHECK(prefetcher.wait_seconds() >= 0);
  }
}

TEST_CASE("data: vector labels travel with their pictures") {
  class VectorSource final : public Source {
   public:
    VectorSource() { info_ = {10, 1, 1, 1, LabelKind::Vector, 2, "vectors"}; }
    void read_image(std::int64_t, std::span<std::uint8_t> chw) const override { chw[0] = 0; }
    std::span<const float> label_vector(std::int64_t i) const override {
      return std::span(values_).subspan(static_cast<std::size_t>(i), 2);
    }
    std::string locate(std::int64_t) const override { return ""; }

   private:
    std::vector<float> values_ = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  };
  PrefetchOptions options;
  options.batch = 4;
  Prefetcher prefetcher(std::make_shared<VectorSource>(), Sampler(10, 1), options);
  const Batch& batch = prefetcher.next();
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(batch.label_vectors[2 * i] == static_cast<float>(batch.indices[i]));
    CHECK(batch.label_vectors[2 * i + 1] == static_cast<float>(batch.indices[i] + 1));
  }
}

}  // namespace tenon::data
