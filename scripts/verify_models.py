#!/usr/bin/env python3
"""Holds mnn against ONNX Runtime on real models.

  verify_models.py [--bin build/release/bin] [--cache DIR] [NAME…]

Fetches the models of models.json (all of them, or the named ones), makes seeded inputs as their
rows say, converts, runs, and compares every output: max|y - r| / max|r|, at most 1e-4. One line a
model; exit code 1 when one is off or fails. What it needs (onnxruntime, onnx, numpy) goes into an
environment of its own inside the cache.

An input's row: shape; scale (of standard normal floats), block (neighbours that share a value: a
picture rather than noise), below (random integers), value (all the same).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from fetch_model import fetch
from ort_environment import enter_environment

LIMIT = 1e-4


def make_input(row, dtype, random):
    import numpy as np
    shape = row["shape"]
    if "value" in row:
        return np.full(shape, row["value"], dtype)
    if "below" in row:
        return random.integers(0, row["below"], shape).astype(dtype)
    if "block" not in row:
        return (random.standard_normal(shape) * row.get("scale", 1)).astype(dtype)
    step = row["block"]
    small = random.standard_normal(shape[:-2] + [-(-n // step) for n in shape[-2:]])
    large = small.repeat(step, axis=-1).repeat(step, axis=-2)
    return large[..., :shape[-2], :shape[-1]].astype(dtype)


def make_inputs(path, rows, seed=0):
    """{position in the model's input list: (name, array)}"""
    import numpy as np
    import onnx
    random = np.random.default_rng(seed)
    made = {}
    for position, value in enumerate(onnx.load(path).graph.input):
        if value.name in rows:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            made[position] = (value.name, make_input(rows[value.name], dtype, random))
    return made


def expected(path, inputs):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs.values()))


def found(mnn, path, inputs, work):
    import numpy as np
    os.makedirs(f"{work}/in")
    for position, (_, array) in inputs.items():
        np.save(f"{work}/in/input_{position}.npy", array)
    for command in (["convert", path, "-o", f"{work}/m.mnn", "-q"],
                    ["run", f"{work}/m.mnn", "--inputs", f"{work}/in", "--outputs", f"{work}/out", "--json"]):
        done = subprocess.run([mnn, *command], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    files = [output["file"] for output in json.loads(done.stdout)["outputs"]]
    return [np.load(os.path.join(work, "out", os.path.basename(file))) for file in files]


def difference(outputs, references):
    import numpy as np
    if len(outputs) != len(references):
        raise RuntimeError(f"{len(outputs)} outputs, expected {len(references)}")
    worst = 0.0
    for y, r in zip(outputs, references):
        r = np.asarray(r)
        if y.shape != r.shape or y.dtype != r.dtype:
            raise RuntimeError(f"expected {r.dtype}{list(r.shape)}, found {y.dtype}{list(y.shape)}")
        if r.size == 0:
            continue
        error = np.abs(y.astype(float) - r.astype(float)).max() / (np.abs(r.astype(float)).max() or 1.0)
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return worst


def command_line(doc, *more, model_format="onnx", enter=enter_environment):
    """Options, with `more` flags for folders, and the models of a format they name; in the environment."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--bin", default=os.path.join(here, "..", "build", "release", "bin"))
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    for flag in more:
        parser.add_argument(flag, default="")
    options = parser.parse_args()
    enter(options.cache)
    with open(os.path.join(here, "models.json")) as file:
        models = {n: row for n, row in json.load(file).items() if row.get("format", "onnx") == model_format}
    unknown = [name for name in options.names if name not in models]
    if unknown:
        sys.exit(f"error: {unknown[0]}: expected one of {', '.join(sorted(models))}")
    return options, {name: models[name] for name in options.names or models}


def judge_all(options, models, verify):
    """A line a model of what verify(path, row) says of it, good or not; the exit code."""
    width, failed = max(map(len, models), default=0), 0
    for name, row in models.items():
        try:
            good, text = verify(fetch(name, row, options.cache), row)
            print(f"{'ok  ' if good else 'OFF '} {name:{width}} {text}", flush=True)
        except RuntimeError as problem:
            good = False
            print(f"FAIL {name:{width}} {problem}", flush=True)
        failed += not good
    print(f"{len(models) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    options, models = command_line(__doc__)

    def verify(path, row):
        inputs = make_inputs(path, row["inputs"])
        with tempfile.TemporaryDirectory() as work:
            error = difference(found(os.path.join(options.bin, "mnn"), path, inputs, work), expected(path, inputs))
        return error <= LIMIT, f"{error:.1e}"

    return judge_all(options, models, verify)


if __name__ == "__main__":
    sys.exit(main())
