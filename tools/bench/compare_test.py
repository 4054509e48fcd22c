"""Tests of compare.py with made-up programs: python3 tools/bench/compare_test.py"""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

import compare

CONFIG = """{
  "preset": "x",
  "data": { "path": "http://a//b" },  // --data
  "train": { "batch": 64 },  // preset "x"
  "method": { "encoder_width": 8, "encoder_mults": [2,4], "code_dim": 8 },
  "model": { "resolution": 32, "channels": 1, "model_channels": 16, "channel_mult": [1,2],
             "num_blocks": 1, "attn_resolutions": [8], "dropout": 0.0,  // default
             "augment_labels": false }
}"""
TRAINER = f"CONFIG = {CONFIG!r}" + """
import json, pathlib, sys
if "--print-config" in sys.argv:
    print(CONFIG)
    sys.exit()
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
folder = pathlib.Path(arguments["--out"]) / "0001-made-up"
folder.mkdir(parents=True)
with open(folder / "metrics.jsonl", "w") as file:
    file.write(json.dumps({"v": 1, "kind": "header"}) + "\\n")
    for step in range(1, int(arguments["--steps"]) + 1):
        file.write(json.dumps({"kind": "train", "step": step, "step_ms": 100.0 + step,
                               "mem_peak_gib": 0.5}) + "\\n")
    file.write('{"kind": "tra')
"""
TORCH = """
import json
for step in (1, 2, 3):
    print(json.dumps({"kind": "train", "step": step, "step_ms": 200.0}))
print(json.dumps({"kind": "summary", "peak_mib": 1000.0, "gflop": 10.0, "peak_gflops": 100.0}))
"""


class CompareTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def script(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return f"{sys.executable} {path}"

    def run_main(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare.main(list(words))
        return code, out.getvalue(), err.getvalue()

    def test_rows_and_ratios(self):
        result = self.folder / "result.json"
        code, out, err = self.run_main(
            "--program", self.script("trainer.py", TRAINER), "--python",
            self.script("torch.py", TORCH), "--variants", "eager,compiled+retain", "--steps", "3",
            "--warmup", "1", "--allow-load", "--json", str(result))
        self.assertEqual(code, 0, err)
        rows = {r["side"]: r for r in json.loads(result.read_text())["rows"]}
        self.assertEqual(set(rows), {"tenon", "torch eager", "torch compiled+retain"})
        ours = rows["tenon"]
        self.assertEqual(ours["step_ms"], 102.5)  # of steps 2 and 3, twice
        self.assertEqual(ours["counted_mib"], 512)
        self.assertEqual(ours["time_ratio"], 102.5 / 200)
        self.assertAlmostEqual(ours["memory_ratio"], ours["peak_mib"] / 1000)
        self.assertAlmostEqual(rows["torch eager"]["peak_percent"], 50)
        self.assertIn("| tenon ", out)
        self.assertIn("round 2 of 2: tenon, f32", err)

    def test_a_failing_program_is_named(self):
        trainer = self.script("trainer.py", "import sys; print('no such preset'); sys.exit(2)")
        code, _, err = self.run_main("--program", trainer, "--python", "", "--allow-load")
        self.assertEqual(code, 2)
        self.assertIn("ended with 2", err)
        self.assertIn("no such preset", err)

    def test_the_model_of_the_configuration_is_passed_on(self):
        words = compare.shared_arguments(CONFIG)
        given = dict(zip(words[::2], words[1::2]))
        self.assertEqual(given["--augment-dim"], "0")
        self.assertEqual(given["--channel-mult"], "1,2")
        self.assertEqual(given["--batch"], "64")
        self.assertEqual(len(given), 12)

    def test_missing_metrics(self):
        with self.assertRaisesRegex(compare.BenchError, "no run folder"):
            compare.read_metrics(self.folder)
        (self.folder / "0001-x").mkdir()
        (self.folder / "0001-x" / "metrics.jsonl").write_text('{"kind": "header"}\n')
        with self.assertRaisesRegex(compare.BenchError, "no line of kind train"):
            compare.read_metrics(self.folder)

    def test_a_run_that_hangs_is_ended(self):
        trainer = self.script("trainer.py", "import time; time.sleep(60)")
        code, _, err = self.run_main("--program", trainer, "--python", "", "--allow-load",
                                     "--limit", "0.5")
        self.assertEqual(code, 2)
        self.assertIn("ended with -1", err)

    def test_load_counts_others_only(self):
        with compare.Load() as load:
            sum(i * i for i in range(3_000_000))
        self.assertGreaterEqual(load.percent, 0)
        self.assertLessEqual(load.percent, 100.0 + 50)  # ticks are coarse


if __name__ == "__main__":
    unittest.main()
