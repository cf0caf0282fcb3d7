"""Runs a case through the executables and holds every result against ONNX Runtime."""
import json
import os
import shutil
import subprocess

import numpy as np
import onnx

from .model import expected

TOLERANCE = {np.dtype(np.float64): 2e-4, np.dtype(np.float32): 2e-4, np.dtype(np.float16): 2e-2}
NUDGE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-6, np.dtype(np.float16): 1e-3}
NUDGES = 3
TIMEOUT = 60
UNSUPPORTED = 5
# What ONNX forbids and ONNX Runtime makes something of, where another binding gives sizes that do not fit: windows
# larger than their padded input, empty tensors of other dims in a Concat, slopes larger than the input of PRelu, other
# batch dims in GatherND.
REFUSED = ("does not fit into a padded input", "differ outside axis", "the slope", "batch axes differ")


class Fault:
    def __init__(self, stage, kind, detail=""):
        self.stage, self.kind, self.detail = stage, kind, detail

    @property
    def label(self):
        return f"{self.stage}: {self.kind}"


class Tools:
    """The executables, and a folder to work in."""

    def __init__(self, bin_folder, work):
        self.bin, self.work = bin_folder, work

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def fresh(self, *parts):
        path = self.path(*parts)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def call(self, command, *arguments):
        """(exit code, last lines of stderr); the code is negative for a signal, None for no end."""
        try:
            done = subprocess.run([os.path.join(self.bin, f"mnn-{command}"), *arguments], capture_output=True, text=True,
                                  timeout=TIMEOUT, stdin=subprocess.DEVNULL, errors="replace")
        except subprocess.TimeoutExpired:
            return None, f"no end within {TIMEOUT} s"
        return done.returncode, "\n".join(done.stderr.strip().splitlines()[-3:])


def write_arrays(folder, arrays):
    for i, a in enumerate(arrays):
        np.save(os.path.join(folder, f"input_{i}.npy"), np.ascontiguousarray(a).reshape(a.shape))


def read_outputs(folder, count):
    arrays = []
    for i in range(count):
        path = os.path.join(folder, f"output_{i}.npy")
        if not os.path.exists(path):
            return None
        arrays.append(np.load(path))
    return arrays


def distance(a, b):
    """Of equal types and shapes: the largest difference relative to the largest magnitude, 0 where NaN and infinities
    agree; infinite where they do not. For others than floats the share of elements that differ."""
    if a.size == 0:
        return 0.0
    if a.dtype.kind != "f":
        return float(np.mean(a != b))
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    wild = ~np.isfinite(a64) | ~np.isfinite(b64)
    if not np.array_equal(a64[wild], b64[wild], equal_nan=True):
        return float("inf")
    tame = ~wild
    if not tame.any():
        return 0.0
    scale = max(np.abs(a64[tame]).max(), 1e-3)
    return float(np.abs(a64[tame] - b64[tame]).max() / scale)


class Judge:
    """Says whether results are right. A model may magnify rounding: what a nudge of its inputs and weights changes in
    ONNX Runtime too is no fault."""

    def __init__(self, model, arrays):
        self.model, self.arrays = model, arrays
        self.results = expected(model, arrays)
        self.moved = None
        # 16-bit floats are computed in f32: where ONNX Runtime rounds between operators, mnn does not.
        self.least = TOLERANCE[np.dtype(np.float16)] if holds_half(model.graph) else 0.0

    def nudged(self):
        if self.moved is None:
            rng = np.random.default_rng(1)
            self.moved = []
            for k in range(NUDGES):
                model = onnx.ModelProto()
                model.CopyFrom(self.model)
                for t in model.graph.initializer:
                    array = onnx.numpy_helper.to_array(t)
                    t.CopyFrom(onnx.numpy_helper.from_array(nudge(rng, array), t.name))
                self.moved.append(expected(model, [nudge(rng, a) for a in self.arrays]))
        return [m for m in self.moved if m is not None]

    def fault(self, stage, found):
        if found is None:
            return Fault(stage, "no output")
        for i, (want, have) in enumerate(zip(self.results, found)):
            if want.dtype != have.dtype or want.shape != have.shape:
                kind = "wrong type" if want.dtype != have.dtype else "wrong shape"
                moved = [m[i].shape for m in self.nudged()]
                if kind == "wrong shape" and any(s != want.shape for s in moved):
                    continue
                return Fault(stage, kind, f"output {i}: expected {want.dtype}{list(want.shape)}, "
                                          f"found {have.dtype}{list(have.shape)}")
            error = distance(want, have)
            tolerance = TOLERANCE.get(want.dtype, 0.0)
            if error <= (max(tolerance, self.least) if tolerance else 0.0):
                continue
            others = [distance(want, m[i]) if m[i].shape == want.shape else float("inf") for m in self.nudged()]
            if error <= 30 * max(others, default=0.0):
                continue
            return Fault(stage, "wrong numbers", f"output {i} ({want.dtype}{list(want.shape)}): error {error:.3g}, "
                                                 f"a nudge makes {max(others, default=0.0):.3g}")
        return None


def holds_half(graph):
    """Whether a value of a graph, or of a graph inside, is known to be float16."""
    half = onnx.TensorProto.FLOAT16
    if any(t.data_type == half for t in graph.initializer):
        return True
    if any(v.type.tensor_type.elem_type == half for v in (*graph.input, *graph.output, *graph.value_info)):
        return True
    for node in graph.node:
        for a in node.attribute:
            if (a.name == "to" and a.i == half) or a.t.data_type == half or (a.HasField("g") and holds_half(a.g)):
                return True
    return False


def nudge(rng, array):
    size = NUDGE.get(array.dtype)
    if size is None:
        return array
    return np.asarray(array * (1 + size * rng.uniform(-1, 1, array.shape)), array.dtype)


def exit_fault(stage, code, text):
    if code is None:
        return Fault(stage, "no end", text)
    if code < 0 or code > 7:
        return Fault(stage, f"signal {-code if code < 0 else code - 128}", text)
    if code == UNSUPPORTED:
        return Fault(stage, "unsupported", text)
    return Fault(stage, f"exit {code}", text)


def run_model(tools, stage, model, binding, judge):
    out = tools.fresh("out")
    code, text = tools.call("run", model, "--inputs", tools.path(f"in_{binding}"), "--outputs", out)
    if code == 4 and any(reason in text for reason in REFUSED):
        return None
    if code != 0:
        return exit_fault(stage, code, text)
    return judge.fault(stage, read_outputs(out, len(judge.results)))


def check_case(model, bindings, tools, quantizable=False, stages=None):
    """The first fault of every stage: run (the source model), convert, converted, unfused, quant, compare. `stages`
    names those wanted; None: all. None when ONNX Runtime refuses the model."""
    tools.fresh("")
    source = tools.path("model.onnx")
    onnx.save(model, source)
    judges = []
    for k, arrays in enumerate(bindings):
        judge = Judge(model, arrays)
        if judge.results is None:
            if k == 0:
                return None
            continue
        write_arrays(tools.fresh(f"in_{k}"), arrays)
        judges.append((k, judge))
    faults = []

    def wanted(stage):
        return stages is None or stage in stages

    def each_binding(stage, path, chosen):
        for k, judge in chosen:
            fault = run_model(tools, stage, path, k, judge)
            if fault:
                fault.detail = f"binding {k}: {fault.detail}"
                faults.append(fault)
                return

    if wanted("run"):
        each_binding("run", source, judges[:1])
    if faults and faults[0].kind == "unsupported":
        return faults
    for stage, flags, chosen in (("converted", [], judges), ("unfused", ["--no-fuse"], judges[-1:])):
        if not wanted(stage) and not (stage == "converted" and (wanted("quant") or wanted("convert"))):
            continue
        made = tools.path(stage + ".mnn")
        code, text = tools.call("convert", source, "-o", made, "-q", *flags)
        if code != 0:
            faults.append(exit_fault("convert", code, text))
        elif wanted(stage):
            each_binding(stage, made, chosen)
    if quantizable and wanted("quant") and not faults:
        faults += check_quant(model, bindings, judges, tools)
    return faults


def snr_db(reference, found):
    r, y = reference.astype(np.float64), found.astype(np.float64)
    noise_power, power = ((y - r) ** 2).sum(), (r ** 2).sum()
    return float("inf") if noise_power == 0 else 10 * np.log10(power / noise_power) if power > 0 else -float("inf")


def check_quant(model, bindings, judges, tools):
    """Quantizes, compares, and holds the figures of compare against the files both models write."""
    names = [i.name for i in model.graph.input]
    folder = tools.fresh("calibration")
    rng = np.random.default_rng(2)
    for s in range(3):
        sample = tools.fresh("calibration", f"s{s}")
        shift = [a if s == 0 else (a + rng.standard_normal(a.shape) * 0.3).astype(a.dtype) for a in bindings[0]]
        # Sizes that depend on data need not fit with other data.
        write_arrays(sample, bindings[0] if s and expected(model, shift) is None else shift)
    converted, quantized = tools.path("converted.mnn"), tools.path("quantized.mnn")
    shapes = []
    for name, a in zip(names, bindings[0]):
        shapes += ["--shape", f"{name}={','.join(str(n) for n in a.shape)}"] if a.ndim else []
    report = tools.path("quant.json")
    code, text = tools.call("quant", converted, "-o", quantized, "--requantize", "--calibration", folder, "--report", report, *shapes,
                            "-q")
    if code == UNSUPPORTED:  # no product of floats after all
        return []
    if code not in (0, 1) or code == 1 and not os.path.exists(report):
        return [exit_fault("quant", code, text)]
    if code == 1:  # its own verdict: nothing to compare, or not finite
        return []
    out = tools.fresh("out")
    code, text = tools.call("run", quantized, "--inputs", tools.path("in_0"), "--outputs", out)
    if code != 0:
        return [exit_fault("run quantized", code, text)]
    found = read_outputs(out, len(judges[0][1].results))
    if found is None:
        return [Fault("run quantized", "no output")]
    compared = tools.path("compare.json")
    code, text = tools.call("compare", converted, quantized, "--inputs", tools.path("in_0"), "--report", compared, "-q")
    if code not in (0, 1) or not os.path.exists(compared):
        return [exit_fault("compare", code, text)]
    plain = tools.fresh("out")
    code_plain, text = tools.call("run", converted, "--inputs", tools.path("in_0"), "--outputs", plain)
    reference = read_outputs(plain, len(found)) if code_plain == 0 else None
    if reference is None:
        return [exit_fault("converted", code_plain, text)]
    return compare_figures(compared, reference, found, code)


def compare_figures(path, reference, found, code):
    with open(path, encoding="utf-8") as file:
        rows = [row for row in json.load(file)["outputs"] if not row["slice"]]
    if len(rows) != len(reference):
        return [Fault("compare", "figures", f"{len(rows)} outputs, expected {len(reference)}")]
    for row, r, y in zip(rows, reference, found):
        if r.dtype != y.dtype or r.shape != y.shape:
            return [Fault("run quantized", "wrong border", f"expected {r.dtype}{list(r.shape)}, found {y.dtype}{list(y.shape)}")]
        if r.dtype.kind != "f" or r.size == 0 or not (np.isfinite(r).all() and np.isfinite(y).all()):
            continue
        if code == 1:
            return []
        want, have = snr_db(r, y), row["snr_db"]
        if have is None or want > 60 or np.abs(r).max() < 1e-6:
            continue
        if abs(min(want, 100) - have) > 1:
            return [Fault("compare", "figures", f"output {row['name']}: compare says {have} dB, the files {want:.2f} dB")]
    return []
