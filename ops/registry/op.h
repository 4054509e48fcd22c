// The contract of an op, and how it is called.
//
// An op is one struct in ops/<family>/<op>.h:
//
//   struct Softmax {
//     struct Attrs { int64_t dim; };
//     static constexpr OpTraits traits{.name = "softmax", .inputs = 1, .saved_outputs = 0b1, ...};
//     static Metas infer(const Attrs&, Inputs in);                     // shape and dtype rule
//     static TensorVec backward(const Attrs&, const BackwardArgs&);    // made of ops
//     static std::vector<Sample> samples();                            // what the tests iterate
//   };
//   inline Tensor softmax(const Tensor& x, int64_t dim) { return apply<Softmax>({dim}, {x})[0]; }
//
// with TENON_REGISTER_OP(Softmax) in one .cpp, and implementations registered beside it with
// TENON_REGISTER_KERNEL. Kernels of a backward pass are ops of their own (softmax_backward), so
// they too have a reference, an ordered list of implementations and all tests. docs/add-an-op.md
// walks through one.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/mode.h"
#include "autograd/node.h"
#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace tenon {

using Inputs = std::span<const Tensor>;
using Outputs = std::span<Tensor>;

enum class Cost : uint8_t { Compute, Memory, Free };       // what bounds it; Free = a view
enum class AutocastClass : uint8_t { Follow, Bf16, F32 };  // see autograd/mode.h
enum class Differentiable : uint8_t {
  AnyOrder,    // backward is made of differentiable ops
  FirstOrder,  // backward calls an op that has no gradient itself
  None,        // an input that requires grad is refused at the call
};
// Memory order a kernel accepts. Other inputs are copied first; the copy is counted and traced.
enum class Layout : uint8_t {
  Any,         // any strides
  Contiguous,  // row-major
  Image,       // rank-4 inputs: all channels-last if any is (one channel or one pixel is
               // both), else all row-major; other inputs row-major
};

constexpr uint32_t kAllInputs = 0xffffffffu;

struct OpTraits {
  const char* name;
  int inputs = 1;                 // -1: any number, but at least one
  uint32_t optional_inputs = 0;   // bit i: input i may be undefined
  int outputs = 1;                // what callers see
  int extras = 0;                 // further outputs kept only for backward (statistics)
  uint32_t saved_inputs = 0;      // bit i: backward reads input i
  uint32_t saved_outputs = 0;     // bit i: backward reads output (or extra) i
  uint32_t mutates = 0;           // bit i: input i is changed in place
  uint32_t mixed_dtype = 0;       // bit i: floating input i may differ in dtype from the others
  uint32_t row_major_inputs = 0;  // bit i: input i is row-major even with Layout::Image (weights)
  Cost cost = Cost::Memory;
  AutocastClass autocast = AutocastClass::Follow;
  Differentiable differentiable = Differentiable::FirstOrder;
  Layout layout = Layout::Contiguous;
  // The last bits may depend on the number of threads: a library splits its sums over them.
  bool thread_dependent = false;
};

// Shape, dtype and memory order of an output. Empty strides = row-major.
struct TensorMeta {
  Dims sizes;
  DType dtype = DType::f32;
  Dims strides;
};
using Metas = SmallVec<TensorMeta, 3>;
// The meta of a tensor like t: its sizes, and its memory order if it is channels-last.
TensorMeta like(const Tensor& t);
TensorMeta like(const Tensor& t, DType dtype);
// As like(), and where t has gaps (a slice) or another order of axes: without gaps, axes in t's
// order. For ops that take any strides, so that a slice of a channels-last tensor stays
// channels-last.
TensorMeta dense_like(const Tensor& t, DType dtype);
// Row-major, or channels-last when `order` is a channels-last tensor and sizes has rank 4.
TensorMeta image_like(const Tensor& order, Dims sizes, DType dtype);

// What backward sees. grad(i) is undefined when output i got no gradient.
class BackwardArgs {
 public:
  const Tensor& grad(size_t i = 0) const { return grads[i]; }
  const Tensor& input(size_t i) const { return saved(inputs, i, "input"); }
  const Tensor& output(size_t i) const { return saved(outputs, i, "output"); }
  bool needs(size_t i) const { return needed[i]; }  // is the gradient of input i wanted?
  const TensorMeta& input_meta(size_t i) const { return metas[i]; }
  size_t input_count() const { return metas.size(); }

  std::span<const Tensor> grads, inputs, outputs;
  std::span<const bool> needed;
  std::span<const TensorMeta> metas;
  const char* op = "";

 private:
  const Tensor& saved(std::span<const Tensor> list, size_t i, const char* what) const;
};

// ---- samples: what the automatic tests run (tests/ops) ----
struct InputSpec {
  enum class Kind { Float, Int, Bool, None };  // None = an undefined optional input
  Dims shape;
  Kind kind = Kind::Float;
  double low = -1.5, high = 1.5;  // values: uniform; for Int from {low .. high}
  bool differentiable = true;     // checked by finite differences (floats only)
  DType int_dtype = DType::i64;
  bool keeps_f32 = false;  // statistics and the like: f32 beside 2-byte inputs
  // Values at least this far apart from each other and from 0, for kinks, ties and rounding edges.
  double apart = 0;
  // Finish the random values, for inputs with structure (for instance a positive-definite matrix).
  std::function<void(std::vector<double>&)> finish;
};
InputSpec floats(Dims shape, double low = -1.5, double high = 1.5);
// Stays f32 beside 2-byte inputs.
InputSpec statistics(Dims shape, double low, double high);
InputSpec ints(Dims shape, int64_t low, int64_t high);  // both ends included
InputSpec none();

struct Sample {
  std::string name;
  std::vector<InputSpec> inputs;
  std::shared_ptr<const void> attrs;
  // Largest error of f32 against the double reference, relative to the largest value; 0 = the
  // default of the walker.
  double tolerance = 0;
  // The samples whose shapes or attributes must be refused: the error text has to name the op.
  bool refused = false;
};

// ---- implementations ----
struct KernelCall {
  const void* attrs;
  Inputs in;
  Outputs out;  // allocated as infer said; for extras too. An undefined extra is not wanted.
  template <class A>
  const A& get() const {
    return *static_cast<const A*>(attrs);
  }
};

struct Implementation {
  const char* name;  // "avx2", "onednn", "ref"
  DeviceKind device = DeviceKind::CPU;
  int rank = 0;  // higher is tried first
  // nullptr when this call can be run, else the reason why not.
  const char* (*accepts)(const KernelCall&) = nullptr;
  void (*run)(const KernelCall&) = nullptr;
};

// Ranks of the usual implementations, so that lists read in one order.
inline constexpr int kRankRef = 0, kRankBase = 10, kRankAvx2 = 20, kRankAvx512 = 30,
                     kRankLibrary = 40, kRankSpecial = 50, kRankCuda = 100;

struct OpInfo {
  OpTraits traits;
  Metas (*infer)(const void* attrs, Inputs) = nullptr;
  TensorVec (*backward)(const void* attrs, const BackwardArgs&) = nullptr;
  std::shared_ptr<const void> (*copy_attrs)(const void*) = nullptr;
  std::function<std::vector<Sample>()> samples;
  // Views: makes the output without a kernel.
  Tensor (*view)(const void* attrs, const Tensor&) = nullptr;
  // Where an op without tensor inputs runs: Attrs::device, when it has one.
  Device (*device)(const void* attrs) = nullptr;
  std::vector<Implementation> implementations[kDeviceKinds];  // best first
};

// All ops by name, in order of name.
std::vector<const OpInfo*> all_ops();
const OpInfo& find_op(std::string_view name);  // throws Usage with the nearest name

namespace detail {
OpInfo& op_slot(const char* name);  // made on first use, so registration order does not matter
void add_implementation(const char* op, const Implementation& impl);
}  // namespace detail

// Runs an op: casts (autocast), checks, infers, fixes memory order, picks the implementation,
// records. Returns the visible outputs.
TensorVec apply(const OpInfo& op, const void* attrs, Inputs in);
// Runs one implementation on ready inputs; for tests and benchmarks. Throws Usage when it refuses.
TensorVec run_implementation(const OpInfo& op, const Implementation& impl, const void* attrs,
                             Inputs in);
// Forces an implementation by name for an op ("" = back to the list); as TENON_IMPL=op=name.
void force_implementation(std::string_view op, std::string_view implementation);

// Bytes that the node of this op output keeps for backward, counting shared memory once per use;
// 0 for a leaf. For the test that compares them with the declaration.
size_t saved_bytes(const Tensor& output);

// While one lives, every op output on this thread is checked, and the first that is not finite
// throws NonFinite naming the op. Slow; for finding out where a bad loss began.
class FiniteCheck {
 public:
  FiniteCheck();
  ~FiniteCheck();
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;
};

// Counts of the apply path since the start, for tests and `--profile`.
struct ApplyCounters {
  uint64_t calls = 0, layout_copies = 0, layout_copy_bytes = 0;
};
ApplyCounters apply_counters();

// ---- glue from the typed struct to OpInfo ----
template <class Op>
const OpInfo& op_info() {
  static const OpInfo& info = detail::op_slot(Op::traits.name);
  return info;
}

template <class Op>
TensorVec apply(const typename Op::Attrs& attrs, std::initializer_list<Tensor> in) {
  return apply(op_info<Op>(), &attrs, Inputs(in.begin(), in.size()));
}
template <class Op>
TensorVec apply(const typename Op::Attrs& attrs, Inputs in) {
  return apply(op_info<Op>(), &attrs, in);
}

template <class Attrs>
std::shared_ptr<const void> make_attrs(Attrs attrs) {
  return std::make_shared<const Attrs>(std::move(attrs));
}

template <class Op>
bool register_op() {
  OpInfo& info = detail::op_slot(Op::traits.name);
  using Attrs = typename Op::Attrs;
  info.traits = Op::traits;
  info.infer = [](const void* a, Inputs in) {
    return Op::infer(*static_cast<const Attrs*>(a), in);
  };
  if constexpr (Op::traits.differentiable != Differentiable::None)
    info.backward = [](const void* a, const BackwardArgs& args) {
      return Op::backward(*static_cast<const Attrs*>(a), args);
    };
  info.copy_attrs = [](const void* a) -> std::shared_ptr<const void> {
    return std::make_shared<const Attrs>(*static_cast<const Attrs*>(a));
  };
  info.samples = [] { return Op::samples(); };
  if constexpr (requires(Attrs a) { a.device; })
    info.device = [](const void* a) -> Device { return static_cast<const Attrs*>(a)->device; };
  if constexpr (requires { &Op::view; })
    info.view = [](const void* a, const Tensor& x) {
      return Op::view(*static_cast<const Attrs*>(a), x);
    };
  return true;
}

#define TENON_CAT_(a, b) a##b
#define TENON_CAT(a, b) TENON_CAT_(a, b)
#define TENON_UNIQUE(prefix) TENON_CAT(prefix, __COUNTER__)
// In one .cpp of the op's folder, at namespace scope inside tenon.
#define TENON_REGISTER_OP(Op) \
  [[maybe_unused]] static const bool TENON_UNIQUE(op_registered_) = ::tenon::register_op<Op>()
// TENON_REGISTER_KERNEL(Softmax, {.name = "ref", .rank = kRankRef, .run = softmax_ref});
//
// The implementation is a constant and only its address is passed, so that the initialiser of a
// file compiled for AVX-512 holds no vector code: it runs on every processor, before any choice is
// made.
#define TENON_REGISTER_KERNEL(Op, ...)                                            \
  [[maybe_unused]] static const bool TENON_UNIQUE(kernel_registered_) =           \
      (::tenon::detail::add_implementation(                                       \
           Op::traits.name,                                                       \
           []() -> const ::tenon::Implementation& {                               \
             static constexpr ::tenon::Implementation implementation __VA_ARGS__; \
             return implementation;                                               \
           }()),                                                                  \
       true)

}  // namespace tenon
