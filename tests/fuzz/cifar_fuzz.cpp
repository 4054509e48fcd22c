#include "datasets/cifar.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  for (const data::CifarKind kind : {data::CifarKind::Cifar10, data::CifarKind::Cifar100})
    fuzz::run([&] {
      const std::int64_t n = data::check_cifar({data, size}, kind, "f");
      if (static_cast<std::size_t>(n) * 3073 > size) std::abort();
    });
  return 0;
}
