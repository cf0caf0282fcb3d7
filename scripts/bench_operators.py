#!/usr/bin/env python3
"""Times single operators against ONNX Runtime, one thread each.

  bench_operators.py [--bin build/release/bin] [--cache DIR] [--rounds N] [--save FILE]
                     [--baseline FILE] [PATTERN…]

One small ONNX model per row of operator_cases.txt, timed in turns with `mnn bench --threads 1` and
an ONNX Runtime session of one thread; a row says the best median of each in milliseconds, their
ratio (above 1: mnn is slower) and which backend ran it. PATTERN: only rows whose name holds it.
--save keeps the figures, --baseline adds those of an earlier run. Rows that ONNX Runtime cannot run
have no ratio. What it needs (onnxruntime, onnx, numpy) goes into an environment of its own.

A row of operator_cases.txt: name | inputs | body, in the textual form of ONNX. An input whose name
is a capital letter is a constant of random numbers; the result is y. "@N " in front of the body
asks for opset N.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from ort_environment import enter_environment

OPSET = 23


def read_cases(path):
    """[(name, inputs, body)]"""
    cases = []
    with open(path) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                cases.append(tuple(part.strip() for part in line.split("|", 2)))
    return cases


def build(inputs, body):
    """The model of a case."""
    import numpy as np
    import onnx
    opset = OPSET
    if body.startswith("@"):
        opset, body = body[1:].split(" ", 1)
    text = f'<ir_version: 10, opset_import: ["" : {opset}]> g ({inputs}) => (float y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    graph = model.graph
    random = np.random.default_rng(0)
    for value in [v for v in graph.input if v.name.isupper()]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        array = (random.standard_normal(shape) * 0.1).astype(dtype)
        graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
        graph.input.remove(value)
    untyped = onnx.ModelProto()
    untyped.CopyFrom(model)
    untyped.graph.output[0].ClearField("type")
    inferred = onnx.shape_inference.infer_shapes(untyped)
    # Functions may have no inference: f32 then, of any shape.
    return inferred if inferred.graph.output[0].type.WhichOneof("value") else model


def random_inputs(model):
    """As `mnn bench` makes them: standard normal floats, integers 0 and 1."""
    import numpy as np
    import onnx
    random = np.random.default_rng(1)
    made = {}
    for value in model.graph.input:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        floats = np.issubdtype(dtype, np.floating)
        made[value.name] = (random.standard_normal(shape) if floats else random.integers(0, 2, shape)).astype(dtype)
    return made


class Peer:
    """An ONNX Runtime session of one thread."""

    def __init__(self, path, inputs):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = inputs

    def median_ms(self, count):
        times = []
        for _ in range(count):
            start = time.perf_counter()
            self.session.run(None, self.inputs)
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)


def own_median(mnn, path, count, profile=None):
    command = [mnn, "bench", path, "--threads", "1", "--iterations", str(count), "--json", "-q"]
    if profile:
        command += ["--profile", profile]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout)


def backends_of(report):
    found = sorted({layer["backend"] for layer in report.get("layers", [])})
    return "+".join(found) or "-"


def measure(mnn, case, folder, rounds):
    """{"mnn": ms, "ort": ms or None, "backend": names}"""
    import onnx
    _, inputs, body = case
    model = build(inputs, body)
    path = os.path.join(folder, "case.onnx")
    onnx.save(model, path)
    first = own_median(mnn, path, 1, os.path.join(folder, "profile.json"))
    count = max(1, min(200, int(100 / max(first["median_ms"], 0.01))))
    row = {"mnn": first["median_ms"], "ort": None, "backend": backends_of(first)}
    try:
        peer = Peer(path, random_inputs(model))
        once = peer.median_ms(2)
    except Exception as problem:  # whatever its own kernels raise
        row["note"] = str(problem).splitlines()[0][:60]
        return row
    peer_count = max(1, min(200, int(100 / max(once, 0.01))))
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(own_median(mnn, path, count)["median_ms"])
        theirs.append(peer.median_ms(peer_count))
    row["mnn"], row["ort"] = min(ours), min(theirs)
    return row


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--bin", default=os.path.join(here, "..", "build", "release", "bin"))
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", metavar="FILE")
    parser.add_argument("--baseline", metavar="FILE")
    options = parser.parse_args()
    enter_environment(options.cache)
    before = {}
    if options.baseline:
        with open(options.baseline) as file:
            before = json.load(file)
    cases = [c for c in read_cases(os.path.join(here, "operator_cases.txt"))
             if not options.patterns or any(p in c[0] for p in options.patterns)]
    mnn, rows = os.path.join(options.bin, "mnn"), {}
    print(f"{'operator':44} {'mnn ms':>9} {'ort ms':>9} {'ratio':>7} {'before':>7}  backend")
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = measure(mnn, case, folder, options.rounds)
            except Exception as problem:  # also what onnx raises for a faulty row
                print(f"{case[0]:44} FAIL {str(problem).splitlines()[0]}", flush=True)
                continue
        rows[case[0]] = row
        old = before.get(case[0], {})
        ratios = [f"{r['mnn'] / r['ort']:.2f}" if r.get("ort") else "-" for r in (row, old)]
        peer = f"{row['ort']:9.3f}" if row["ort"] else f"{'-':>9}"
        print(f"{case[0]:44} {row['mnn']:9.3f} {peer} {ratios[0]:>7} {ratios[1]:>7}  {row['backend']}"
              + (f"  {row['note']}" if "note" in row else ""), flush=True)
    if options.save:
        with open(options.save, "w") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")
    return 0 if len(rows) == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
