"""Checks the PyTorch side against reference files, so that what is timed is the same computation.

  python verify.py FOLDER    FOLDER holds unet_ddpmpp, encoder and qac_train.safetensors
"""
import json
import pathlib
import sys

import torch

from edm_unet import ConditionEncoder, Qac, SongUNet, denoise, denoising_loss
from safetensors import read
from training import Trainer

FAILED = []


def compare(what, got, want, tolerance, absolute=False):
    scale = 1.0 if absolute else max(float(want.abs().max()), 1e-30)
    error = float((got.detach().double() - want.double()).abs().max()) / scale
    if not error <= tolerance:
        FAILED.append(what)
        print(f"FAILED {what}: error {error:.2e}, allowed {tolerance:.0e}")
    return error


def unet_options(config):
    options = {k: config[k] for k in ("model_channels", "channel_mult", "num_blocks",
                                      "attn_resolutions", "dropout", "augment_dim")}
    return {"resolution": config["img_resolution"], "channels": 3, **options}


def section(tensors, prefix):
    return {k[len(prefix):]: v for k, v in tensors.items() if k.startswith(prefix)}


def load(module, tensors, drop=""):
    state = {k[len(drop):]: v for k, v in tensors.items()
             if k.startswith(drop) and "resample_filter" not in k}
    module.load_state_dict(state)
    return module.to(memory_format=torch.channels_last)


def gradients(module, want, prefix=""):
    worst = 0.0
    for name, p in module.named_parameters():
        worst = max(worst, compare("grad " + name, p.grad, want[prefix + name], 1e-4,
                                   absolute=float(want[prefix + name].abs().max()) < 1e-6))
    return worst


def check_unet(path):
    t, meta = read(path)
    config = json.loads(meta["config"])
    net = SongUNet(label_dim=config["label_dim"], **unet_options(config))
    load(net, section(t, "param."), "model.")
    sigma = t["input.sigma"]
    d = denoise(net, t["input.x"], sigma, t["input.class_labels"], t["input.augment_labels"])
    loss = denoising_loss(d, t["input.y"], sigma)
    loss.backward()
    print(f"unet: D {compare('D', d, t['output.denoised'], 1e-5):.1e},"
          f" loss {compare('loss', loss, t['loss'], 1e-5):.1e},"
          f" gradients {gradients(net, section(t, 'grad.'), 'model.'):.1e}")


def check_encoder(path):
    t, meta = read(path)
    config = json.loads(meta["config"])
    encoder = ConditionEncoder(config["img_resolution"], 3, config["width"], config["mults"],
                               config["code_dim"], config["levels"])
    load(encoder, section(t, "param."))
    q = encoder(t["input.y"])
    (q * t["input.upstream"]).sum().backward()
    q_error = compare("q", q, t["output.q"], 1e-6)
    compare("running_var", encoder.running_var, t["output.running_var"], 1e-5)
    print(f"encoder: q {q_error:.1e}, gradients {gradients(encoder, section(t, 'grad.')):.1e}")


def check_training(path):
    t, meta = read(path)
    config = json.loads(meta["config"])
    model = Qac(unet_options(config["unet"]), config["encoder"])
    load(model, section(t, "param."))
    batch = config["batch"]
    trainer = Trainer(model, model, batch, 1e3 * config["lr_rampup_kimg"],
                      1e3 * config["ema_halflife_kimg"])
    for i in range(config["steps"]):
        y = t[f"input.images_{i}"].float() / 127.5 - 1
        got = trainer.step(y, -1.2 + 1.2 * t[f"input.rnd_normal_{i}"], t[f"input.noise_{i}"],
                           t[f"input.augment_labels_{i}"])
        compare(f"loss, lr, beta of step {i}", torch.tensor(got), t["output.loss_lr_beta"][i], 1e-5)
    worst = 0.0
    for (name, p), average in zip(model.named_parameters(), trainer.average):
        for kind, value in (("param", p.detach()), ("ema", average)):
            error = (value - t[f"output.{kind}.{name}"]).abs()
            if name.endswith("qkv.bias"):
                error[1::3] = 0  # the true gradient is zero, Adam makes steps of rounding noise
            worst = max(worst, compare(f"{kind} {name}", error, torch.zeros_like(error), 2e-6, True))
    print(f"training: parameters and averages after {config['steps']} steps {worst:.1e}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    check_unet(folder / "unet_ddpmpp.safetensors")
    check_encoder(folder / "encoder.safetensors")
    check_training(folder / "qac_train.safetensors")
    if FAILED:
        sys.exit(f"{len(FAILED)} comparisons failed")
    print("all agree")


if __name__ == "__main__":
    main()
