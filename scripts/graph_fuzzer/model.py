"""From a seed to a model with inputs: which families, how many nodes, what is dynamic."""
import numpy as np
from onnx import helper, numpy_helper

from . import elementwise, linear, nesting, networks, reducing, reshaping, spatial
from .draft import Draft, elem_type, make_model, noise, ort_session, value_info

FAMILIES = {}
for module in (elementwise, spatial, linear, reshaping, reducing, nesting, networks):
    FAMILIES.update(module.FAMILY)
# Inside sub-graphs: small pieces.
INNER = {k: v for m in (elementwise, reshaping, reducing) for k, v in m.FAMILY.items()}
INNER["matmul"], INNER["if"] = linear.FAMILY["matmul"], (nesting.if_, 1)
NETWORK = {**networks.FAMILY, **{k: FAMILIES[k] for k in ("conv", "pool", "concat", "unary", "binary", "resize")}}
NEWEST = 24  # the newest opset ONNX Runtime takes as released
OPSETS = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, NEWEST)


def add_some(draft, families):
    names = list(families)
    weights = np.asarray([families[n][1] for n in names], float)
    name = names[int(draft.rng.choice(len(names), p=weights / weights.sum()))]
    try:
        made = families[name][0](draft)
    except (ValueError, IndexError):  # operands that do not fit what the generator had in mind
        made = None
    if made is not None:
        draft.root.families.append(name)


class Case:
    def __init__(self, model, bindings, families, quantizable):
        self.model, self.bindings, self.families, self.quantizable = model, bindings, families, quantizable


def read_names(graph):
    """Every name that nodes read, in sub-graphs too."""
    names = set()
    for node in graph.node:
        names.update(node.input)
        for a in node.attribute:
            if a.HasField("g"):
                names |= read_names(a.g) | {o.name for o in a.g.output}
    return names


def make_case(seed, only=None):
    """A Case, or None when nothing came of the seed. `only`: names of families."""
    rng = np.random.default_rng(seed)
    opset = int(rng.choice(OPSETS)) if rng.random() < 0.7 else int(rng.choice([13, 17, 18, 21]))
    draft = Draft(rng, opset)
    style = rng.random()
    families = FAMILIES if style < 0.6 else NETWORK
    if style > 0.85:  # one family again and again
        module = [elementwise, spatial, linear, reshaping, reducing, nesting][int(rng.integers(6))]
        families = module.FAMILY
    if only:
        families = {k: v for k, v in FAMILIES.items() if k in only}
    if families is NETWORK:
        draft.odd = False
    for _ in range(int(rng.integers(2, 11))):
        add_some(draft, families)
    if not draft.nodes:
        return None
    read = set()
    for node in draft.nodes:
        read |= set(node.input)
    read |= read_names(helper.make_graph(draft.nodes, "g", [], []))
    made = [v for v in draft.vars if v.name in draft.made and v.is_tensor]
    outputs = [v for v in made if v.name not in read or rng.random() < 0.08]
    outputs = outputs[-6:] or made[-1:]
    if not outputs:
        return None
    return finish(draft, outputs, rng)


def finish(draft, outputs, rng):
    inputs = [(v, dims) for v, dims in draft.inputs]
    dynamic = draft.dynamic
    infos = []
    for v, dims in inputs:
        declared = [d if dynamic or not isinstance(d, str) else draft.symbols[d] for d in dims]
        if dynamic and rng.random() < 0.05:
            declared = [None if isinstance(d, str) else d for d in declared]
        infos.append(value_info(v.name, v.value, declared))
    # The branches of an If may differ in rank, and a Squeeze may meet more dims of 1.
    open_rank = any(n.op_type == "If" or n.op_type == "Squeeze" and len(n.input) == 1 for n in draft.nodes)
    outs = [open_rank_info(v) if open_rank else value_info(v.name, v.value, [None] * v.rank) for v in outputs]
    initializers = [numpy_helper.from_array(a, n) for n, a in draft.initializers.items()]
    graph = helper.make_graph(draft.nodes, "graph", infos, outs, initializers)
    model = make_model(graph, draft.opset)
    bindings = [[v.value for v, _ in inputs]]
    if dynamic:
        for _ in range(2):
            sizes = {"n": int(rng.integers(1, 5)), "s": int(rng.integers(1, 10)), "t": int(rng.integers(1, 7))}
            bindings.append([noise(rng, [sizes.get(d, d) for d in dims], v.value.dtype) for v, dims in inputs])
    floats = bool(inputs) and all(v.value.dtype == np.float32 and v.value.size for v, _ in inputs)
    matrix = any(n.op_type in ("Conv", "Gemm", "MatMul", "ConvTranspose") for n in draft.nodes)
    return Case(model, bindings, draft.families, floats and matrix and not draft.odd)


def open_rank_info(v):
    return helper.make_tensor_value_info(v.name, elem_type(v.dtype), None)


def expected(model, arrays):
    """What ONNX Runtime makes of the model; None when it refuses."""
    feeds = dict(zip([i.name for i in model.graph.input], arrays))
    try:
        results = ort_session(model).run(None, feeds)
    except Exception:  # whatever ONNX Runtime objects to
        return None
    return results if all(isinstance(r, np.ndarray) for r in results) else None
