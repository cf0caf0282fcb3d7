#!/usr/bin/env python3
"""Holds mnn against ONNX Runtime on random graphs.

  fuzz_graphs.py [--seed N] [--count N] [--jobs N] [--keep DIR] [--only FAMILY,…] [--bin build/release/bin]

Each graph is valid for ONNX Runtime and goes through `mnn run`, `mnn convert` and `mnn run`, `mnn convert --no-fuse`, and
where it has float inputs and a matrix product through `mnn quant` and `mnn compare`. Wrong numbers, types or shapes,
signals and exit codes other than 0 are faults, exit code 5 (unsupported) is counted apart. What ONNX Runtime itself
changes when inputs and weights move by a rounding error is no fault. The same seed gives the same graphs. --keep
makes failing cases small and writes each to a folder: model.onnx, input_<i>.npy, output_<i>.npy (ONNX Runtime's) and
fault.txt. Exit code 1 when there is a fault.

What it needs (onnxruntime, onnx, numpy) goes into an environment of its own inside the cache.
"""
import argparse
import collections
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

from ort_environment import enter_environment

WORKER_LIMIT = 900  # seconds a graph may take, with all its programs


def arguments():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(root, "build", "release", "bin"))
    parser.add_argument("--cache", default=os.environ.get("MNN_CACHE") or os.path.expanduser("~/.cache/mnn-toolbox"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", metavar="DIR", help="where small failing cases go")
    parser.add_argument("--only", default="", help="families of operators, separated by commas")
    parser.add_argument("--one", type=int, metavar="NUMBER", help="only this graph of the seed, in this process")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def keep_case(folder, model, arrays, fault):
    import numpy as np
    import onnx

    from graph_fuzzer.model import expected
    os.makedirs(folder, exist_ok=True)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for i, a in enumerate(arrays):
        np.save(os.path.join(folder, f"input_{i}.npy"), a)
    for i, a in enumerate(expected(model, arrays) or []):
        np.save(os.path.join(folder, f"output_{i}.npy"), a)
    with open(os.path.join(folder, "fault.txt"), "w", encoding="utf-8") as file:
        file.write(f"{fault.label}\n{fault.detail}\n\n{onnx.printer.to_text(model)}\n")


def check_one(options, number, tools):
    """A row about one graph: what it is made of, and its faults."""
    from graph_fuzzer.check import check_case
    from graph_fuzzer.minimize import minimize
    from graph_fuzzer.model import make_case
    only = [n for n in options.only.split(",") if n]
    case = make_case([options.seed, number], only)
    if case is None:
        return {"number": number, "empty": True}
    faults = check_case(case.model, case.bindings, tools, case.quantizable)
    if faults is None:
        return {"number": number, "refused": True}
    row = {"number": number, "families": case.families, "nodes": len(case.model.graph.node),
           "quantized": case.quantizable, "opset": case.model.opset_import[0].version,
           "faults": [{"label": f.label, "detail": f.detail} for f in faults]}
    real = [f for f in faults if f.kind != "unsupported"]
    if real and options.keep:
        fault = real[0]
        stage = {"run quantized": "quant", "compare": "quant", "convert": "convert"}.get(fault.stage, fault.stage)
        failing = int(fault.detail.split("binding ")[1].split(":")[0]) if fault.detail.startswith("binding ") else 0

        def still_fails(model, arrays):
            found = check_case(model, [arrays], tools, case.quantizable, {stage}) or []
            return any(f.label == fault.label for f in found)
        model, arrays = case.model, case.bindings[failing]
        if still_fails(model, arrays):
            model, arrays = minimize(model, arrays, still_fails)
        folder = os.path.join(options.keep, f"{options.seed}_{number}")
        keep_case(folder, model, arrays, fault)
        row["kept"] = folder
        row["small"] = [n.op_type for n in model.graph.node]
    return row


def work(options):
    """Checks the graphs whose numbers come on stdin; a row of JSON for each on stdout."""
    from graph_fuzzer.check import Tools
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(os.path.abspath(options.bin), os.path.join(folder, "work"))
        for line in sys.stdin:
            print(json.dumps(check_one(options, int(line), tools)), flush=True)


class Pool:
    """Workers, one graph each at a time: ONNX Runtime may die of a graph, and then only its worker does."""

    def __init__(self, options):
        self.options, self.lock = options, threading.Lock()
        self.numbers = itertools.count()
        self.rows, self.checked = [], 0

    def take(self):
        """The number of the next graph; None when enough were checked."""
        with self.lock:
            if self.checked >= self.options.count or len(self.rows) > 20 * self.options.count:
                return None
            self.checked += 1
            return next(self.numbers)

    def start_worker(self):
        return subprocess.Popen([sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:], "--worker"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE)

    def feed(self):
        worker = self.start_worker()
        while (number := self.take()) is not None:
            try:
                worker.stdin.write(f"{number}\n")
                worker.stdin.flush()
                line = worker.stdout.readline()
            except BrokenPipeError:
                line = ""
            if line:
                row = json.loads(line)
            else:
                error = worker.stderr.read().strip().splitlines()[-1:]
                row = {"number": number, "died": " ".join(error) or f"signal {-(worker.wait() or 0)}"}
                worker = self.start_worker()
            with self.lock:
                self.rows.append(row)
                self.checked -= "faults" not in row  # another one in its place
                self.tell(row)
        worker.stdin.close()
        worker.wait()

    def tell(self, row):
        for fault in row.get("faults", []):
            if not fault["label"].endswith("unsupported"):
                small = " [" + " ".join(row["small"]) + "]" if "small" in row else ""
                print(f"{self.options.seed}:{row['number']} {fault['label']}: {fault['detail']}{small}", flush=True)
        if "died" in row:
            print(f"{self.options.seed}:{row['number']} ONNX Runtime or the generator died: {row['died']}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{len(self.rows)}/{self.options.count}", end="", file=sys.stderr, flush=True)

    def run(self):
        threads = [threading.Thread(target=self.feed) for _ in range(max(1, self.options.jobs))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return self.rows


def summarize(rows, seconds):
    checked = [r for r in rows if "faults" in r]
    real = [r for r in checked if any(not f["label"].endswith("unsupported") for f in r["faults"])]
    families = collections.Counter(f for r in checked for f in set(r["families"]))
    unsupported = collections.Counter(f["detail"].splitlines()[-1].split("mnn: error: ")[-1].split(": ", 1)[-1]
                                      for r in checked for f in r["faults"] if f["label"].endswith("unsupported"))
    kinds = collections.Counter(f["label"] for r in real for f in r["faults"])
    print(f"{len(checked)} graphs, {sum(r['nodes'] for r in checked)} nodes, "
          f"{sum(r['quantized'] for r in checked)} of them quantized, in {seconds:.0f} s: {len(real)} with faults, "
          f"{sum(unsupported.values())} unsupported, {sum('refused' in r for r in rows)} that the judge refuses, "
          f"{sum('died' in r for r in rows)} that it died of")
    print("families: " + ", ".join(f"{n} {c}" for n, c in sorted(families.items())))
    for label, count in kinds.most_common():
        print(f"fault {count:4} {label}")
    for text, count in unsupported.most_common(20):
        print(f"unsupported {count:4} {text}")
    return 1 if real else 0


def main():
    options = arguments()
    enter_environment(options.cache)
    if options.worker:
        work(options)
        return 0
    start = time.monotonic()
    if options.one is not None:
        from graph_fuzzer.check import Tools
        with tempfile.TemporaryDirectory() as folder:
            row = check_one(options, options.one, Tools(os.path.abspath(options.bin), os.path.join(folder, "work")))
        print(json.dumps(row, indent=1))
        return 0
    return summarize(Pool(options).run(), time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main())
