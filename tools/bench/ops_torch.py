"""Times PyTorch's ops under the names and shapes of tenon-bench-ops (docs/benchmarking.md).

  python tools/bench/ops_torch.py --threads 2 --json torch.json
  python tools/bench/ops_torch.py --filter conv2d,matmul --dtype f32,bf16 --mode fwd
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Case:
    """make(dtype) -> leaf tensors; forward(*leaves) -> output. `elements` and `flops` are what one
    call must read and write, and compute: (forward, backward); backward 0 = forward only."""

    def __init__(self, op, shape, make, forward, elements, flops=(0, 0)):
        self.op, self.shape = op, shape
        self.make, self.forward, self.elements, self.flops = make, forward, elements, flops

    def run(self, dtype, backward):
        leaves = self.make(dtype)
        if not backward:
            def forward():
                with torch.no_grad():
                    self.forward(*leaves)
            return forward
        wanted = [t.requires_grad_() for t in leaves if t.is_floating_point()]
        out = self.forward(*wanted, *leaves[len(wanted):])
        upstream = torch.randn_like(out)
        return lambda: torch.autograd.grad(out, wanted, upstream, retain_graph=True)


class AdamCase:
    """One fused step on n parameters in 10 tensors: reads w, g, m, v and writes w, m, v."""

    op, flops = "adam", (0, 0)

    def __init__(self, n):
        self.shape, self.n, self.elements = str(n), n, (7 * n, 0)

    def run(self, dtype, backward):
        del dtype, backward
        params = [torch.randn(self.n // 10).requires_grad_() for _ in range(10)]
        for p in params:
            p.grad = torch.randn_like(p)
        return torch.optim.Adam(params, lr=1e-3, fused=True).step


def name(*sizes):
    return "x".join(str(s) for s in sizes)


def floats(*sizes):
    return lambda dtype: [torch.randn(sizes).to(dtype)]


def pointwise(op, function, n):
    return Case(op, str(n), floats(n), function, (2 * n, 3 * n))


def addition(n):
    return Case("add", str(n), lambda dtype: [torch.randn(n).to(dtype) for _ in range(2)],
                torch.add, (3 * n, 0))


def rows(op, function, n, columns):
    size = n * columns
    return Case(op, name(n, columns), floats(n, columns), function, (2 * size, 3 * size))


def layer_norm(n, columns):
    def make(dtype):
        return [torch.randn(n, columns).to(dtype), torch.ones(columns).to(dtype),
                torch.zeros(columns).to(dtype)]
    size = n * columns
    return Case("layer_norm", name(n, columns), make,
                lambda x, w, b: F.layer_norm(x, (columns,), w, b), (2 * size, 3 * size))


def norm_silu(n, c, side, last):
    def make(dtype):
        x = torch.randn(n, c, side, side).to(dtype)
        x = x.contiguous(memory_format=torch.channels_last) if last else x
        return [x, torch.ones(c), torch.zeros(c)]
    size = n * c * side * side
    return Case("group_norm_silu", name(n, c, side, side) + ("/nhwc" if last else "/nchw"), make,
                lambda x, w, b: F.silu(F.group_norm(x, 32, w, b, 1e-6)), (2 * size, 3 * size))


def product(m, k, n):
    return Case("matmul", name(m, k, n),
                lambda dtype: [torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)],
                torch.matmul, (m * k + k * n + m * n, 2 * (m * k + k * n) + m * n),
                (2 * m * k * n, 4 * m * k * n))


def convolution(n, cin, side, cout, kernel):
    def make(dtype):
        last = torch.channels_last
        return [torch.randn(n, cin, side, side).to(dtype).contiguous(memory_format=last),
                (0.1 * torch.randn(cout, cin, kernel, kernel)).to(dtype).contiguous(memory_format=last),
                torch.randn(cout).to(dtype)]
    pixels, weights = n * side * side, cin * cout * kernel * kernel
    in_out, flops = pixels * (cin + cout), 2 * pixels * weights
    return Case("conv2d", f"{name(n, cin, side, side)}/{cout}k{kernel}", make,
                lambda x, w, b: F.conv2d(x, w, b, padding=kernel // 2),
                (in_out + weights, in_out + pixels * cin + 2 * weights), (flops, 2 * flops))


def attention(n, heads, length, dim):
    size, flops = n * heads * length * dim, 4 * n * heads * length * length * dim
    return Case("attention", name(n, heads, length, dim),
                lambda dtype: [torch.randn(n, heads, length, dim).to(dtype) for _ in range(3)],
                F.scaled_dot_product_attention, (4 * size, 8 * size), (flops, 2.5 * flops))


def cross_entropy(n, classes):
    return Case("cross_entropy", name(n, classes),
                lambda dtype: [torch.randn(n, classes).to(dtype), torch.randint(classes, (n,))],
                F.cross_entropy, (n * classes, 2 * n * classes))


def all_cases():
    large = 1 << 23
    return [
        pointwise("silu", F.silu, large), pointwise("gelu", F.gelu, large),
        pointwise("exp", torch.exp, large), pointwise("silu", F.silu, 1),
        addition(large), addition(1),
        rows("softmax", lambda x: F.softmax(x, -1), 4096, 1024), layer_norm(4096, 1024),
        norm_silu(16, 128, 32, True), norm_silu(16, 128, 32, False), norm_silu(16, 256, 16, True),
        product(512, 512, 512), product(2048, 2048, 2048), product(4096, 256, 1024),
        convolution(16, 128, 32, 128, 3), convolution(16, 256, 32, 128, 3),
        convolution(16, 128, 16, 128, 3), convolution(16, 128, 8, 128, 3),
        convolution(16, 3, 32, 64, 3), convolution(16, 256, 32, 128, 1),
        attention(16, 1, 256, 64), attention(16, 1, 256, 128), attention(4, 1, 1024, 64),
        attention(4, 1, 1024, 128), cross_entropy(4096, 32000), AdamCase(10_000_000),
    ]


def measure(run, min_time):
    """-> (runs, sorted seconds of samples of at least 100 us each)"""
    start, once = time.perf_counter(), 0.0
    while time.perf_counter() - start < min_time / 5:
        begin = time.perf_counter()
        run()
        once = time.perf_counter() - begin
    inner = max(1, int(1e-4 / max(once, 1e-9)))
    samples, start = [], time.perf_counter()
    while len(samples) < 5 or time.perf_counter() - start < min_time:
        begin = time.perf_counter()
        for _ in range(inner):
            run()
        samples.append((time.perf_counter() - begin) / inner)
    return len(samples) * inner, sorted(samples)


def copy_bandwidth(min_time):
    source, target = torch.zeros(1 << 24), torch.zeros(1 << 24)
    _, samples = measure(lambda: target.copy_(source), min_time)
    return 2 * 4 * (1 << 24) / statistics.median(samples)


def row_of(case, dtype, mode, bandwidth, min_time):
    backward = mode == "bwd"
    n, samples = measure(case.run(DTYPES[dtype], backward), min_time)
    median = statistics.median(samples)
    size = case.elements[backward] * (4 if dtype == "f32" else 2)
    return {"op": case.op, "shape": case.shape, "dtype": dtype, "mode": mode, "impl": "torch",
            "n": n, "median_us": median * 1e6, "p20_us": samples[int(0.2 * len(samples))] * 1e6,
            "p80_us": samples[int(0.8 * (len(samples) - 1))] * 1e6, "gb_s": size / median / 1e9,
            "copy_percent": 100 * size / median / bandwidth,
            "gflop_s": case.flops[backward] / median / 1e9, "ok": True}


def words(text):
    return [part for part in text.split(",") if part]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", type=words, default=[], metavar="TEXT,...")
    parser.add_argument("--dtype", type=words, default=["f32"], metavar="TYPE,...")
    parser.add_argument("--mode", type=words, default=["fwd", "bwd"], metavar="MODE,...")
    parser.add_argument("--min-time", type=float, default=0.3, metavar="SECONDS")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--list", action="store_true")
    a = parser.parse_args()
    for text, known in [(t, DTYPES) for t in a.dtype] + [(m, ("fwd", "bwd")) for m in a.mode]:
        if text not in known:
            parser.error(f"'{text}' is not one of {', '.join(known)}")
    cases = [c for c in all_cases()
             if not a.filter or any(f in f"{c.op} {c.shape}" for f in a.filter)]
    if a.list:
        for case in cases:
            print(case.op, case.shape)
        return
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    bandwidth = copy_bandwidth(a.min_time)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads,"
          f" copy {bandwidth / 1e9:.1f} GB/s")
    rows_out = []
    for case in cases:
        for dtype in a.dtype:
            for mode in a.mode:
                if (mode == "bwd" and not case.elements[1]) or (case.op == "adam" and dtype != "f32"):
                    continue
                row = row_of(case, dtype, mode, bandwidth, a.min_time)
                rows_out.append(row)
                print(f"{row['op']:<16} | {row['shape']:<22} | {dtype:<4} | {mode} |"
                      f" {row['n']:>6} | {row['median_us']:>10.1f} us |"
                      f" {row['gb_s']:>6.1f} GB/s | {row['copy_percent']:>4.0f} % |"
                      f" {row['gflop_s']:>6.1f} GFLOP/s", flush=True)
    if a.json:
        with open(a.json, "w") as file:
            json.dump({"program": "torch " + torch.__version__, "threads": torch.get_num_threads(),
                       "copy_gb_s": bandwidth / 1e9, "rows": rows_out}, file, indent=1)


if __name__ == "__main__":
    main()
