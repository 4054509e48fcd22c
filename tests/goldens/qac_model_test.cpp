// Reference cases of the QAC model: networks, encoder, training steps.
#include <cmath>
#include <set>

#include "autograd/engine.h"
#include "autograd/variable.h"
#include "models/qac/model.h"
#include "models/qac/schedules.h"
#include "ops/ops.h"
#include "tests/goldens/cases.h"
#include "trainers/loop/optimizer.h"

using namespace tenon;
using golden::Case;
using golden::value_or;

namespace {

qac::SongUNetConfig unet_config(const nlohmann::json& j, int64_t label_dim) {
  qac::SongUNetConfig c;
  c.img_resolution = j.at("img_resolution").get<int64_t>();
  c.model_channels = j.at("model_channels").get<int64_t>();
  c.channel_mult = j.at("channel_mult").get<std::vector<int64_t>>();
  c.num_blocks = j.at("num_blocks").get<int64_t>();
  c.attn_resolutions = j.at("attn_resolutions").get<std::vector<int64_t>>();
  c.augment_dim = value_or<int64_t>(j, "augment_dim", 0);
  c.dropout = value_or<double>(j, "dropout", 0);
  c.label_dim = value_or<int64_t>(j, "label_dim", label_dim);
  c.channel_mult_emb = value_or<int64_t>(j, "channel_mult_emb", 4);
  c.embedding_type = value_or<std::string>(j, "embedding_type", "positional");
  c.channel_mult_noise = value_or<int64_t>(j, "channel_mult_noise", 1);
  c.encoder_type = value_or<std::string>(j, "encoder_type", "standard");
  c.resample_filter = value_or<std::vector<double>>(j, "resample_filter", {1, 1});
  c.in_channels = value_or<int64_t>(j, "in_channels", 3);
  c.out_channels = value_or<int64_t>(j, "out_channels", 3);
  return c;
}

qac::EncoderConfig encoder_config(const nlohmann::json& j) {
  qac::EncoderConfig c;
  c.img_resolution = value_or<int64_t>(j, "img_resolution", 16);
  c.in_channels = value_or<int64_t>(j, "in_channels", 3);
  c.width = j.at("width").get<int64_t>();
  c.mults = j.at("mults").get<std::vector<int64_t>>();
  c.code_dim = j.at("code_dim").get<int64_t>();
  c.levels = value_or<int64_t>(j, "levels", 2);
  return c;
}

void want_gradients(const nn::Module& m) {
  for (const auto& [name, p] : m.named_parameters()) set_requires_grad(p->tensor());
}
Tensor wanting(const Tensor& t) {
  set_requires_grad(t);
  return t;
}

// Gradients that are zero by symmetry hold only rounding: they are compared on the scale of their
// tensor's other entries, and one that is zero throughout on an absolute scale.
void check_gradients(const Case& c, const nn::Module& m, double tolerance,
                     const std::string& prefix = "grad.") {
  for (const auto& [name, p] : m.named_parameters()) {
    if (!c.has(prefix + name)) continue;
    INFO(c.name() << " " << prefix + name);
    Tensor g = grad_of(p->tensor());
    const Tensor want = c.at(prefix + name);
    if (!g.defined()) g = Tensor::zeros(want.sizes());
    const Difference d = difference(g, want);
    INFO("largest error " << d.max_abs << " of " << d.max_ref << " at " << d.index);
    CHECK(d.max_abs <= tolerance * std::max(d.max_ref, 1e-3));
  }
}

struct DenoiserRoot : nn::Module {
  qac::SongUNet model;
  explicit DenoiserRoot(const qac::SongUNetConfig& c) : model(this, "model", c) {}
};

}  // namespace

TEST_CASE("goldens qac unet", "[goldens]") {
  golden::for_cases("qac", "unet_", [](const Case& c) {
    const Tensor labels = c.maybe("input.class_labels");
    DenoiserRoot root(unet_config(c.config(), labels.defined() ? labels.size(1) : 0));
    // The network may be stored under model.* or bare.
    const bool nested = !c.keys("param.model.").empty();
    const nn::Module& named = nested ? static_cast<const nn::Module&>(root) : root.model;
    c.load(named);
    want_gradients(root);
    const Tensor x = wanting(c.at("input.x")), sigma = c.at("input.sigma");
    const Tensor denoised =
        qac::denoise(root.model, x, sigma, labels, c.maybe("input.augment_labels"), {});
    c.close(denoised, "output.denoised", 1e-5);
    const Tensor y = c.at("input.y");
    const Tensor loss =
        affine(qac::edm_loss_sum(denoised, y, sigma), 1 / static_cast<double>(y.size(0)), 0);
    c.close(loss, "loss", 1e-5);
    backward(loss);
    check_gradients(c, named, 1e-4);
    if (c.has("grad_input.x")) c.close(grad_of(x), "grad_input.x", 1e-4);
  });
}

TEST_CASE("goldens qac ops", "[goldens]") {
  golden::for_cases("qac", "ops", [](const Case& c) {
    const nlohmann::json& config = c.config();
    for (const auto& [name, block] : config.at("blocks").items()) {
      qac::UNetBlockConfig b;
      b.in = block.at("cin").get<int64_t>();
      b.out = block.at("cout").get<int64_t>();
      b.emb = config.at("emb_channels").get<int64_t>();
      b.attention = value_or<bool>(block, "attn", false);
      b.resample = value_or<bool>(block, "down", false) ? qac::Resample::Down
                   : value_or<bool>(block, "up", false) ? qac::Resample::Up
                                                        : qac::Resample::None;
      b.taps = value_or<std::vector<double>>(block, "fir", {1, 1});
      nn::Module root;
      const qac::UNetBlock unet_block(&root, name, b);
      c.load(root);
      want_gradients(root);
      const Tensor x = wanting(c.at("input.x")), emb = wanting(c.at("input.emb"));
      const Tensor out = unet_block.forward(channels_last(x), emb, {});
      c.close(out, "output." + name, 1e-5);
      backward(out, channels_last(c.at("input." + name + ".upstream")));
      check_gradients(c, root, 1e-4);
      c.close(grad_of(x), "grad_input." + name + ".x", 1e-4);
      c.close(grad_of(emb), "grad_input." + name + ".emb", 1e-4);
    }
    const Tensor x = c.at("input.x");
    for (const auto& [suffix, taps] : std::vector<std::pair<std::string, std::vector<double>>>{
             {"11", {1, 1}}, {"1331", {1, 3, 3, 1}}}) {
      const auto pad = static_cast<int64_t>((taps.size() - 1) / 2);
      c.close(fir_resample(x, taps, 2, 1, pad), "output.fir_up_" + suffix, 1e-5);
      c.close(fir_resample(x, taps, 1, 2, pad), "output.fir_down_" + suffix, 1e-5);
    }
    if (c.has("output.fused_residual")) {
      const std::vector<std::string> weights = c.keys("param.fused_residual");
      const Tensor w = c.at("param.fused_residual.weight");
      nn::Module root;
      const qac::ResampleConv conv(&root, "fused_residual", w.size(1), w.size(0), w.size(2),
                                   qac::Resample::Down, {1, 3, 3, 1}, nn::init::zeros(), true);
      c.load(root);
      c.close(conv.forward(x), "output.fused_residual", 1e-5);
    }
    const Tensor embedded = c.at("output.emb_positional");
    c.close(qac::positional_embedding(c.at("input.noise_labels"), embedded.size(1)),
            "output.emb_positional", 1e-5);
  });
}

TEST_CASE("goldens qac quantizer", "[goldens]") {
  golden::for_cases("qac", "quantizer", [](const Case& c) {
    const auto dim = c.config().at("code_dim").get<int64_t>();
    for (const int64_t levels : c.config().at("levels").get<std::vector<int64_t>>()) {
      const std::string l = "_L" + std::to_string(levels);
      const Tensor h = wanting(c.at("input.h"));
      const Tensor q = quantize_tanh(h, static_cast<double>(levels));
      c.close(q, "output.q" + l, 1e-6);
      const std::vector<int64_t> index = qac::code_index(q.detach(), levels);
      CHECK(index == c.at("output.index" + l).to_vector<int64_t>());
      const auto vectors = qac::code_vectors(index, dim, levels);
      CHECK(difference(vectors, q.detach()).max_abs < 1e-6);
      backward(q, c.at("input.upstream"));
      c.close(grad_of(h), "grad_input.h" + l, 1e-5);
      const qac::CodeStatistics s = qac::code_statistics(index, dim, levels);
      CHECK(s.values == c.at("output.code_values" + l).to_vector<int64_t>());
      CHECK(s.counts == c.at("output.code_counts" + l).to_vector<int64_t>());
    }
  });
}

TEST_CASE("goldens qac encoder", "[goldens]") {
  golden::for_cases("qac", "encoder", [](const Case& c) {
    nn::Module root;
    qac::ConditionEncoder encoder(&root, "encoder", encoder_config(c.config()));
    const bool nested = !c.keys("param.encoder.").empty();
    const nn::Module& named = nested ? root : static_cast<const nn::Module&>(encoder);
    c.load(named);
    want_gradients(root);
    const Tensor y = c.at("input.y");
    const Tensor h = encoder.logits(y);
    c.close(h, "output.h", 1e-5);
    const Tensor q = encoder.quantise(h);
    c.close(q, "output.q", 1e-5);
    const int64_t levels = encoder.config().levels;
    CHECK(qac::code_index(q.detach(), levels) == c.at("output.index").to_vector<int64_t>());
    for (const auto& [name, p] : encoder.named())
      if (name.starts_with("running_")) c.close(p->tensor(), "output." + name, 1e-5);
    backward(q, c.at("input.upstream"));
    check_gradients(c, named, 1e-4);
    root.set_training(false);
    const NoGrad off;
    const Tensor h_eval = encoder.logits(y);
    c.close(h_eval, "output.h_eval", 1e-5);
    CHECK(qac::code_index(encoder.quantise(h_eval), levels) ==
          c.at("output.index_eval").to_vector<int64_t>());
  });
}

TEST_CASE("goldens qac training", "[goldens]") {
  golden::for_cases("qac", "qac_train", [](const Case& c) {
    const nlohmann::json& config = c.config();
    qac::ModelConfig mc;
    mc.unet = unet_config(config.at("unet"), 0);
    mc.encoder = encoder_config(config.at("encoder"));
    qac::Model model(mc);
    c.load(model);
    const nn::FlatParameters flat(model);
    loop::Optimizer optimizer(flat, {});
    const auto batch = config.at("batch").get<int64_t>();
    const auto steps = config.at("steps").get<int64_t>();
    const double lr = config.at("lr").get<double>();
    const std::vector<double> want = c.at("output.loss_lr_beta").to_vector<double>();
    for (int64_t step = 0; step < steps; ++step) {
      const std::string n = "_" + std::to_string(step);
      const Tensor y = affine(cast(c.at("input.images" + n), DType::f32), 1 / 127.5, -1);
      const Tensor sigma = qac::noise_levels(c.at("input.rnd_normal" + n));
      const Tensor noisy = add(y, mul(c.at("input.noise" + n), reshape(sigma, {batch, 1, 1, 1})));
      flat.begin_gradients();
      const Tensor q = model.encoder()->forward(y);
      const Tensor d = model.denoise(noisy, sigma, q, c.maybe("input.augment_labels" + n));
      const Tensor loss = affine(qac::edm_loss_sum(d, y, sigma), 1 / static_cast<double>(batch), 0);
      backward(loss);
      flat.finish_gradients();
      const auto nimg = static_cast<double>(step * batch);
      const double step_lr =
          qac::ramped_lr(lr, nimg, config.at("lr_rampup_kimg").get<double>() * 1000);
      const double beta = qac::ema_beta(static_cast<double>(batch), nimg,
                                        config.at("ema_halflife_kimg").get<double>() * 1000,
                                        config.at("ema_rampup_ratio").get<double>());
      const double* row = want.data() + step * 3;
      INFO("step " << step << " loss " << loss.item() << " wanted " << row[0]);
      CHECK(std::abs(loss.item() - row[0]) <= 1e-5 * std::abs(row[0]));
      CHECK(std::abs(step_lr - row[1]) <= 1e-5 * lr);
      CHECK(std::abs(beta - row[2]) <= 1e-5);
      if (step == 0) check_gradients(c, model, 1e-4);
      optimizer.step(step_lr, beta);
    }
    for (const auto& e : flat.entries())
      for (const char* kind : {"output.param.", "output.ema."}) {
        if (!c.has(kind + e.name)) continue;
        INFO(kind << e.name);
        const Tensor& buffer = std::string(kind) == "output.ema." ? optimizer.ema() : flat.values();
        const auto got = flat.view(buffer, e).to_vector<double>();
        const auto expect = c.at(kind + e.name).to_vector<double>();
        for (size_t i = 0; i < got.size(); ++i) {
          // The key part of an attention bias has no gradient: Adam turns rounding into steps
          // there.
          const bool free = e.name.ends_with("qkv.bias") && i % 3 == 1;
          if (std::abs(got[i] - expect[i]) > (free ? 2 * lr : 2e-6))
            FAIL_CHECK("element " << i << ": " << got[i] << ", wanted " << expect[i]);
        }
      }
  });
}
