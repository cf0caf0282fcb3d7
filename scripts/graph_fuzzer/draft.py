"""A graph under construction. Every node runs in ONNX Runtime as it is added: what it refuses is not
added, and the generators know the type, shape and elements of every value."""
import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper

FLOATS = (np.float32, np.float16, np.float64)
INTS = (np.int64, np.int32, np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64)
MAX_ELEMENTS = 6000
MICROSOFT = "com.microsoft"
# IR versions that the opsets came with, but none in which initializers are inputs.
IR_VERSIONS = ((7, 4), (10, 5), (11, 6), (12, 7), (15, 8), (19, 9), (21, 10), (23, 11))


def ort_session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def ir_version(opset):
    return max(ir for least, ir in IR_VERSIONS if least <= max(opset, 7))


def make_model(graph, opset):
    imports = [helper.make_opsetid("", opset)]
    if uses_microsoft(graph):
        imports.append(helper.make_opsetid(MICROSOFT, 1))
    model = helper.make_model(graph, opset_imports=imports)
    model.ir_version = ir_version(opset)
    return model


def uses_microsoft(graph):
    for node in graph.node:
        if node.domain == MICROSOFT:
            return True
        for attribute in node.attribute:
            if attribute.HasField("g") and uses_microsoft(attribute.g):
                return True
    return False


def elem_type(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def value_info(name, value, dims=None):
    """`dims`: numbers, symbols, or None for an open one; default: the value's own."""
    if isinstance(value, list):
        element = helper.make_tensor_type_proto(elem_type(value[0].dtype), None)
        return helper.make_value_info(name, helper.make_sequence_type_proto(element))
    return helper.make_tensor_value_info(name, elem_type(value.dtype), value.shape if dims is None else dims)


class Var:
    """A value: its name and what it is for the draft's own inputs. A list is a sequence."""

    def __init__(self, name, value, constant=False):
        self.name, self.value, self.constant = name, value, constant

    @property
    def is_tensor(self):
        return not isinstance(self.value, list)

    @property
    def dtype(self):
        return self.value.dtype.type

    @property
    def shape(self):
        return self.value.shape

    @property
    def rank(self):
        return self.value.ndim


class Draft:
    def __init__(self, rng, opset, parent=None):
        self.rng, self.opset, self.parent = rng, opset, parent
        self.nodes, self.vars = [], []
        self.initializers = {}   # name -> array
        self.inputs = []         # (Var, dims): dims with symbols
        self.symbols = {"n": 2, "s": 5, "t": 3}  # what they are while the graph is made
        self.made = set()        # names a node makes
        self.root = parent.root if parent else self
        if parent is None:
            self.counter = 0
            self.families = []
            self.odd = rng.random() < 0.12  # a graph that may hold NaN, infinities and large numbers
            self.dynamic = rng.random() < 0.5  # inputs keep their symbols

    # -- names, inputs, constants

    def name(self, prefix="v"):
        self.root.counter += 1
        return f"{prefix}{self.root.counter}"

    def chance(self, p):
        return self.rng.random() < p

    def choice(self, items):
        return items[int(self.rng.integers(len(items)))]

    def int(self, low, high):
        """Both included."""
        return int(self.rng.integers(low, high + 1))

    def dim(self):
        """A size, or a symbol."""
        return self.choice(["n", "s", "t", 1, 2, 3, 4, 5, 7, 8] if self.chance(0.97) else [0, 1, 17, 33])

    def dims(self, rank=None):
        rank = self.choice([0, 1, 2, 2, 3, 3, 4, 4, 5]) if rank is None else rank
        return [self.dim() for _ in range(rank)]

    def sizes(self, dims):
        return [self.root.symbols.get(d, d) for d in dims]

    def noise(self, shape, dtype):
        return noise(self.rng, shape, dtype)

    def input(self, dims=None, dtype=None):
        """A new graph input; in a sub-graph a constant."""
        dims = self.dims() if dims is None else list(dims)
        dtype = self.float_type() if dtype is None else dtype
        value = self.noise(self.sizes(dims), dtype)
        if self.parent is not None:
            return self.constant(value)
        var = Var(self.name("x"), value)
        self.inputs.append((var, dims))
        self.vars.append(var)
        return var

    def constant(self, value, keep=False):
        """`keep`: generators may pick it as an operand."""
        value = np.asarray(value)
        if self.chance(0.15) and value.dtype != np.float16:
            var = Var(self.name("c"), value, True)
            self.nodes.append(helper.make_node("Constant", [], [var.name],
                                               value=numpy_helper.from_array(value, var.name)))
            self.made.add(var.name)
        else:
            var = Var(self.name("w"), value, True)
            self.initializers[var.name] = value
        if keep:
            self.vars.append(var)
        return var

    def ints(self, values):
        return self.constant(np.asarray(values, np.int64))

    def weights(self, shape, dtype=np.float32, scale=None):
        fan = max(1, int(np.prod(shape[1:]))) if len(shape) > 1 else 4
        scale = 1.0 / np.sqrt(fan) if scale is None else scale
        return self.constant((self.rng.standard_normal(shape) * scale).astype(dtype))

    def float_type(self):
        return self.choice([np.float32] * 8 + [np.float16, np.float64])

    # -- operands

    def visible(self):
        above = self.parent.visible() if self.parent else []
        return above + self.vars

    def pick(self, accept=None, make=None):
        """A tensor that `accept` takes, late ones more often, or what `make` makes; None: neither."""
        found = [v for v in self.visible() if v.is_tensor and (accept is None or accept(v))]
        if found and (make is None or self.chance(0.85)):
            at = len(found) - 1 - int(abs(self.rng.standard_normal()) * max(1, len(found) / 3))
            return found[max(0, at)]
        return make() if make else None

    def tensor(self, dtypes=FLOATS, low=0, high=8):
        """A tensor of one of the types with so many dimensions, a new input where there is none."""
        dtypes = dtypes if isinstance(dtypes, tuple) else (dtypes,)

        def make():
            dtype = np.float32 if np.float32 in dtypes and self.chance(0.8) else self.choice(list(dtypes))
            return self.input(self.dims(self.int(low, min(high, max(low, 4)))), dtype)
        return self.pick(lambda v: v.dtype in dtypes and low <= v.rank <= high, make)

    # -- nodes

    def evaluate(self, op, inputs, attributes, outputs, domain, graphs=()):
        """The node's results for the values at hand; None when ONNX Runtime refuses it."""
        names = [v.name if v else "" for v in inputs]
        outs = [self.name() if o else "" for o in outputs]
        node = helper.make_node(op, names, outs, domain=domain, **attributes)
        feeds = {v.name: v.value for v in inputs if v}
        for g in graphs:
            feeds.update({v.name: v.value for v in g})
        graph = helper.make_graph([node], "one", [value_info(k, v) for k, v in feeds.items()],
                                  [helper.make_empty_tensor_value_info(o) for o in outs if o])
        try:
            session = ort_session(make_model(graph, self.opset))
            results = session.run(None, feeds)
        except Exception:  # whatever ONNX Runtime objects to
            return None
        return node, results

    def acceptable(self, results):
        for r in results:
            for t in r if isinstance(r, list) else [r]:
                if not isinstance(t, np.ndarray) or t.size > MAX_ELEMENTS or t.ndim > 7:
                    return False
                if t.dtype.kind not in "fiub":
                    return False
                if t.dtype.kind == "f" and not self.root.odd and t.size:
                    limit = 1e4 if t.dtype != np.float16 else 1e3
                    if not np.isfinite(t).all() or np.abs(t).max() > limit:
                        return False
                if t.dtype.kind in "iu" and not self.root.odd and t.size and t.dtype.itemsize >= 4:
                    if np.abs(t.astype(np.float64)).max() > 1e9:
                        return False
            if isinstance(r, list) and not r:
                return False
        return True

    def add(self, op, inputs, attributes=None, outputs=1, domain="", graphs=()):
        """Adds a node. `outputs`: how many, or a list of whether each is wanted. The Vars of its
        outputs (one Var when there is one output), or None when it is refused or useless."""
        wanted = [True] * outputs if isinstance(outputs, int) else list(outputs)
        if any(v is False for v in inputs):
            return None
        attributes = {k: v for k, v in (attributes or {}).items() if v is not None}
        done = self.evaluate(op, inputs, attributes, wanted, domain, graphs)
        if done is None or not self.acceptable(done[1]):
            return None
        node, results = done
        node.name = f"{op}_{self.root.counter}"
        self.nodes.append(node)
        made, results = [], iter(results)
        for out in node.output:
            if not out:
                made.append(None)
                continue
            constant = bool(inputs) and all(v is None or v.constant for v in inputs) and not graphs
            made.append(Var(out, next(results), constant))
            self.vars.append(made[-1])
            self.made.add(out)
        return made[0] if len(made) == 1 else made


def noise(rng, shape, dtype):
    """Numbers that floats of every width hold exactly, some of them equal."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return np.asarray(rng.integers(0, 2, shape), bool)
    if dtype.kind == "f":
        return np.asarray(np.round(rng.standard_normal(shape) * 64) / 64, dtype)
    return np.asarray(rng.integers(0 if dtype.kind == "u" else -6, 12, shape), dtype)
