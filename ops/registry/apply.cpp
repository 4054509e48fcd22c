// The one path every op call takes.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>

#include "autograd/engine.h"
#include "autograd/variable.h"
#include "core/base/trace.h"
#include "core/memory/allocator.h"
#include "ops/pointwise/cast.h"
#include "ops/registry/op.h"

namespace tenon {

namespace {

std::atomic<uint64_t> g_calls{0}, g_copies{0}, g_copy_bytes{0};

// ---- TENON_IMPL ----
struct Forced {
  std::mutex mutex;
  std::map<std::string, std::string, std::less<>> by_op;
  std::atomic<bool> any{false};
};
Forced& forced() {
  static Forced* f = [] {
    auto* made = new Forced;
    if (const char* env = std::getenv("TENON_IMPL")) {  // op=name[,op=name]
      std::string_view rest(env);
      while (!rest.empty()) {
        const size_t comma = rest.find(',');
        const std::string_view item = rest.substr(0, comma);
        const size_t eq = item.find('=');
        check(eq != std::string_view::npos, ErrorKind::Usage, "TENON_IMPL: '{}', want op=name",
              item);
        find_op(item.substr(0, eq));  // an error where there is none
        made->by_op[std::string(item.substr(0, eq))] = item.substr(eq + 1);
        made->any = true;
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      }
    }
    return made;
  }();
  return *f;
}

std::string describe_inputs(Inputs in) {
  std::string out;
  for (size_t i = 0; i < in.size(); ++i) out += (i ? ", " : "") + in[i].describe();
  return out;
}

thread_local int t_finite_checks = 0;

bool bit(uint32_t mask, size_t i) {
  return i < 32 && (mask >> i) & 1u;
}

void check_inputs(const OpInfo& op, Inputs in) {
  const OpTraits& t = op.traits;
  check(t.inputs < 0 ? !in.empty() : in.size() == static_cast<size_t>(t.inputs), ErrorKind::Usage,
        "{}: {} inputs, want {}", t.name, in.size(), t.inputs);
  const Tensor* first = nullptr;
  const Tensor* first_float = nullptr;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined()) {
      check(bit(t.optional_inputs, i), ErrorKind::Usage, "{}: input {} is undefined", t.name, i);
      continue;
    }
    if (!first) first = &in[i];
    if (in[i].device() != first->device()) [[unlikely]]
      throw_hint(ErrorKind::Usage, "move one with to(device)",
                 "{}: inputs are on different devices: {}", t.name, describe_inputs(in));
    if (is_float(in[i].dtype()) && !bit(t.mixed_dtype, i)) {
      if (!first_float) first_float = &in[i];
      if (in[i].dtype() != first_float->dtype()) [[unlikely]]
        throw_hint(ErrorKind::Usage, "cast one of them: there is no silent promotion",
                   "{}: inputs have different float types: {}", t.name, describe_inputs(in));
    }
  }
}

bool cast_for_autocast(const OpInfo& op, TensorVec& in) {
  const auto half = autocast_dtype();
  if (!half || op.traits.autocast == AutocastClass::Follow) return false;
  const DType want = op.traits.autocast == AutocastClass::Bf16 ? *half : DType::f32;
  bool changed = false;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined() || !is_float(in[i].dtype()) || in[i].dtype() == want ||
        in[i].dtype() == DType::f64 || bit(op.traits.mixed_dtype, i))
      continue;
    in[i] = cast(in[i], want);
    changed = true;
  }
  return changed;
}

Tensor copy_to_layout(const Tensor& t, bool channels_last, const char* op, size_t index) {
  Tensor out = channels_last ? Tensor::empty_strided(t.sizes(), channels_last_strides(t.sizes()),
                                                     t.dtype(), t.device())
                             : Tensor::empty(t.sizes(), t.dtype(), t.device());
  copy_values(t, out);
  g_copies.fetch_add(1, std::memory_order_relaxed);
  g_copy_bytes.fetch_add(t.bytes(), std::memory_order_relaxed);
  trace(Trace::Copies, "{}: input {} {} copied to {} ({})", op, index, t.describe(),
        channels_last ? "channels-last" : "row-major", format_bytes(t.bytes()));
  return out;
}

// With one channel or one pixel, row-major and channels-last are the same memory.
bool is_both_orders(const Tensor& t) {
  return t.is_contiguous() && (t.size(1) == 1 || (t.size(2) == 1 && t.size(3) == 1));
}

// The inputs as the kernel wants them in memory. Returns false when they are fine as they are.
bool fix_layout(const OpInfo& op, Inputs in, TensorVec& fixed) {
  if (op.traits.layout == Layout::Any) return false;
  bool channels_last = false;
  if (op.traits.layout == Layout::Image)
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i].defined() && in[i].rank() == 4 && !bit(op.traits.row_major_inputs, i) &&
          !is_both_orders(in[i]))
        channels_last |= in[i].is_channels_last();
  bool changed = false;
  for (size_t i = 0; i < in.size(); ++i) {
    const Tensor& t = in[i];
    if (!t.defined()) continue;
    const bool want_cl = channels_last && t.rank() == 4 && !bit(op.traits.row_major_inputs, i);
    const bool fine = want_cl ? t.is_channels_last() || is_both_orders(t) : t.is_contiguous();
    if (fine) continue;
    check(!bit(op.traits.mutates, i), ErrorKind::Usage,
          "{}: input {} {} is changed in place and must be row-major", op.traits.name, i,
          t.describe());
    if (!changed) {
      fixed.clear();
      for (const Tensor& x : in) fixed.push_back(x);
      changed = true;
    }
    fixed[i] = copy_to_layout(t, want_cl, op.traits.name, i);
  }
  return changed;
}

const Implementation& choose(const OpInfo& op, const KernelCall& call, Device device) {
  const auto& list = op.implementations[static_cast<int>(device.kind)];
  if (forced().any.load(std::memory_order_relaxed)) [[unlikely]] {
    const std::lock_guard lock(forced().mutex);
    if (const auto it = forced().by_op.find(op.traits.name); it != forced().by_op.end()) {
      for (const Implementation& impl : list)
        if (it->second == impl.name) {
          const char* reason = impl.accepts ? impl.accepts(call) : nullptr;
          check(!reason, ErrorKind::Usage, "{}: forced implementation '{}' refused: {}",
                op.traits.name, impl.name, reason ? reason : "");
          return impl;
        }
      throw_error(ErrorKind::Usage, "{}: no implementation '{}' on {}", op.traits.name, it->second,
                  to_string(device));
    }
  }
  const bool tracing = trace_enabled(Trace::Dispatch);
  std::string reasons;
  for (const Implementation& impl : list) {
    const char* reason = impl.accepts ? impl.accepts(call) : nullptr;
    if (!reason) {
      if (tracing) [[unlikely]]
        trace_line(fmt::format("{}({}) -> {}{}", op.traits.name, describe_inputs(call.in),
                               impl.name, reasons.empty() ? "" : "; not" + reasons));
      return impl;
    }
    if (tracing) [[unlikely]]
      reasons += fmt::format(" {} ({})", impl.name, reason);
  }
  throw_error(ErrorKind::Usage, "{}: no implementation on {} for {}", op.traits.name,
              to_string(device), describe_inputs(call.in));
}

Device device_of(const OpInfo& op, const void* attrs, Inputs in) {
  for (const Tensor& t : in)
    if (t.defined()) return t.device();
  return op.device ? op.device(attrs) : Device{};
}

TensorVec allocate_outputs(const Metas& metas, Device device) {
  TensorVec out;
  for (const TensorMeta& m : metas)
    out.push_back(m.strides.empty() ? Tensor::empty(m.sizes, m.dtype, device)
                                    : Tensor::empty_strided(m.sizes, m.strides, m.dtype, device));
  return out;
}

class OpNode final : public Node {
 public:
  OpNode(const OpInfo& op, const void* attrs, Inputs in, const TensorVec& out)
      : op_(op), attrs_(op.copy_attrs(attrs)) {
    for (size_t i = 0; i < in.size(); ++i) {
      edges().push_back(in[i].defined() ? gradient_edge(in[i]) : Edge{});
      metas_.push_back(in[i].defined() ? TensorMeta{in[i].sizes(), in[i].dtype(), {}}
                                       : TensorMeta{});
      if (bit(op.traits.saved_inputs, i)) inputs_.push_back(SavedTensor::input(in[i]));
    }
    for (size_t i = 0; i < out.size(); ++i)
      if (bit(op.traits.saved_outputs, i))
        outputs_.push_back(SavedTensor::output(out[i], static_cast<int>(i)));
    set_output_count(static_cast<int>(out.size()));
  }
  const char* name() const override { return op_.traits.name; }

  TensorVec backward(std::span<const Tensor> grads) override {
    check(!released_, ErrorKind::Usage,
          "backward of {}: the graph was freed by an earlier backward; keep_graph keeps it",
          name());
    check(!grad_enabled() || op_.traits.differentiable == Differentiable::AnyOrder,
          ErrorKind::Usage,
          "backward of {}: it has first-order gradients only; run backward without create_graph",
          name());
    const size_t n = edges().size();
    TensorVec in(n), out(static_cast<size_t>(output_count()));
    size_t at = 0;
    for (size_t i = 0; i < n; ++i)
      if (bit(op_.traits.saved_inputs, i)) in[i] = inputs_[at++].unpack(*this, static_cast<int>(i));
    at = 0;
    for (size_t i = 0; i < out.size(); ++i)
      if (bit(op_.traits.saved_outputs, i)) out[i] = outputs_[at++].unpack(*this, 0);
    SmallVec<bool, 8> needed;
    for (const Edge& e : edges()) needed.push_back(static_cast<bool>(e.node));
    bool any = false;
    for (const Tensor& g : grads) any |= g.defined();
    if (!any) return TensorVec(n);
    BackwardArgs args;
    args.grads = grads;
    args.inputs = in;
    args.outputs = out;
    args.needed = needed;
    args.metas = metas_;
    args.op = name();
    TensorVec result = op_.backward(attrs_.get(), args);
    check(result.size() == n, ErrorKind::Internal, "backward of {} gave {} gradients for {} inputs",
          name(), result.size(), n);
    return result;
  }

  void release() override {
    inputs_.clear();
    outputs_.clear();
    released_ = true;
  }

  size_t saved_bytes() const {
    size_t total = 0;
    for (const SavedTensor& s : inputs_) total += s.bytes();
    for (const SavedTensor& s : outputs_) total += s.bytes();
    return total;
  }

 private:
  const OpInfo& op_;
  std::shared_ptr<const void> attrs_;
  SmallVec<SavedTensor, 4> inputs_, outputs_;
  SmallVec<TensorMeta, 4> metas_;
  bool released_ = false;
};

void check_finite(const OpInfo& op, Inputs in, const TensorVec& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].defined() || !is_float(out[i].dtype())) continue;
    for (const double x : out[i].to_vector<double>())
      check(std::isfinite(x), ErrorKind::NonFinite, "first bad tensor: output {} of {}({})", i,
            op.traits.name, describe_inputs(in));
  }
}

bool wants_gradient(const OpInfo& op, Inputs in) {
  const bool noting = noting_leaf_use();
  if (!grad_enabled() && !noting) return false;
  bool any = false;
  for (const Tensor& t : in) {
    if (!t.defined() || !requires_grad(t)) continue;
    any = true;
    if (noting) note_leaf_use(t);
  }
  if (!any || !grad_enabled()) return false;
  if (op.traits.differentiable == Differentiable::None) [[unlikely]]
    throw_hint(ErrorKind::Usage, "call it inside NoGrad, or on detach()ed inputs",
               "{}: it has no gradient, but an input requires one: {}", op.traits.name,
               describe_inputs(in));
  return true;
}

}  // namespace

const Tensor& BackwardArgs::saved(std::span<const Tensor> list, size_t i, const char* what) const {
  check(i < list.size(), ErrorKind::Internal, "backward of {}: no {} {}", op, what, i);
  return list[i];
}

TensorVec apply(const OpInfo& op, const void* attrs, Inputs given) {
  g_calls.fetch_add(1, std::memory_order_relaxed);
  TensorVec cast_inputs;
  Inputs in = given;
  if (autocast_dtype() && op.traits.autocast != AutocastClass::Follow) {
    cast_inputs = TensorVec(given.begin(), given.end());
    cast_for_autocast(op, cast_inputs);
    in = cast_inputs;
  }
  check_inputs(op, in);
  const bool record = wants_gradient(op, in);
  if (op.traits.mutates) {
    for (size_t i = 0; i < in.size(); ++i)
      check(!bit(op.traits.mutates, i) || !in[i].defined() || !grad_enabled() ||
                !requires_grad(in[i]),
            ErrorKind::Usage,
            "{}: input {} {} requires a gradient and would be changed in place; use NoGrad",
            op.traits.name, i, in[i].defined() ? in[i].describe() : "");
  }

  TensorVec out;
  if (op.view) {
    op.infer(attrs, in);
    out.push_back(op.view(attrs, in[0]));
  } else {
    const Device device = device_of(op, attrs, in);
    TensorVec fixed;
    const Inputs ready = fix_layout(op, in, fixed) ? Inputs(fixed) : in;
    const Metas metas = op.infer(attrs, ready);  // outputs take the memory order of what is run
    out = allocate_outputs(metas, device);
    const KernelCall call{attrs, ready, out};
    const Implementation& impl = choose(op, call, device);
    impl.run(call);
    if (t_finite_checks > 0) [[unlikely]]
      check_finite(op, in, out);
    if (op.traits.mutates)
      for (size_t i = 0; i < in.size(); ++i)
        if (bit(op.traits.mutates, i) && in[i].defined()) in[i].bump_version(op.traits.name);
  }

  if (record) {
    auto node = make_ref<OpNode>(op, attrs, in, out);
    for (size_t i = 0; i < static_cast<size_t>(op.traits.outputs) && i < out.size(); ++i)
      if (is_float(out[i].dtype())) set_grad_fn(out[i], node, static_cast<int>(i));
  }
  while (out.size() > static_cast<size_t>(op.traits.outputs)) out.pop_back();
  return out;
}

TensorVec run_implementation(const OpInfo& op, const Implementation& impl, const void* attrs,
                             Inputs in) {
  check_inputs(op, in);
  TensorVec fixed;
  const Inputs ready = fix_layout(op, in, fixed) ? Inputs(fixed) : in;
  const Metas metas = op.infer(attrs, ready);
  TensorVec out = allocate_outputs(metas, device_of(op, attrs, in));
  const KernelCall call{attrs, ready, out};
  const char* reason = impl.accepts ? impl.accepts(call) : nullptr;
  check(!reason, ErrorKind::Usage, "{}: implementation '{}' refused: {}", op.traits.name, impl.name,
        reason ? reason : "");
  impl.run(call);
  return out;
}

void force_implementation(std::string_view op, std::string_view implementation) {
  find_op(op);
  const std::lock_guard lock(forced().mutex);
  if (implementation.empty())
    forced().by_op.erase(std::string(op));
  else
    forced().by_op[std::string(op)] = implementation;
  forced().any = !forced().by_op.empty();
}

size_t saved_bytes(const Tensor& output) {
  const Ref<Node> node = grad_fn(output);
  const auto* op_node = dynamic_cast<const OpNode*>(node.get());
  return op_node ? op_node->saved_bytes() : 0;
}

FiniteCheck::FiniteCheck() {
  ++t_finite_checks;
}
FiniteCheck::~FiniteCheck() {
  --t_finite_checks;
}

ApplyCounters apply_counters() {
  return {g_calls.load(), g_copies.load(), g_copy_bytes.load()};
}

}  // namespace tenon
