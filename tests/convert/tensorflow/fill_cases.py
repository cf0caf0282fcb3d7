#!/usr/bin/env python3
"""Fills the expected numbers of the TensorFlow cases in with what TensorFlow 2.18 computes.

  fill_cases.py FILE.txt...

Needs tensorflow-cpu. A case is

  case NAME
  in|const NAME TYPE[dims] = values           ramp: spread from -0.5 to 0.5
  node NAME OPERATOR(inputs) attr=kind:value  kinds: i b f s type ints floats types shape shapes
  out TENSOR TYPE[dims] [~ tolerance] = values

in any order. What an operator's own definition tells (types of inputs, how many) may be left out.
"""
import os
import re
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

TYPES = {"f32": tf.float32, "f64": tf.float64, "i32": tf.int32, "u8": tf.uint8, "i64": tf.int64,
         "bool": tf.bool, "i16": tf.int16, "i8": tf.int8, "c64": tf.complex64, "f16": tf.float16,
         "u16": tf.uint16, "u32": tf.uint32, "variant": tf.variant, "resource": tf.resource}
NAMES = {v: k for k, v in TYPES.items()}
OPERAND = re.compile(r"(\S+) (\w+)\[([\d,]*)\](?:\s*~\s*(\S+))?\s*=\s*(.*)$")
NODE = re.compile(r"(\S+) (\w+)\(([^)]*)\)\s*(.*)$")


def operand(text):
    name, kind, dims, _, values = OPERAND.match(text).groups()
    shape = [int(d) for d in dims.split(",") if d]
    count = int(np.prod(shape))
    dtype = TYPES[kind].as_numpy_dtype
    if values == "ramp":
        data = [((i * 7) % count) / count - 0.5 for i in range(count)]
    else:
        data = [float(v) for v in values.split()]
    return name, TYPES[kind], np.array(data, np.float64).astype(dtype).reshape(shape)


def shape_of(text):
    return tf.TensorShape([None if d == "?" else int(d) for d in text.split(",") if d])


def set_attribute(attr, kind, value):
    parts = [v for v in value.split(",") if v]
    if kind == "i":
        attr.i = int(value)
    elif kind == "b":
        attr.b = value == "true"
    elif kind == "f":
        attr.f = float(value)
    elif kind == "s":
        attr.s = value.encode()
    elif kind == "type":
        attr.type = TYPES[value].as_datatype_enum
    elif kind == "shape":
        attr.shape.CopyFrom(shape_of(value).as_proto() if value != "*"
                            else tf.TensorShape(None).as_proto())
    elif kind == "ints":
        attr.list.i.extend(int(v) for v in parts)
    elif kind == "floats":
        attr.list.f.extend(float(v) for v in parts)
    elif kind == "types":
        attr.list.type.extend(TYPES[v].as_datatype_enum for v in parts)
    else:
        raise ValueError(kind)


def add_told(node, types):
    """Attributes that the definition of the operator tells."""
    definition = op_def_registry.get(node.op)
    inputs = [i for i in node.input if not i.startswith("^")]
    at = 0
    for arg in definition.input_arg:
        count = 1
        if arg.number_attr:
            if arg.number_attr not in node.attr:
                count = len(inputs) - len(definition.input_arg) + 1
                if node.op in ("DynamicStitch", "ParallelDynamicStitch"):
                    count = len(inputs) // 2
                node.attr[arg.number_attr].i = count
            count = node.attr[arg.number_attr].i
        elif arg.type_list_attr:
            count = len(inputs) - at
            if arg.type_list_attr not in node.attr:
                node.attr[arg.type_list_attr].list.SetInParent()
                node.attr[arg.type_list_attr].list.type.extend(
                    types[i].as_datatype_enum for i in inputs[at:at + count])
        if arg.type_attr and arg.type_attr not in node.attr and inputs[at] in types:
            node.attr[arg.type_attr].type = types[inputs[at]].as_datatype_enum
        at += count
    for attr in definition.attr:
        if attr.HasField("default_value") and attr.name not in node.attr:
            node.attr[attr.name].CopyFrom(attr.default_value)
    at = 0
    for arg in definition.output_arg:
        if arg.type_list_attr:
            for k, kind in enumerate(node.attr[arg.type_list_attr].list.type):
                types[node.name if k == 0 else "%s:%d" % (node.name, k)] = tf.as_dtype(kind)
            continue
        kind = arg.type or (node.attr[arg.type_attr].type if arg.type_attr else 0)
        count = node.attr[arg.number_attr].i if arg.number_attr else 1
        for k in range(count):
            types[node.name if at == 0 else "%s:%d" % (node.name, at)] = tf.as_dtype(kind or 1)
            at += 1


def graph_of(lines):
    graph, feeds, outs, types = tf.compat.v1.GraphDef(), {}, [], {}
    graph.versions.producer = 1882
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("in", "const"):
            name, dtype, data = operand(rest)
            node = graph.node.add(name=name, op="Placeholder" if word == "in" else "Const")
            node.attr["dtype"].type = dtype.as_datatype_enum
            if word == "in":
                node.attr["shape"].shape.CopyFrom(tf.TensorShape(data.shape).as_proto())
                feeds[name + ":0"] = data
            else:
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(data))
            types[name] = dtype
        elif word == "node":
            name, op, inputs, attributes = NODE.match(rest).groups()
            node = graph.node.add(name=name, op=op)
            node.input.extend(i.strip() for i in inputs.split(",") if i.strip())
            for text in attributes.split():
                key, _, value = text.partition("=")
                kind, _, value = value.partition(":")
                set_attribute(node.attr[key], kind, value)
        elif word == "out":
            outs.append(rest.split()[0])
    for _ in range(2):  # loops read what comes later
        for node in graph.node:
            if node.op not in ("Placeholder", "Const"):
                add_told(node, types)
    return graph, feeds, outs


def number(value):
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (int, np.integer)):
        return str(value)
    return "%.9g" % value


def run(graph, feeds, outs):
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default():
        tf.import_graph_def(graph, name="")
        with tf.compat.v1.Session(config=config) as session:
            return session.run([o if ":" in o else o + ":0" for o in outs], feeds)


def fill(lines):
    graph, feeds, outs = graph_of(lines)
    try:
        found = run(graph, feeds, outs)
    except Exception as error:
        if "has been removed" not in str(error):
            raise
        graph.versions.producer = 5  # an operator of before
        found = run(graph, feeds, outs)
    for i, line in enumerate(lines):
        if not line.startswith("out "):
            continue
        value = np.asarray(found.pop(0))
        tolerance = re.search(r"~\s*(\S+)", line)
        kind = NAMES[tf.as_dtype(value.dtype)]
        lines[i] = "out %s %s[%s]%s = %s" % (
            line.split()[1], kind, ",".join(str(d) for d in value.shape),
            " ~ " + tolerance.group(1) if tolerance else "",
            " ".join(number(v) for v in value.ravel()))


def main():
    for path in sys.argv[1:]:
        with open(path) as source:
            lines = source.read().splitlines()
        starts = [i for i, line in enumerate(lines) if line.startswith("case ")] + [len(lines)]
        for first, end in zip(starts, starts[1:]):
            part = [l for l in lines[first + 1:end] if l and not l.startswith("#")]
            places = [i for i in range(first + 1, end)
                      if lines[i] and not lines[i].startswith("#")]
            try:
                fill(part)
            except Exception as error:
                sys.exit("%s: %s: %s" % (path, lines[first], error))
            for place, line in zip(places, part):
                lines[place] = line
        with open(path, "w") as out:
            out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
