#!/usr/bin/env python3
"""Fills the expected numbers of the TensorFlow Lite cases in with what LiteRT computes.

  fill_cases.py FILE.txt...

Needs ai-edge-litert, flatbuffers and numpy. A case is

  case NAME
  op OPERATOR [KIND slot:type=value...]     kind and fields of its options
  in|const TYPE[dims]{quantization} = values   its operands in order; ramp: -0.5 to 0.5, codes: spread
  none | variable TYPE[dims]
  then OPERATOR                             another one on the first result
  out TYPE[dims]{quantization} [~ tolerance] = values

with {scale,zero} or {scale scale@axis}.
"""
import re
import sys

import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

TYPES = {"f32": (0, np.float32), "f16": (1, np.float16), "i32": (2, np.int32), "u8": (3, np.uint8),
         "i64": (4, np.int64), "bool": (6, np.bool_), "i16": (7, np.int16), "c64": (8, np.complex64),
         "i8": (9, np.int8), "i4": (17, np.int8)}
OPERAND = re.compile(r"(\w+)\[([\d,]*)\](?:\{([^}]*)\})?(?:\s*~\s*(\S+))?(?:\s*=\s*(.*))?$")


def packed(t):
    """The bytes of a constant: of two 4-bit numbers the first in the low bits."""
    if t["type"] != "i4":
        return t["data"].tobytes()
    codes = [int(v) & 15 for v in t["data"].ravel()] + [0]
    return bytes(codes[i] | codes[i + 1] << 4 for i in range(0, len(codes) - 1, 2))


def values_of(text, dtype, count, bits=8):
    if text == "ramp":
        return np.array([((i * 7) % count) / count - 0.5 for i in range(count)], dtype)
    if text == "codes":
        if bits == 4:
            return np.array([-7 + (i * 37) % 15 for i in range(count)], dtype)
        low = -100 if dtype != np.uint8 else 28
        return np.array([low + (i * 37) % 200 for i in range(count)], dtype)
    return np.array([float(v) for v in text.split()]).astype(dtype)


def operand(text):
    kind, dims, quant, _, values = OPERAND.match(text).groups()
    shape = [int(d) for d in dims.split(",") if d]
    data = None
    if values is not None:
        data = values_of(values, TYPES[kind][1], int(np.prod(shape)), 4 if kind == "i4" else 8).reshape(shape)
    return {"type": kind, "shape": shape, "quant": quant, "data": data}


class Writer:
    """The tables of a model, from their slots."""

    def __init__(self):
        self.b = flatbuffers.Builder(1024)

    def numbers(self, values, put, width):
        self.b.StartVector(width, len(values), width)
        for v in reversed(values):
            put(v)
        return self.b.EndVector()

    def ints(self, values):
        return self.numbers(values, self.b.PrependInt32, 4)

    def offsets(self, values):
        return self.numbers(values, self.b.PrependUOffsetTRelative, 4)

    def table(self, fields):
        """fields: (slot, type, value); offsets are type "@"."""
        self.b.StartObject(max([slot for slot, _, _ in fields], default=-1) + 1)
        for slot, kind, value in fields:
            if kind == "@":
                self.b.PrependUOffsetTRelativeSlot(slot, value, 0)
            elif kind == "f32":
                self.b.PrependFloat32Slot(slot, float(value), None)
            elif kind in ("i8", "bool"):
                self.b.PrependInt8Slot(slot, int(value), None)
            elif kind == "u8":
                self.b.PrependUint8Slot(slot, int(value), None)
            else:
                self.b.PrependInt32Slot(slot, int(value), None)
        return self.b.EndObject()

    def options(self, fields):
        ready = []
        for field in fields:
            slot, kind, value = re.match(r"(\d+):(\w+)=(.*)", field).groups()
            if kind == "i32s":
                ready.append((int(slot), "@", self.ints([int(v) for v in value.split(",")])))
            elif kind == "f32s":
                floats = [float(v) for v in value.split(",")]
                ready.append((int(slot), "@", self.numbers(floats, self.b.PrependFloat32, 4)))
            else:
                ready.append((int(slot), kind, value))
        return self.table(ready)

    def quantization(self, text):
        if "@" in text:
            scales, axis = text.split("@")
            scales, zeros = [float(s) for s in scales.split()], None
        else:
            scale, zero = text.split(",")
            scales, zeros, axis = [float(scale)], [int(zero)], 0
        zeros = zeros or [0] * len(scales)
        s = self.numbers(scales, self.b.PrependFloat32, 4)
        z = self.numbers(zeros, self.b.PrependInt64, 8)
        return self.table([(2, "@", s), (3, "@", z), (6, "i32", int(axis))])


def codes(names):
    """Numbers of operators, from the front end's own list."""
    path = __file__.rsplit("tests/", 1)[0] + "libconvert/frontends/tflite/op_map.cc"
    with open(path) as file:
        found = dict((n, int(c)) for c, n in re.findall(r'\{(\d+), "(\w+)"', file.read()))
    return [found[n] for n in names]


def build(case):
    w = Writer()
    buffers, tensors = [None], []

    def add(t):
        buffer = 0
        if t.get("constant"):
            buffers.append(packed(t))
            buffer = len(buffers) - 1
        fields = [(0, "@", w.ints(t["shape"])), (1, "i8", TYPES[t["type"]][0]), (2, "i32", buffer),
                  (3, "@", w.b.CreateString(t["name"]))]
        if t["quant"]:
            fields.append((4, "@", w.quantization(t["quant"])))
        if t.get("variable"):
            fields.append((5, "bool", 1))
        tensors.append(w.table(fields))
        return len(tensors) - 1

    operands = [-1 if t is None else add(t) for t in case["operands"]]
    results = [add(t) for t in case["results"]]
    inputs = [i for i, t in zip(operands, case["operands"]) if t and t.get("input")]
    steps = [(case["op"], case["options"], operands, results)]
    if case["then"]:
        middle_type = "c64" if case["op"] == "RFFT2D" else "f32"
        middle = add({"type": middle_type, "shape": case["results"][0]["shape"], "quant": None, "name": "middle"})
        steps = [(case["op"], case["options"], operands, [middle]), (case["then"], [], [middle], results)]
    operators = []
    for index, (_, options, used, made) in enumerate(steps):
        fields = [(0, "i32", index), (1, "@", w.ints(used)), (2, "@", w.ints(made))]
        if options:
            fields += [(3, "u8", int(options[0])), (4, "@", w.options(options[1:]))]
        operators.append(w.table(fields))
    graph = w.table([(0, "@", w.offsets(tensors)), (1, "@", w.ints(inputs)), (2, "@", w.ints(results)),
                     (3, "@", w.offsets(operators))])
    versions = case["version"]
    op_codes = [w.table([(0, "i8", min(c, 127)), (2, "i32", versions), (3, "i32", c)])
                for c in codes([s[0] for s in steps])]
    made = []
    for data in buffers:
        fields = []
        if data is not None:
            w.b.StartVector(1, len(data), 16)
            w.b.head -= len(data)
            w.b.Bytes[w.b.head:w.b.head + len(data)] = data
            fields.append((0, "@", w.b.EndVector()))
        made.append(w.table(fields))
    model = w.table([(0, "i32", 3), (1, "@", w.offsets(op_codes)), (2, "@", w.offsets([graph])),
                     (4, "@", w.offsets(made))])
    w.b.Finish(model, file_identifier=b"TFL3")
    return bytes(w.b.Output())


def parse(lines):
    case = {"operands": [], "results": [], "options": [], "then": None, "version": 1}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "op":
            case["op"], *case["options"] = rest.split()
        elif word == "then":
            case["then"] = rest
        elif word == "none":
            case["operands"].append(None)
        elif word in ("in", "const", "variable"):
            t = operand(rest)
            t.update(name=f"x{len(case['operands'])}", input=word == "in", constant=word == "const",
                     variable=word == "variable")
            case["operands"].append(t)
        elif word == "out":
            t = operand(rest)
            t.update(name=f"y{len(case['results'])}")
            case["results"].append(t)
    return case


def run(case):
    first = None
    for version in range(1, 9):
        case["version"] = version
        try:
            interpreter = Interpreter(model_content=build(case),
                                      experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
            interpreter.allocate_tensors()
            feeds = [t for t in case["operands"] if t and t["input"]]
            for details, t in zip(interpreter.get_input_details(), feeds):
                interpreter.set_tensor(details["index"], t["data"])
            interpreter.invoke()
            return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
        except (RuntimeError, ValueError) as error:
            first = first or error
    raise first


def shown(array):
    flat = np.asarray(array).ravel()
    if flat.dtype == np.bool_:
        flat = flat.astype(int)
    return " ".join(f"{v:.9g}" if flat.dtype.kind == "f" else str(v) for v in flat)


def main():
    failed = 0
    for path in sys.argv[1:]:
        with open(path) as file:
            blocks = file.read().strip().split("\n\n")
        for index, block in enumerate(blocks):
            lines = block.split("\n")
            start = next((i for i, l in enumerate(lines) if l.startswith("case ")), None)
            if start is None or "by hand" in block:
                continue
            case = parse(lines[start:])
            try:
                results = run(case)
            except (RuntimeError, ValueError) as error:
                print(f"{path}: {lines[start]}: {str(error)[:200]}", file=sys.stderr)
                failed += 1
                continue
            for i, line in enumerate(lines):
                if line.startswith("out "):
                    result = results.pop(0)
                    head = line.split(" =")[0]
                    dims = ",".join(str(d) for d in result.shape)
                    head = re.sub(r"\[[\d,]*\]", f"[{dims}]", head, count=1)
                    lines[i] = f"{head} = {shown(result)}"
            blocks[index] = "\n".join(lines)
        with open(path, "w") as file:
            file.write("\n\n".join(blocks) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
