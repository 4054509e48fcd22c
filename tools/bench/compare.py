#!/usr/bin/env python3
"""Compares a training step here and in PyTorch: the two run in turns (A B A B ...) on the same
threads, and a table and a JSON file say how long a step took and how much memory it needed.

  tools/bench/compare.py --program build/release/bin/tenon-train-qac --python venv/bin/python
  tools/bench/compare.py --preset fashion-tiny --precision f32,bf16 --variants eager,compiled

PyTorch is no dependency: `python3 -m venv venv && venv/bin/pip install torch`. This script needs
Python 3.8 and nothing else. Numbers from a busy machine are no numbers: the script refuses to start
when other processes use more than --max-foreign percent of the processors, and marks a row and
exits with 3 when they did during a run (--allow-load: only mark). docs/benchmarking.md explains the
columns.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
PASSIVE = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
# Freed memory stays in the process, so that PyTorch faults its pages in only once.
RETAIN = {"MALLOC_MMAP_THRESHOLD_": str(1 << 40), "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
          "MALLOC_TOP_PAD_": str(64 << 20)}


class BenchError(Exception):
    pass


# ---- the machine ----

def busy_seconds():
    """CPU seconds that all processes together used since the start, including what a hypervisor
    gave to others."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK


def own_seconds():
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


class Load:
    """Share of all processors that other processes used while the block ran, in percent."""

    def __enter__(self):
        self.begin = (time.monotonic(), busy_seconds(), own_seconds())
        return self

    def __exit__(self, *_):
        wall, busy, own = (b - a for a, b in zip(
            self.begin, (time.monotonic(), busy_seconds(), own_seconds())))
        self.percent = max(0.0, 100 * (busy - own) / max(wall * os.cpu_count(), 1e-9))
        self.average = os.getloadavg()[0]


def host():
    model, flags = platform.processor() or platform.machine(), set()
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 2 ** 20
    isa = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return {"cpu": model, "cpus": os.cpu_count(), "usable_cpus": len(os.sched_getaffinity(0)),
            "instructions": isa, "memory_gib": round(memory, 1), "system": platform.platform()}


# ---- running the two sides ----

def run(command, environment, log, limit):
    """Runs a command with its output in the file `log` -> (peak MiB, Load)."""
    with open(log, "w") as output, Load() as load:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                   env={**os.environ, **environment})
        deadline, usage = time.monotonic() + limit, None
        while usage is None:
            pid, status, usage_now = os.wait4(process.pid, os.WNOHANG)
            if pid:
                usage = usage_now
            elif time.monotonic() > deadline:
                process.kill()
                deadline = float("inf")
            else:
                time.sleep(0.05)
        code = process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    if code != 0:
        with open(log) as file:
            tail = "".join(file.readlines()[-8:])
        raise BenchError(f"'{shlex.join(command)}' ended with {code}:\n{tail}")
    return usage.ru_maxrss / 1024, load


def json_lines(path):
    with open(path) as file:
        for line in file:
            if line.startswith("{"):
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # the line that was being written when the program ended


def read_metrics(out):
    """The newest run folder below `out` -> ([ms of each step], peak GiB as the program counts)."""
    files = sorted(pathlib.Path(out).glob("[0-9]*/metrics.jsonl"))
    if not files:
        raise BenchError(f"{out} holds no run folder with metrics.jsonl")
    steps, peak = {}, None
    for record in json_lines(files[-1]):
        if record.get("kind") == "train" and isinstance(record.get("step_ms"), (int, float)):
            steps[record["step"]] = record["step_ms"]
            peak = max(peak or 0, record.get("mem_peak_gib") or 0)
    if not steps:
        raise BenchError(f"{files[-1]} holds no line of kind train with step_ms")
    return [steps[k] for k in sorted(steps)], peak


def program_command(a):
    return shlex.split(a.program) + ["--preset", a.preset, "--data", a.data, "--sample-every",
                                     "never", "--save-every", "never", *shlex.split(a.program_args)]


# Keys of our configuration, and the arguments of torch_side/train_step.py that mean the same.
SHARED = {("model", key): key for key in ("resolution", "channels", "model_channels", "channel_mult",
                                          "num_blocks", "attn_resolutions", "dropout")}
SHARED.update({("train", "batch"): "batch", ("method", "encoder_width"): "encoder_width",
               ("method", "encoder_mults"): "encoder_mults", ("method", "code_dim"): "code_dim"})


def shared_arguments(printed):
    """What --print-config printed (JSON with comments) -> arguments, so that both sides train the
    same model whatever the preset says."""
    config = json.loads(re.sub(r'("(?:[^"\\]|\\.)*")|//.*', lambda m: m.group(1) or "", printed))
    words = ["--augment-dim", "9" if config["model"]["augment_labels"] else "0"]
    for (section, key), name in SHARED.items():
        value = config[section][key]
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += ["--" + name.replace("_", "-"), text]
    return words


def program_config(a, folder):
    log = folder / "config.txt"
    run(program_command(a) + ["--print-config"], {}, log, min(60, a.limit))
    return shared_arguments(log.read_text())


def run_program(a, precision, folder):
    command = program_command(a) + ["--steps", str(a.steps), "--log-every", "1", "--out",
                                    str(folder), "--precision", precision, "--threads",
                                    str(a.threads)]
    peak, load = run(command, PASSIVE if a.passive else {}, f"{folder}.txt", a.limit)
    steps, counted = read_metrics(folder)
    return {"steps": steps[a.warmup:] or steps, "peak_mib": peak, "load": load,
            "counted_mib": counted * 1024 if counted else None}


def run_torch(a, precision, variant, folder, shared):
    mode, *extras = variant.split("+")
    command = shlex.split(a.python) + [str(HERE / "torch_side" / "train_step.py"), "--precision",
                                       precision, "--mode", mode,
                                       "--steps", str(a.steps), "--warmup", str(a.warmup),
                                       "--threads", str(a.threads)]
    if "contiguous" in extras:
        command += ["--layout", "contiguous"]
    command += shared + shlex.split(a.torch_args)
    environment = {"OMP_NUM_THREADS": str(a.threads), "PYTHONDONTWRITEBYTECODE": "1",
                   **(PASSIVE if a.passive else {}), **(RETAIN if "retain" in extras else {})}
    log = f"{folder}.txt"
    _, load = run(command, environment, log, a.limit)
    records = list(json_lines(log))
    steps = [r["step_ms"] for r in records if r["kind"] == "train"]
    summary = next(r for r in records if r["kind"] == "summary")
    return {"steps": steps[a.warmup:] or steps, "peak_mib": summary["peak_mib"], "load": load,
            "summary": summary}


# ---- the result ----

def merged(runs, name, precision):
    """One row from the runs of one side."""
    steps = sorted(s for r in runs for s in r["steps"])
    row = {"side": name, "precision": precision, "runs": len(runs), "steps": len(steps),
           "step_ms": statistics.median(steps), "step_ms_min": steps[0], "step_ms_max": steps[-1],
           "peak_mib": max(r["peak_mib"] for r in runs),
           "foreign_percent": max(r["load"].percent for r in runs),
           "load_average": max(r["load"].average for r in runs)}
    counted = [r["counted_mib"] for r in runs if r.get("counted_mib")]
    if counted:
        row["counted_mib"] = max(counted)
    if "summary" in runs[0]:
        row["summary"] = runs[0]["summary"]
    return row


def finish(rows):
    """Adds ratios to the fastest PyTorch row of the same precision, and shares of the peak."""
    for precision in {r["precision"] for r in rows}:
        group = [r for r in rows if r["precision"] == precision]
        torch_rows = [r for r in group if r["side"].startswith("torch")]
        if not torch_rows:
            continue
        best = min(torch_rows, key=lambda r: r["step_ms"])
        leanest = min(r["peak_mib"] for r in torch_rows)
        gflop = best["summary"]["gflop"]
        machine = max(r["summary"].get("peak_gflops", 0) for r in torch_rows)
        for row in group:
            row["gflop_s"] = gflop / row["step_ms"] * 1e3
            if machine:
                row["peak_percent"] = 100 * row["gflop_s"] / machine
            if row["side"] == "tenon":
                row["time_ratio"] = row["step_ms"] / best["step_ms"]
                row["memory_ratio"] = row["peak_mib"] / best["peak_mib"]
                row["memory_ratio_to_leanest"] = row["peak_mib"] / leanest


def table(rows, limit):
    head = ("side", "precision", "step ms", "min..max", "time ratio", "peak MiB", "memory ratio",
            "GFLOP/s", "of peak", "foreign", "load")
    lines = [head, tuple("---" for _ in head)]

    def number(row, key, form, unit=""):
        return form.format(row[key]) + unit if key in row else ""
    for row in rows:
        mark = " LOADED" if row["foreign_percent"] > limit else ""
        lines.append((
            row["side"], row["precision"], f"{row['step_ms']:.1f}",
            f"{row['step_ms_min']:.1f}..{row['step_ms_max']:.1f}",
            number(row, "time_ratio", "{:.3f}"), f"{row['peak_mib']:.0f}",
            number(row, "memory_ratio", "{:.3f}"), number(row, "gflop_s", "{:.1f}"),
            number(row, "peak_percent", "{:.0f}", " %"), f"{row['foreign_percent']:.1f} %{mark}",
            f"{row['load_average']:.2f}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |"
                     for line in lines)


def words(text):
    return [part for part in text.split(",") if part]


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/release/bin/tenon-train-qac", metavar="COMMAND",
                   help="our trainer; '' leaves it out (default: %(default)s)")
    p.add_argument("--program-args", default="", help="further arguments for it")
    p.add_argument("--python", default="python3", metavar="COMMAND",
                   help="a Python with torch; '' leaves PyTorch out")
    p.add_argument("--torch-args", default="", help="further arguments for torch_side/train_step.py")
    p.add_argument("--preset", default="bench-mc64")
    p.add_argument("--data", default="generated:512", help="for our trainer")
    p.add_argument("--precision", type=words, default=["f32"], metavar="P,...")
    p.add_argument("--variants", type=words, default=["eager", "eager+retain", "compiled"],
                   metavar="V,...", help="of PyTorch: eager or compiled, each with +contiguous,"
                   " +retain (freed memory is kept) (default: eager,eager+retain,compiled)")
    p.add_argument("--steps", type=int, default=12)
    p.add_argument("--warmup", type=int, default=2, help="first steps of a run left out")
    p.add_argument("--rounds", type=int, default=2, help="runs of each side")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--passive", action="store_true",
                   help="waiting threads sleep, on both sides (for machines that are not quiet)")
    p.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="for one run")
    p.add_argument("--max-foreign", type=float, default=5, metavar="PERCENT")
    p.add_argument("--allow-load", action="store_true", help="time on a busy machine all the same")
    p.add_argument("--json", metavar="FILE", help="write the result there, too")
    return p.parse_args(argv)


def compare(a):
    with Load() as before:
        time.sleep(1)
    if before.percent > a.max_foreign and not a.allow_load:
        raise BenchError(f"other processes use {before.percent:.0f} % of the processors (load"
                         f" {before.average:.1f}); wait, or add --allow-load --passive")
    sides = ([("tenon", None)] if a.program else []) + [
        ("torch " + v, v) for v in (a.variants if a.python else [])]
    if not sides:
        raise BenchError("--program and --python are both empty: nothing to run")
    rows = []
    with tempfile.TemporaryDirectory(prefix="tenon-bench-") as folder:
        shared = (program_config(a, pathlib.Path(folder)) if a.program
                  else ["--preset", a.preset])
        for precision in a.precision:
            runs = {name: [] for name, _ in sides}
            for i in range(a.rounds):
                for name, variant in sides:
                    print(f"round {i + 1} of {a.rounds}: {name}, {precision}", file=sys.stderr)
                    out = pathlib.Path(folder) / f"{precision}-{i}-{name.replace(' ', '-')}"
                    runs[name].append(run_program(a, precision, out) if variant is None
                                      else run_torch(a, precision, variant, out, shared))
            rows += [merged(runs[name], name, precision) for name, _ in sides]
    finish(rows)
    return rows


def main(argv=None):
    a = arguments(argv)
    try:
        rows = compare(a)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    machine = host()
    print(f"{machine['cpu']}, {machine['usable_cpus']} of {machine['cpus']} processors"
          f" ({' '.join(machine['instructions'])}), {machine['memory_gib']} GiB;"
          f" {a.threads} threads, {'passive' if a.passive else 'default'} waiting;"
          f" preset {a.preset}, {a.steps} steps x {a.rounds} runs\n")
    print(table(rows, a.max_foreign))
    if a.json:
        with open(a.json, "w") as file:
            json.dump({"host": machine, "threads": a.threads, "passive": a.passive,
                       "preset": a.preset, "rows": rows}, file, indent=1)
    if any(r["foreign_percent"] > a.max_foreign for r in rows):
        print(f"\nWARNING: other processes used more than {a.max_foreign:g} % of the processors"
              " during a run: these times compare nothing", file=sys.stderr)
        return 0 if a.allow_load else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
