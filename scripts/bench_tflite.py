#!/usr/bin/env python3
"""Times mnn against LiteRT with XNNPACK on real TensorFlow Lite models.

  bench_tflite.py [--bin build/release/bin] [--cache DIR] [--threads N] [--rounds N] [NAME…]

Rounds of both in turn (this machine may be busy: only ratios count), the median run of each round, one
thread each unless said otherwise. A line a model: both medians in ms and mnn's over LiteRT's (median of
the rounds' ratios, least and largest), then the geometric mean. Exit code 1 when a model fails.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import time

from ort_environment import LITERT_PACKAGES, enter_environment
from verify_models import command_line, judge_all
from verify_tflite import make_inputs

ROUND_SECONDS = 0.6


def enter(cache):
    enter_environment(cache, "litert", LITERT_PACKAGES)


def litert(path, row, threads):
    """A function that runs the model for a while: the median in ms."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_path=path, num_threads=threads)
    details = interpreter.get_input_details()
    for d, shape in zip(details, row.get("shapes") or []):
        interpreter.resize_tensor_input(d["index"], shape)
    interpreter.allocate_tensors()
    for d, x in zip(details, make_inputs(details, row.get("shapes"), np.random.default_rng(0))):
        interpreter.set_tensor(d["index"], x)
    for _ in range(3):
        interpreter.invoke()

    def measure():
        times, end = [], time.perf_counter() + ROUND_SECONDS
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            interpreter.invoke()
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times), len(times)

    return measure


def mnn_median(mnn, path, row, names, threads, iterations):
    shapes = [word for name, shape in zip(names, row.get("shapes") or [])
              for word in ("--shape", f"{name}={','.join(map(str, shape))}")]
    done = subprocess.run([mnn, "bench", path, "--threads", str(threads), "--iterations", str(iterations), "--json", *shapes],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    result = json.loads(done.stdout)
    return (result.get("models") or [result])[0]["median_ms"]


def main():
    options, models = command_line(__doc__, "--threads", "--rounds", model_format="tflite", enter=enter)
    threads, count_of_rounds = int(options.threads or 1), int(options.rounds or 5)
    ratios = []

    def bench(path, row):
        from ai_edge_litert.interpreter import Interpreter
        names = [d["name"] for d in Interpreter(model_path=path).get_input_details()]
        theirs = litert(path, row, threads)
        rounds = []
        for _ in range(count_of_rounds):
            them, count = theirs()
            rounds.append((mnn_median(os.path.join(options.bin, "mnn"), path, row, names, threads,
                                      max(count, 5)), them))
        each = sorted(ours / them for ours, them in rounds)
        ratio = statistics.median(each)
        ratios.append(ratio)
        return True, (f"{statistics.median(r[0] for r in rounds):8.3f} ms, LiteRT {statistics.median(r[1] for r in rounds):8.3f} ms, "
                      f"ratio {ratio:.2f} [{each[0]:.2f}, {each[-1]:.2f}]")

    status = judge_all(options, models, bench)
    if ratios:
        print(f"geometric mean of {len(ratios)} ratios: {math.exp(statistics.fmean(map(math.log, ratios))):.2f}")
    return status


if __name__ == "__main__":
    sys.exit(main())
