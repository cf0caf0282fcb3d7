#!/usr/bin/env python3
"""Holds what mnn export writes against ONNX Runtime on real models.

  verify_export.py [--bin build/release/bin] [--cache DIR] [--scheme int8,w8,w4] [--opset 13,17,21] [NAME…]

Fetches the ONNX models of models.json (all of them, or the named ones; a path of an .onnx file of
fixed input shapes is a model, too), exports each for each opset, and runs the result in ONNX Runtime
on seeded inputs with its optimizations disabled and enabled. Against what mnn itself computes:
max|y - r| / max|r| of every output at most 1e-4, also for what mnn reads back. With --scheme a
quantized model as well: the share of elements within one step, 1/255 of the range of an output, at
least 99.9 %, or where rounding is chaotic (mnn's own back ends differ by as much on some models) an
SNR against the float model at most 0.5 dB below mnn's; int8_mac_share of what is read back must be the same. One line a model, scheme and
opset; exit code 1 when one is off or fails. What an opset lacks is a line of its own and no failure
below opset 21.
"""
import json
import os
import subprocess
import sys
import tempfile

from verify_models import LIMIT, command_line, difference, make_inputs
from fetch_model import fetch

LEAST_WITHIN, MOST_LOST = 0.999, 0.5
SAMPLES = 6
UNSUPPORTED = 5


class Unsupported(Exception):
    pass


def call(mnn, *command):
    done = subprocess.run([mnn, *command], capture_output=True, text=True)
    if done.returncode == UNSUPPORTED:
        raise Unsupported((done.stderr.strip().splitlines() or ["no message"])[-1])
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return done.stdout


def run_mnn(mnn, model, inputs, work):
    import numpy as np
    with tempfile.TemporaryDirectory(dir=work) as folder:
        os.makedirs(f"{folder}/in")
        for position, (_, array) in inputs.items():
            np.save(f"{folder}/in/input_{position}.npy", array)
        out = json.loads(call(mnn, "run", model, "--inputs", f"{folder}/in", "--outputs", f"{folder}/out", "--json"))
        return [np.load(os.path.join(folder, "out", os.path.basename(o["file"]))) for o in out["outputs"]]


def run_ort(model, inputs, optimized):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs.values()))


def is_judged(r):
    """Floats that are more than what underflows where another runtime adds up in another order."""
    import numpy as np
    return np.issubdtype(r.dtype, np.floating) and r.size > 0 and np.abs(r).max() > 1e-6


def within_a_step(outputs, references):
    import numpy as np
    close = total = 0
    for y, r in zip(outputs, references):
        r = np.asarray(r)
        if not is_judged(r):
            continue
        step = (r.max() - r.min()) / 255 or 1.0
        close += int((np.abs(y.astype(float) - r.astype(float)) <= step).sum())
        total += r.size
    return close / total if total else 1.0


def snr(outputs, references):
    """In dB, of all float outputs together, each by its own power."""
    import numpy as np
    noise = 0.0
    for y, r in zip(outputs, references):
        if is_judged(r):
            noise += ((y.astype(float) - r) ** 2).sum() / ((r.astype(float) ** 2).sum() or 1.0)
    return -10 * np.log10(max(noise, 1e-30))


def quantize(mnn, path, row, scheme, work):
    import numpy as np
    target = f"{work}/q.mnn"
    command = ["quant", path, "-o", target, "--scheme", scheme, "-q"]
    if scheme in ("int8", "w8a16"):
        for seed in range(1, SAMPLES + 1):
            os.makedirs(f"{work}/samples/{seed}")
            for position, (_, array) in make_inputs(path, row["inputs"], seed).items():
                np.save(f"{work}/samples/{seed}/input_{position}.npy", array)
        command += ["--calibration", f"{work}/samples"]
    call(mnn, *command)
    return target


def verify(mnn, path, row, scheme, opset, flags, work):
    inputs = make_inputs(path, row["inputs"], seed=0)
    model = path if scheme == "fp32" else f"{work}/q.mnn"
    exported = f"{work}/x{opset}.onnx"
    call(mnn, "export", model, "-o", exported, "--opset", str(opset), "-q", *flags)
    ours = run_mnn(mnn, model, inputs, work)
    back = run_mnn(mnn, exported, inputs, work)
    runs = [run_ort(exported, inputs, optimized) for optimized in (False, True)]
    shapes = [part for name, x in inputs.values() if x.ndim
              for part in ("--shape", f"{name}={','.join(map(str, x.shape))}")]
    shares = [json.loads(call(mnn, "inspect", m, "--json", *shapes))["int8_mac_share"] for m in (model, exported)]
    if scheme == "fp32":
        errors = [difference(ours, found) for found in [*runs, back]]
        return max(errors) <= LIMIT, "ORT plain {:.1e}, optimized {:.1e}, read back {:.1e}".format(*errors)
    near = [within_a_step(found, ours) for found in [*runs, back]]
    plain = run_mnn(mnn, path, inputs, work)
    lost = max(snr(ours, plain) - snr(found, plain) for found in [*runs, back])
    good = (min(near) >= LEAST_WITHIN or lost <= MOST_LOST) and abs(shares[0] - shares[1]) < 1e-9
    text = "within a step: ORT plain {:.3%}, optimized {:.3%}, read back {:.3%}".format(*near)
    text += f"; {lost:+.2f} dB lost against float"
    return good, text + "; int8_mac_share {:.4f} -> {:.4f}".format(*shares)


def rows_of(options, models):
    for name, row in models.items():
        yield name, fetch(name, row, options.cache), row
    for path in options.files.split(",") if options.files else []:
        import onnx
        shapes = {v.name: {"shape": [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]}
                  for v in onnx.load(path, load_external_data=False).graph.input}
        for v in onnx.load(path, load_external_data=False).graph.input:
            if v.type.tensor_type.elem_type == onnx.TensorProto.INT64:
                shapes[v.name]["value" if "mask" in v.name else "below"] = 1 if "mask" in v.name else 1000
        yield os.path.basename(path), path, {"inputs": shapes}


def main():
    options, models = command_line(__doc__, "--scheme", "--opset", "--files")
    if options.files and not options.names:
        models = {}
    mnn = os.path.join(options.bin, "mnn")
    schemes = ["fp32", *filter(None, options.scheme.split(","))]
    if options.scheme.startswith("only:"):
        schemes = options.scheme[5:].split(",")
    opsets = [int(n) for n in (options.opset or "13,17,21").split(",")]
    failed = 0
    for name, path, row in rows_of(options, models):
        for scheme in schemes:
            with tempfile.TemporaryDirectory() as work:
                try:
                    if scheme != "fp32":
                        quantize(mnn, path, row, scheme, work)
                except (RuntimeError, Unsupported) as problem:
                    print(f"SKIP {name} {scheme}: {problem}", flush=True)
                    continue
                for opset in opsets:
                    flags = ["--contrib"] if scheme.startswith("w") else []
                    try:
                        good, text = verify(mnn, path, row, scheme, opset, flags, work)
                        print(f"{'ok  ' if good else 'OFF '} {name} {scheme} opset {opset}: {text}", flush=True)
                    except Unsupported as problem:
                        good = opset < 21
                        print(f"{'none' if good else 'FAIL'} {name} {scheme} opset {opset}: {problem}", flush=True)
                    except Exception as problem:  # ONNX Runtime has many
                        good = False
                        print(f"FAIL {name} {scheme} opset {opset}: {problem}", flush=True)
                    failed += not good
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
