"""Makes a failing case smaller: one output, then every value that can be an input becomes one."""
import numpy as np
import onnx
from onnx import helper

from .draft import ort_session, value_info
from .model import read_names


def without_dead(model):
    """Keeps what the outputs need."""
    graph = model.graph
    needed = {o.name for o in graph.output}
    kept = []
    for node in reversed(graph.node):
        if not any(o in needed for o in node.output if o):
            continue
        kept.append(node)
        needed |= set(node.input) | read_names(helper.make_graph([node], "g", [], []))
    kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(kept)]
    del graph.node[:]
    graph.node.extend(kept)
    for field in (graph.initializer, graph.input):
        keep = [t for t in field if t.name in needed]
        keep = [type(t).FromString(t.SerializeToString()) for t in keep]
        del field[:]
        field.extend(keep)
    return model


def copy_of(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def with_outputs(model, names):
    copy = copy_of(model)
    keep = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in copy.graph.output if o.name in names]
    del copy.graph.output[:]
    copy.graph.output.extend(keep)
    return copy


def feeds_of(model, arrays):
    return dict(zip([i.name for i in model.graph.input], arrays))


def intermediate_values(model, arrays):
    """{name: array} of every tensor that top-level nodes make."""
    copy = copy_of(model)
    names = [o for n in copy.graph.node for o in n.output if o]
    del copy.graph.output[:]
    copy.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names)
    try:
        results = ort_session(copy).run(None, feeds_of(model, arrays))
    except Exception:  # whatever ONNX Runtime objects to
        return {}
    return {n: r for n, r in zip(names, results) if isinstance(r, np.ndarray)}


def as_input(model, feeds, name, value):
    """The model with the value `name` as an input, static."""
    copy = copy_of(model)
    for node in copy.graph.node:
        for i, o in enumerate(node.output):
            if o == name:
                node.output[i] = f"{name}_unused"
    copy.graph.input.append(value_info(name, value))
    copy = without_dead(copy)
    wanted = {i.name for i in copy.graph.input}
    return copy, {k: v for k, v in {**feeds, name: value}.items() if k in wanted}


def minimize(model, arrays, still_fails):
    """`still_fails(model, arrays)`. Returns the smallest model found and its inputs."""
    feeds = feeds_of(model, arrays)

    def attempt(candidate, candidate_feeds):
        arrays = [candidate_feeds[i.name] for i in candidate.graph.input]
        return still_fails(candidate, arrays)

    def restrict(candidate, all_feeds):
        return {i.name: all_feeds[i.name] for i in candidate.graph.input}

    for output in [o.name for o in model.graph.output]:
        candidate = without_dead(with_outputs(model, {output}))
        if attempt(candidate, restrict(candidate, feeds)):
            model, feeds = candidate, restrict(candidate, feeds)
            break
    values = intermediate_values(model, [feeds[i.name] for i in model.graph.input])
    # From the end: the first that works drops the most.
    for name in reversed(list(values)):
        if name in {o.name for o in model.graph.output} or not any(name in n.output for n in model.graph.node):
            continue
        candidate, candidate_feeds = as_input(model, feeds, name, values[name])
        if len(candidate.graph.node) < len(model.graph.node) and attempt(candidate, candidate_feeds):
            model, feeds = candidate, candidate_feeds
    return model, [feeds[i.name] for i in model.graph.input]
