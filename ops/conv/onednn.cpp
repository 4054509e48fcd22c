#include "ops/conv/onednn.h"

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "core/simd/parallel.h"
#include "core/simd/target.h"

#if TENON_HAVE_ONEDNN
#include <dnnl.hpp>

namespace tenon::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

dnnl::engine& engine() {
  static dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}
dnnl::stream& stream() {
  thread_local dnnl::stream s(engine());
  return s;
}

memory::data_type data_type(DType t) {
  return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory view(const memory::desc& desc, const void* data) {
  return memory(desc, engine(), const_cast<void*>(data));
}

// Temporary memory of the calling thread, one piece per purpose; it only grows.
enum Purpose { kWeights, kInput, kInput2, kOutput, kScratchpad, kPurposes };
void* temporary(Purpose purpose, size_t bytes) {
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  struct Piece {
    std::unique_ptr<void, Free> data;
    size_t bytes = 0;
  };
  thread_local Piece pieces[kPurposes];
  Piece& piece = pieces[purpose];
  if (piece.bytes < bytes) {
    piece.data.reset();
    const size_t rounded = (bytes + 4095) / 4096 * 4096;
    piece.data.reset(std::aligned_alloc(4096, rounded));
    piece.bytes = piece.data ? rounded : 0;
    check(piece.bytes > 0, ErrorKind::Memory, "convolution: no memory for {} temporary bytes",
          bytes);
  }
  return piece.data.get();
}

// The caller's memory order beside the primitive's, and the way between them.
struct Slot {
  memory::desc outside, inside;
  dnnl::reorder reorder;  // empty where they are the same
  Purpose purpose = kInput;

  void set(const memory::desc& out, const memory::desc& in, Purpose p, bool to_inside) {
    outside = out;
    inside = in;
    purpose = p;
    if (out != in) {
      const auto& from = to_inside ? out : in;
      const auto& to = to_inside ? in : out;
      reorder = dnnl::reorder(dnnl::reorder::primitive_desc(engine(), from, engine(), to));
    }
  }
  bool same() const { return !reorder; }
  // The argument for the primitive; for inputs the values are brought in.
  memory bring(const void* data) const {
    if (same()) return view(inside, data);
    memory to = view(inside, temporary(purpose, inside.get_size()));
    memory from = view(outside, data);
    reorder.execute(stream(), from, to);
    return to;
  }
  memory place(void* data) const {
    return same() ? view(inside, data) : view(inside, temporary(purpose, inside.get_size()));
  }
  void take(const memory& result, void* data) const {
    if (same()) return;
    memory from = result, to = view(outside, data);
    reorder.execute(stream(), from, to);
  }
};

class Plan final : public ConvPlan {
 public:
  Plan(ConvPass pass, const ConvGeometry& g, DType dtype, bool bias) : pass_(pass), bias_(bias) {
    const auto type = data_type(dtype);
    const ConvWindow& a = g.window;
    const memory::dims x_dims{g.n, g.ci, g.h, g.w}, y_dims{g.n, g.co, g.oh, g.ow};
    memory::dims w_dims{g.co, g.ci, g.kh, g.kw};
    if (a.groups > 1) w_dims = {a.groups, g.co_per_group(), g.ci_per_group(), g.kh, g.kw};
    const Tag order = g.channels_last ? Tag::nhwc : Tag::nchw;
    const Tag w_order = a.groups > 1 ? Tag::goihw : Tag::oihw;
    // oneDNN's own choice for row-major activations: its blocked order, reached by a reorder.
    const Tag inner = g.channels_last ? Tag::nhwc : Tag::any;
    const memory::desc x(x_dims, type, inner), y(y_dims, type, inner), w(w_dims, type, Tag::any);
    const memory::desc b = bias ? memory::desc({g.co}, type, Tag::x) : memory::desc();
    const memory::dims strides{a.stride_h, a.stride_w};
    const memory::dims dilates{a.dilation_h - 1, a.dilation_w - 1};
    const memory::dims before{a.top, a.left}, after{a.bottom, a.right};
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const memory::desc x_out(x_dims, type, order), y_out(y_dims, type, order),
        w_out(w_dims, type, w_order);

#if DNNL_VERSION_MAJOR >= 3
#define TENON_DESC(Pass, ...) Pass::primitive_desc(engine(), __VA_ARGS__, attr)
#define TENON_DESC_HINT(Pass, ...) Pass::primitive_desc(engine(), __VA_ARGS__, hint, attr)
#else
#define TENON_DESC(Pass, ...) Pass::primitive_desc(Pass::desc(__VA_ARGS__), attr, engine())
#define TENON_DESC_HINT(Pass, ...) \
  Pass::primitive_desc(Pass::desc(__VA_ARGS__), attr, engine(), hint)
#endif
    const auto kind = dnnl::prop_kind::forward_training;
    const auto hint = bias ? TENON_DESC(dnnl::convolution_forward, kind, kAlgorithm, x, w, b, y,
                                        strides, dilates, before, after)
                           : TENON_DESC(dnnl::convolution_forward, kind, kAlgorithm, x, w, y,
                                        strides, dilates, before, after);
    if (pass == ConvPass::Forward) {
      primitive_ = dnnl::convolution_forward(hint);
      in_.set(x_out, hint.src_desc(), kInput, true);
      in2_.set(w_out, hint.weights_desc(), kWeights, true);
      out_.set(y_out, hint.dst_desc(), kOutput, false);
      b_ = b;
      scratchpad_ = hint.scratchpad_desc();
    } else if (pass == ConvPass::InputGrad) {
      const auto d = TENON_DESC_HINT(dnnl::convolution_backward_data, kAlgorithm, x, w, y, strides,
                                     dilates, before, after);
      primitive_ = dnnl::convolution_backward_data(d);
      in_.set(y_out, d.diff_dst_desc(), kInput, true);
      in2_.set(w_out, d.weights_desc(), kWeights, true);
      out_.set(x_out, d.diff_src_desc(), kOutput, false);
      scratchpad_ = d.scratchpad_desc();
    } else {
      const auto d = TENON_DESC_HINT(dnnl::convolution_backward_weights, kAlgorithm, x, w, y,
                                     strides, dilates, before, after);
      primitive_ = dnnl::convolution_backward_weights(d);
      in_.set(x_out, d.src_desc(), kInput, true);
      in2_.set(y_out, d.diff_dst_desc(), kInput2, true);
      out_.set(w_out, d.diff_weights_desc(), kWeights, false);
      scratchpad_ = d.scratchpad_desc();
    }
#undef TENON_DESC
#undef TENON_DESC_HINT
  }

  void run(const void* in, const void* in2, const void* bias, void* out) const override {
    apply_threads_to_openmp();
    const memory a = in_.bring(in), b = in2_.bring(in2), result = out_.place(out);
    std::unordered_map<int, memory> args;
    switch (pass_) {
      case ConvPass::Forward:
        args = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, result}};
        if (bias_) args.emplace(DNNL_ARG_BIAS, view(b_, bias));
        break;
      case ConvPass::InputGrad:
        args = {{DNNL_ARG_DIFF_DST, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DIFF_SRC, result}};
        break;
      case ConvPass::WeightGrad:
        args = {{DNNL_ARG_SRC, a}, {DNNL_ARG_DIFF_DST, b}, {DNNL_ARG_DIFF_WEIGHTS, result}};
        break;
    }
    if (const size_t bytes = scratchpad_.get_size())
      args.emplace(DNNL_ARG_SCRATCHPAD, view(scratchpad_, temporary(kScratchpad, bytes)));
    primitive_.execute(stream(), args);
    out_.take(result, out);
    stream().wait();
  }

 private:
  ConvPass pass_;
  bool bias_;
  dnnl::primitive primitive_;
  Slot in_, in2_, out_;
  memory::desc b_, scratchpad_;
};

// The most recently used plans. A problem that oneDNN cannot do is remembered as a null plan.
class PlanTable {
 public:
  using Key = std::tuple<int, int, bool, int, std::array<int64_t, 20>>;
  std::shared_ptr<const ConvPlan> get(ConvPass pass, const ConvGeometry& g, DType dtype,
                                      bool bias) {
    const ConvWindow& a = g.window;
    const Key key{
        static_cast<int>(pass),
        static_cast<int>(dtype),
        bias,
        threads(),
        {a.stride_h, a.stride_w, a.top, a.bottom, a.left, a.right, a.dilation_h, a.dilation_w,
         a.groups, g.n, g.ci, g.h, g.w, g.co, g.kh, g.kw, g.oh, g.ow, g.channels_last}};
    const std::lock_guard lock(mutex_);
    if (const auto it = by_key_.find(key); it != by_key_.end()) {
      order_.splice(order_.begin(), order_, it->second);
      return it->second->second;
    }
    std::shared_ptr<const ConvPlan> plan;
    try {
      apply_threads_to_openmp();
      plan = std::make_shared<Plan>(pass, g, dtype, bias);
    } catch (const dnnl::error&) {
      // Not implemented for this problem: the null plan says so.
    }
    order_.emplace_front(key, plan);
    by_key_[key] = order_.begin();
    if (order_.size() > kCapacity) {
      by_key_.erase(order_.back().first);
      order_.pop_back();
    }
    return plan;
  }

 private:
  static constexpr size_t kCapacity = 512;
  std::mutex mutex_;
  std::list<std::pair<Key, std::shared_ptr<const ConvPlan>>> order_;
  std::map<Key, decltype(order_)::iterator> by_key_;
};

}  // namespace

std::shared_ptr<const ConvPlan> conv_plan(ConvPass pass, const ConvGeometry& geometry, DType dtype,
                                          bool bias, const char** reason) {
  *reason = nullptr;
  if (dtype == DType::bf16 && !cpu_has_bf16())
    *reason = "the processor has no bf16 multiplication";
  else if (dtype != DType::f32 && dtype != DType::bf16)
    *reason = "only f32 and bf16";
  else if (geometry.n == 0 || geometry.ci == 0 || geometry.co == 0)
    *reason = "empty";
  if (*reason) return nullptr;
  static PlanTable table;
  auto plan = table.get(pass, geometry, dtype, bias);
  if (!plan) *reason = "oneDNN does not implement this problem";
  return plan;
}

const char* version() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }();
  return text.c_str();
}

}  // namespace tenon::onednn

#else  // without oneDNN

namespace tenon::onednn {

std::shared_ptr<const ConvPlan> conv_plan(ConvPass, const ConvGeometry&, DType, bool,
                                          const char** reason) {
  *reason = "built without oneDNN";
  return nullptr;
}

const char* version() {
  return "";
}

}  // namespace tenon::onednn

#endif
