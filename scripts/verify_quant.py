#!/usr/bin/env python3
"""Holds `mnn compare` against the report of `mnn quant` on real models.

  verify_quant.py [--bin build/release/bin] [--cache DIR] [--samples DIR] [NAME…]

Quantizes the models of models.json (all that can be, or the named ones) and compares each with its
float one on the held-back samples. Both must say the same within 1 dB: at every output, and at
every layer, where the report's accumulated errors are of the same tensors. One line a model; exit
code 1 when one is off or fails. Samples are seeded inputs as the rows of models.json say;
DIR/NAME/calibration and DIR/NAME/test hold others, such as photos, as `mnn quant` takes them.
Needs what verify_models.py needs.
"""
import json
import os
import subprocess
import sys
import tempfile

from fetch_model import fetch
from verify_models import command_line, make_inputs

LIMIT_DB = 1.0
# From here on rounding in another order is all there is.
ENOUGH_DB = 60.0
COUNTS = {"calibration": 12, "test": 8}


def write_samples(path, rows, folder):
    import numpy as np
    seed = 0
    for part, count in COUNTS.items():
        for i in range(count):
            sample = f"{folder}/{part}/{i:02d}"
            os.makedirs(sample)
            for position, (_, array) in make_inputs(path, rows, seed).items():
                np.save(f"{sample}/input_{position}.npy", array)
            seed += 1


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout)


def figure(metrics):
    return min(metrics["snr_db"], ENOUGH_DB)


def differences(report, comparison):
    """{name: (in the report, in the comparison)} of outputs, and of layers both know."""
    outputs = {o["name"]: (figure(o), None) for o in report["outputs"]}
    for o in comparison["outputs"]:
        if o["slice"]:
            continue
        outputs[o["name"]] = (outputs[o["name"]][0], figure(o))
    told, layers = {}, {}
    for layer in report["layers"]:
        told.setdefault(layer["name"], []).append(figure(layer["accumulated"]))
    for layer in comparison["layers"]:
        # Names may repeat; then nothing says which is which.
        same = [l for l in comparison["layers"] if l["name"] == layer["name"]]
        if len(told.get(layer["name"], [])) == 1 and len(same) == 1:
            layers[layer["name"]] = (told[layer["name"]][0], figure(layer))
    return outputs, layers


def worst(pairs):
    return max((abs(a - b) for a, b in pairs.values()), default=0.0)


def check(mnn, path, samples, work):
    report = run([mnn, "quant", path, "-o", f"{work}/q.mnn", "--calibration", f"{samples}/calibration",
                  "--holdout", f"{samples}/test", "--export-scheme", f"{work}/s.json", "--requantize", "--json", "-q"])
    comparison = run([mnn, "compare", path, f"{work}/q.mnn", "--inputs", f"{samples}/test", "--json", "-q"])
    outputs, layers = differences(report, comparison)
    with open(f"{work}/s.json") as file:
        smoothed = len(json.load(file)["smoothing"])
    least = min(figure(o) for o in report["outputs"])
    off = [f"{name}: {a:.1f} and {b:.1f} dB" for name, (a, b) in {**outputs, **layers}.items()
           if abs(a - b) > LIMIT_DB]
    # A layer whose own figures are good is never the first bad one.
    first = comparison["first_bad_layer"]
    if first in layers and layers[first][0] >= 20 + LIMIT_DB:
        metrics = next(l for l in report["layers"] if l["name"] == first)["accumulated"]
        if metrics["cosine"] > 0.991:
            off.append(f"{first} is called bad")
    text = (f"{report['method']}; output {least:.1f} dB, {smoothed} tensors smoothed, {len(layers)} of "
            f"{len(report['layers'])} layers; off by {worst(outputs):.2f} dB at outputs, "
            f"{worst(layers):.2f} dB at layers")
    return off, text


def main():
    options, models = command_line(__doc__, "--samples")
    failed = 0
    for name, row in models.items():
        with tempfile.TemporaryDirectory() as work:
            try:
                path = fetch(name, row, options.cache)
                samples = os.path.join(options.samples, name)
                if not options.samples or not os.path.isdir(samples):
                    samples = f"{work}/samples"
                    write_samples(path, row["inputs"], samples)
                off, text = check(os.path.join(options.bin, "mnn"), path, samples, work)
            except RuntimeError as problem:
                if "to quantize" in str(problem) and not options.names:
                    print(f"none {name:22} {problem}", flush=True)
                    continue
                off, text = ["failed"], str(problem)
        print(f"{'OFF ' if off else 'ok  '} {name:22} {text}", flush=True)
        for line in off[:5]:
            print(f"     {line}", flush=True)
        failed += bool(off)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
