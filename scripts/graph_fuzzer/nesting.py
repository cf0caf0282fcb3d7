"""Control flow with sub-graphs that capture outer values, and sequences."""
import numpy as np
from onnx import helper, numpy_helper

from .draft import Draft, Var, elem_type, value_info


def grow(inner, count):
    """Adds up to `count` nodes of other families."""
    from .model import INNER, add_some  # which names the families of this file, too
    for _ in range(count):
        add_some(inner, INNER)


def finish(inner, inputs, outputs):
    """The sub-graph as a GraphProto; every output is made inside."""
    results = []
    for v in outputs:
        if v is not None and (v.name not in inner.made or any(v is r for r in results)):
            v = inner.add("Identity", [v])
        if v is None:
            return None
        results.append(v)
    initializers = [numpy_helper.from_array(a, n) for n, a in inner.initializers.items()]
    infos = [open_info(v) if inner.root.dynamic else value_info(v.name, v.value, None) for v in inputs]
    outs = [open_info(v) for v in results]
    return helper.make_graph(inner.nodes, inner.name("g"), infos, outs, initializers)


def open_info(v):
    return helper.make_tensor_value_info(v.name, elem_type(v.dtype), [None] * v.rank)


def captured(d, graphs):
    """The outer values that the graphs read, found by name."""
    used, names = set(), {v.name: v for v in d.visible()}
    names.update({n: Var(n, a, True) for n, a in every_initializer(d).items()})

    def walk(g, inside):
        inside = inside | {i.name for i in g.initializer} | {i.name for i in g.input}
        for node in g.node:
            for i in node.input:
                if i and i not in inside:
                    used.add(i)
            for a in node.attribute:
                if a.HasField("g"):
                    walk(a.g, inside)
            inside = inside | set(node.output)
        for o in g.output:
            if o.name not in inside:
                used.add(o.name)
    for g in graphs:
        walk(g, frozenset())
    return [names[n] for n in sorted(used) if n in names]


def every_initializer(d):
    above = every_initializer(d.parent) if d.parent else {}
    return {**above, **d.initializers}


def depth(d):
    return 0 if d.parent is None else 1 + depth(d.parent)


def last_tensor(inner):
    mine = [v for v in inner.vars if v.is_tensor]
    return mine[-1] if mine else inner.pick()


def if_(d):
    if depth(d) > 1 or not d.visible():
        return None
    condition = d.pick(lambda v: v.dtype == np.bool_ and v.value.size == 1 and v.rank <= 1, lambda: None)
    if condition is None or d.chance(0.5):
        x = d.tensor(np.float32)
        total = d.add("ReduceSum" if d.opset < 13 else "ReduceMax", [x], {"keepdims": 0})
        condition = d.add("Greater", [total, d.constant(np.asarray(0.1, x.dtype))]) if total else None
    if condition is None:
        return None
    then, other = Draft(d.rng, d.opset, d), Draft(d.rng, d.opset, d)
    grow(then, d.int(1, 3))
    grow(other, d.int(1, 3))
    a, b = last_tensor(then), last_tensor(other)
    if a is None or b is None:
        return None
    if a.dtype != b.dtype:
        b = other.add("Cast", [b], {"to": helper.np_dtype_to_tensor_dtype(np.dtype(a.dtype))})
    if b is None:
        return None
    graphs = [finish(then, [], [a]), finish(other, [], [b])]
    if None in graphs:
        return None
    return d.add("If", [condition], {"then_branch": graphs[0], "else_branch": graphs[1]}, 1, "", [captured(d, graphs)])


def inside_input(inner, value):
    v = Var(inner.name("i"), value)
    inner.vars.append(v)
    return v


def loop(d):
    if depth(d) > 0:
        return None
    start = d.tensor(np.float32, high=3)
    trips, counted = d.int(0 if d.chance(0.1) else 1, 4), d.chance(0.7)
    inner = Draft(d.rng, d.opset, d)
    i, condition = inside_input(inner, np.asarray(0, np.int64)), inside_input(inner, np.asarray(True))
    carried = inside_input(inner, start.value)
    grow(inner, d.int(1, 3))
    step = inner.add("Mul", [carried, inner.constant(np.asarray(0.5, np.float32))])
    other = inner.pick(lambda v: v.dtype == np.float32 and v.shape in ((), (1,), carried.shape) and v is not carried)
    following = inner.add("Add", [step, other]) if step and other else step
    if following is None or following.shape != carried.shape:
        return None
    if counted:
        go_on = inner.add("Identity", [condition])
    else:
        go_on = inner.add("Less", [i, inner.constant(np.asarray(trips, np.int64))])
    scan = inner.pick(lambda v: v.name in inner.made and v.dtype != np.bool_)
    # Without a trip the dims of what is collected are open.
    outputs = [go_on, following] + ([scan] if scan and trips and d.chance(0.7) else [])
    body = finish(inner, [i, condition, carried], outputs)
    if body is None:
        return None
    count = d.constant(np.asarray(trips, np.int64)) if counted or d.chance(0.5) else None
    first = None if counted and d.chance(0.5) else d.constant(np.asarray(True))
    if count is None and first is None:
        return None
    return d.add("Loop", [count, first, start], {"body": body}, len(outputs) - 1, "", [captured(d, [body])])


def scan(d):
    if depth(d) > 0 or d.opset < 9:
        return None
    x = d.tensor(np.float32, low=1, high=4)
    if x.value.size == 0:
        return None
    axis = d.int(0, x.rank - 1) if d.chance(0.3) else 0
    inner = Draft(d.rng, d.opset, d)
    piece = np.take(x.value, 0, axis)
    state_value = d.noise(piece.shape, np.float32)
    state = inside_input(inner, state_value)
    element = inside_input(inner, piece)
    grow(inner, d.int(0, 2))
    following = inner.add("Add", [inner.add("Mul", [state, inner.constant(np.asarray(0.5, np.float32))]), element])
    if following is None:
        return None
    made = inner.pick(lambda v: v.name in inner.made)
    body = finish(inner, [state, element], [following, made])
    if body is None:
        return None
    attributes = {"num_scan_inputs": 1, "body": body}
    if axis:
        attributes["scan_input_axes"] = [axis]
    if d.chance(0.3):
        attributes["scan_input_directions"] = [1]
    if d.chance(0.3):
        attributes["scan_output_directions"] = [1]
    return d.add("Scan", [d.constant(state_value), x], attributes, 2, "", [captured(d, [body])])


def sequence(d):
    if d.opset < 11:
        return None
    x = d.tensor(np.float32, low=1)
    lists = [v for v in d.visible() if not v.is_tensor and v.value[0].dtype == np.float32]
    op = d.choice(["construct", "at", "insert", "erase", "length", "concat", "split"])
    if op == "split":
        axis = d.int(0, x.rank - 1)
        # With lengths given ONNX does not look at keepdims, ONNX Runtime does.
        if d.chance(0.6):
            return d.add("SplitToSequence", [x, d.constant(np.int64(d.int(1, 2)))], {"axis": axis})
        return d.add("SplitToSequence", [x], {"axis": axis, "keepdims": d.int(0, 1)})
    if op == "construct" or not lists:
        parts = [x] + [d.pick(lambda v: v.dtype == np.float32 and v.shape[1:] == x.shape[1:] and v.rank == x.rank,
                              lambda: x) for _ in range(d.int(0, 2))]
        return d.add("SequenceConstruct", parts)
    s = d.choice(lists)
    position = d.constant(np.asarray(d.int(-len(s.value), len(s.value) - 1), d.choice([np.int64, np.int32])))
    if op == "at":
        return d.add("SequenceAt", [s, position])
    if op == "insert":
        return d.add("SequenceInsert", [s, x] + ([position] if d.chance(0.5) else []))
    if op == "erase" and len(s.value) > 1:
        return d.add("SequenceErase", [s, position])
    if op == "concat":
        new = d.int(0, 1)
        return d.add("ConcatFromSequence", [s], {"axis": 0, "new_axis": new})
    return d.add("SequenceLength", [s])


FAMILY = {"if": (if_, 3), "loop": (loop, 3), "scan": (scan, 2), "sequence": (sequence, 3)}
