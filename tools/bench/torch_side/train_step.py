"""Times training steps in PyTorch: JSON lines {"kind": "train", "step", "step_ms", "loss"} and one
{"kind": "summary"} at the end.

  python train_step.py --preset bench-mc64 --steps 12
  python train_step.py --preset fashion-tiny --mode compiled --precision bf16

Memory is the peak of resident memory less what was resident after `import torch`. The process sets
no environment: OMP_NUM_THREADS, OMP_WAIT_POLICY and the like are the caller's.
"""
import argparse
import json
import statistics
import time

import torch

import host

RESIDENT_AFTER_IMPORT = host.resident_mib()

import edm_unet  # noqa: E402  (what it takes is counted)
from training import Trainer  # noqa: E402

PRESETS = {
    "bench-mc64": dict(resolution=32, channels=3, model_channels=64, channel_mult=[2, 2, 2],
                       num_blocks=4, attn_resolutions=[16], dropout=0.13, batch=16,
                       encoder_width=48, encoder_mults=[2, 4, 4], code_dim=10, augment_dim=9),
    "fashion-tiny": dict(resolution=32, channels=1, model_channels=16, channel_mult=[1, 2, 4],
                         num_blocks=1, attn_resolutions=[8], dropout=0.0, batch=64,
                         encoder_width=8, encoder_mults=[2, 4, 4], code_dim=8, augment_dim=0),
}


def ints(text):
    return [int(part) for part in text.split(",") if part]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="bench-mc64")
    for name, value in PRESETS["bench-mc64"].items():
        kind = ints if isinstance(value, list) else type(value)
        parser.add_argument("--" + name.replace("_", "-"), type=kind, help="instead of the preset's")
    parser.add_argument("--images", type=int, default=512, help="random images to draw from")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=2, help="first steps left out of the median")
    parser.add_argument("--threads", type=int, default=0, help="0 = PyTorch's choice")
    parser.add_argument("--mode", choices=("eager", "compiled"), default="eager")
    parser.add_argument("--layout", choices=("channels-last", "contiguous"),
                        default="channels-last")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--profile", action="store_true", help="print where one step's time goes")
    parser.add_argument("--no-peak", action="store_true", help="do not measure the machine's peak")
    a = parser.parse_args()
    for name, value in PRESETS[a.preset].items():
        if getattr(a, name) is None:
            setattr(a, name, value)
    return a


def build(a):
    unet = {k: getattr(a, k) for k in ("resolution", "channels", "model_channels", "channel_mult",
                                       "num_blocks", "attn_resolutions", "dropout", "augment_dim")}
    encoder = {"width": a.encoder_width, "mults": a.encoder_mults, "code_dim": a.code_dim}
    model = edm_unet.Qac(unet, encoder, torch.bfloat16 if a.precision == "bf16" else None)
    if a.layout == "channels-last":
        model = model.to(memory_format=torch.channels_last)
    return model


def batches(a):
    """(images in [-1, 1], ln sigma, noise, augment labels), new every step."""
    shape = (a.images, a.channels, a.resolution, a.resolution)
    order = torch.channels_last if a.layout == "channels-last" else torch.contiguous_format
    images = torch.randint(0, 256, shape, dtype=torch.uint8).contiguous(memory_format=order)
    augment = torch.zeros(a.batch, a.augment_dim) if a.augment_dim else None
    while True:
        y = images[torch.randint(0, a.images, (a.batch,))].float() / 127.5 - 1
        y = y.contiguous(memory_format=order)
        yield y, -1.2 + 1.2 * torch.randn(a.batch), torch.randn_like(y), augment


def flops_of_step(model, inputs):
    from torch.utils.flop_counter import FlopCounterMode
    with FlopCounterMode(display=False) as counter:
        model(*inputs).backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops()


def peak_gflops(precision):
    """The best rate of a matrix product of 2048 and of a 3x3 convolution of 256 channels."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.randn(2048, 2048, dtype=dtype)
    x = torch.randn(16, 256, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    cases = ((lambda: a @ a, 2 * 2048 ** 3),
             (lambda: torch.nn.functional.conv2d(x, w, padding=1), 2 * 16 * 32 * 32 * 256 * 256 * 9))
    best = 0.0
    for run, flops in cases:
        run()
        for _ in range(5):
            start = time.perf_counter()
            run()
            best = max(best, flops / (time.perf_counter() - start) / 1e9)
    return best


def main():
    a = arguments()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    model = build(a)
    data = batches(a)
    loss = torch.compile(model) if a.mode == "compiled" else model
    trainer = Trainer(model, loss, a.batch, ramp=10e6, halflife=0.5e6)

    steps, steady = [], False
    for i in range(a.steps):
        if i == a.warmup:
            steady = host.reset_peak()
        start = time.perf_counter()
        value, _, _ = trainer.step(*next(data))
        steps.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"kind": "train", "step": i + 1, "step_ms": round(steps[-1], 2),
                          "loss": value}), flush=True)
    peak = host.peak_mib()

    timed = steps[a.warmup:] or steps
    flops = flops_of_step(model, next(data))
    median = statistics.median(timed)
    summary = {
        "kind": "summary", "model": {k: getattr(a, k) for k in PRESETS[a.preset]},
        "mode": a.mode, "layout": a.layout, "precision": a.precision, "threads": torch.get_num_threads(),
        "torch": torch.__version__, "parameters": sum(p.numel() for p in model.parameters()),
        "step_ms": median, "step_ms_min": min(timed), "first_step_ms": steps[0],
        "import_mib": RESIDENT_AFTER_IMPORT, "peak_mib": peak - RESIDENT_AFTER_IMPORT,
        "peak_after_warmup_only": steady, "gflop": flops / 1e9,
        "gflops": flops / median / 1e6,
    }
    if not a.no_peak:
        summary["peak_gflops"] = peak_gflops(a.precision)
    print(json.dumps(summary), flush=True)
    if a.profile:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            trainer.step(*next(data))
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))


if __name__ == "__main__":
    main()
