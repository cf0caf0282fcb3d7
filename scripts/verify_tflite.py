#!/usr/bin/env python3
"""Holds mnn against LiteRT on real models.

  verify_tflite.py [--bin build/release/bin] [--cache DIR] [NAME…]

Fetches the TensorFlow Lite models of models.json (all of them, or the named ones), makes seeded
inputs, as many frames in a row as the model's row says, runs both with their states carried on, and
compares every output of every frame: 8-bit outputs at most one step apart on 99.9 % of the elements,
floats max|y - r| / max|r| at most 1e-3 (kernels of both add up in other orders), with 8-bit weights
cosine at least 0.999. One line a model; exit code 1 when one is off or fails.
"""
import os
import subprocess
import sys
import tempfile

from ort_environment import LITERT_PACKAGES, enter_environment
from verify_models import command_line, difference, judge_all

LIMIT, LEAST_COSINE, LEAST_WITHIN = 1e-3, 0.999, 0.999


def enter(cache):
    enter_environment(cache, "litert", LITERT_PACKAGES)


def make_inputs(details, shapes, random):
    import numpy as np
    made = []
    for at, d in enumerate(details):
        shape = shapes[at] if shapes else [abs(int(n)) for n in d["shape"]]
        if np.issubdtype(d["dtype"], np.integer):
            # Around a level of the frame's own, so that outputs move.
            info = np.iinfo(d["dtype"])
            level = random.integers(info.min, info.max)
            made.append(np.clip(random.normal(level, 20, shape), info.min, info.max).astype(d["dtype"]))
        else:
            made.append(random.uniform(-1, 1, shape).astype(d["dtype"]))
    return made


def expected(path, row, work):
    """Outputs of each frame, whose inputs are left in work/<frame>."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    interpreter = Interpreter(model_path=path, num_threads=1,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    details, shapes = interpreter.get_input_details(), row.get("shapes")
    for d, shape in zip(details, shapes or []):
        interpreter.resize_tensor_input(d["index"], shape)
    interpreter.allocate_tensors()
    random, frames = np.random.default_rng(0), []
    for frame in range(row.get("frames", 1)):
        os.makedirs(f"{work}/{frame}")
        for at, (d, x) in enumerate(zip(details, make_inputs(details, shapes, random))):
            np.save(f"{work}/{frame}/input_{at}.npy", x)
            interpreter.set_tensor(d["index"], x)
        interpreter.invoke()
        frames.append([interpreter.get_tensor(d["index"]).copy() for d in interpreter.get_output_details()])
    weights = {t["dtype"] for t in interpreter.get_tensor_details()}
    return frames, np.int8 in weights


def found(mnn, path, frames, work):
    import numpy as np
    feeds = [word for frame in range(len(frames)) for word in ("--inputs", f"{work}/{frame}")]
    done = subprocess.run([mnn, "run", path, *feeds, "--outputs", f"{work}/out"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    folders = [f"{work}/out"]
    if len(frames) > 1:
        folders = sorted((f.path for f in os.scandir(f"{work}/out")), key=lambda f: int(f.rsplit("_", 1)[1]))
    return [[np.load(f"{folder}/output_{i}.npy") for i in range(len(frames[0]))] for folder in folders]


def judge(outputs, references, quantized):
    """What is said of one frame, and whether it is good."""
    import numpy as np
    error = difference(outputs, references)
    if all(r.dtype in (np.int8, np.uint8) for r in references):
        steps = np.concatenate([np.abs(y.astype(int) - r.astype(int)).ravel() for y, r in zip(outputs, references)])
        return f"steps {steps.max()}", (steps <= 1).mean() >= LEAST_WITHIN
    if not quantized:
        return f"{error:.1e}", error <= LIMIT
    pairs = [(y.astype(float).ravel(), r.astype(float).ravel()) for y, r in zip(outputs, references)]
    cosine = min(float(y @ r / (np.linalg.norm(y) * np.linalg.norm(r) or 1)) for y, r in pairs)
    return f"cosine {cosine:.6f}", cosine >= LEAST_COSINE


def main():
    options, models = command_line(__doc__, model_format="tflite", enter=enter)

    def verify(path, row):
        with tempfile.TemporaryDirectory() as work:
            frames, quantized = expected(path, row, work)
            results = [judge(y, r, quantized)
                       for y, r in zip(found(os.path.join(options.bin, "mnn"), path, frames, work), frames)]
        worst = next((text for text, fine in results if not fine), results[-1][0])
        return all(fine for _, fine in results), f"{len(frames)} frames, {worst}"

    return judge_all(options, models, verify)


if __name__ == "__main__":
    sys.exit(main())
