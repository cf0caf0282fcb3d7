#!/usr/bin/env python3
"""Makes tests/data/torchscript: small TorchScript files with inputs and outputs.

Needs PyTorch (Debian's python3-torch, 1.13.1, made the files in the repository) and nothing else:
    python3 scripts/make_torchscript_data.py tests/data/torchscript [NETWORK …]
Per network NAME.<kind>.pt (script, trace, frozen, mobile) and NAME.npz with the inputs under
"in.<name>", in order, and what the network gives for them under "out.<i>"; of a network with state
also "out2.<i>", what it gives when it is called with the same inputs again.
"""
import struct
import sys
import zipfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.ao.quantization import (DeQuantStub, QConfig, QuantStub, convert, default_dynamic_qconfig,
                                   default_per_channel_weight_observer,
                                   float_qparams_weight_only_qconfig, fuse_modules,
                                   float_qparams_weight_only_qconfig_4bit, get_default_qconfig,
                                   prepare, quantize_dynamic)
from torch.utils.mobile_optimizer import optimize_for_mobile


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8),
                                  nn.Hardtanh(0.0, 6.0, inplace=True))
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + torch.relu(self.norm(self.depth(x)))
        return torch.softmax(self.head(self.drop(x.mean([2, 3]))), 1)


class Containers(nn.Module):
    """Lists, dicts, tuples, optional values, string and integer arithmetic."""

    scale: int

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
        self.scale = 3
        self.table = {"a": torch.full([6], 0.5), "b": torch.arange(6, dtype=torch.float32)}

    def pick(self, x: Tensor, which: str) -> Tuple[Tensor, int]:
        if which == "last":
            return x[-1], x.dim()
        return x[0], -1

    def forward(self, x: Tensor, bias: Optional[Tensor] = None, mode: str = "last") -> Dict[str, Tensor]:
        kept: List[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i % 2 == 0:
                kept.append(x * self.scale)
        if bias is not None:
            x = x + bias
        row, rank = self.pick(x, mode)
        sizes = [x.size(0), -1, 2]
        if len(kept) != 2 or rank < 0:
            raise ValueError("never: {}".format(len(kept)))
        x = x + self.table["a"] * self.table["b"]
        out = {"split": x.view(sizes), "sum": torch.stack(kept).sum(0)}
        out["row"] = row[1:-1]
        return out


class Branches(nn.Module):
    """Branches and loops whose course is known in a run only."""

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        if bool(x.sum() > 0):
            y = x * 2.0
            k = 1
        else:
            y = x - 1.0
            k = 2
        total = torch.zeros_like(x)
        i = 0
        while bool(total.abs().max() < 4.0) and i < 10:
            total = total + torch.abs(y) + 0.1
            i += 1
        for _ in range(int(n)):
            total = total * 0.5
        return total + k, y + i


class Marks(nn.Module):
    """A loop whose rounds are known in a run only writes tensors in place; numbers by way of tensors."""

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        mark, total = torch.zeros(x.size(0)), x.clone()
        for i in range(int(n)):
            at = torch.where(x[:, 0] > float(i))[0]
            mark[at] = float(i) + 1.0
            total.mul_(0.5)
        scale = 2.0 ** float(torch.tensor(float(x.size(1)) / 12.0).log2().round())
        return mark * scale, total


class Memory(nn.Module):
    """State: a tensor that is replaced, one that is written in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("hidden", torch.zeros(1, 4))
        self.register_buffer("seen", torch.zeros(4))
        self.cell = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.hidden = torch.tanh(self.cell(x) + self.hidden)
        self.seen.add_(x[0])
        return self.hidden + self.seen


class Writes(nn.Module):
    """Writes through views."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, 0] = 1.0
        y[1:3].mul_(2.0)
        row = y[0]
        row += 3.0
        z = y.transpose(0, 1)
        z[2].fill_(-1.0)
        return y * z.sum()


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.rnn = nn.LSTM(8, 6, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, 3)

    def forward(self, ids):
        y, (h, c) = self.rnn(self.table(ids))
        return self.out(y), h, c


class Stream(nn.Module):
    """State that grows from nothing in the first run, and numbers that settle in it."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(6, 4)
        self.reset()

    @torch.jit.export
    def reset(self):
        self.state = torch.zeros(0)
        self.context = torch.zeros(0)
        self.last_rate = 0

    def forward(self, x: Tensor, rate: int) -> Tensor:
        if rate != 8 and rate != 16:
            raise ValueError("a rate of {}".format(rate))
        if self.last_rate and self.last_rate != rate:
            self.reset()
        if not len(self.context):
            self.context = torch.zeros(x.size(0), 2)
        y = torch.cat([self.context, x], 1)
        if len(self.state):
            h, c = self.cell(y, (self.state[0], self.state[1]))
        else:
            h, c = self.cell(y)
        self.state = torch.stack([h, c])
        self.context = y[..., -2:]
        self.last_rate = rate
        return h * float(rate)


class Quantized(nn.Module):
    """torch.ao's modules: packed weights, one scale for all or one a channel."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = QuantStub(), DeQuantStub()
        self.conv, self.relu = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU()
        self.depth, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        self.one = nn.Conv1d(8, 8, 3, padding=1)
        self.hard = nn.Hardswish()
        self.head, self.last, self.out = nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 5)
        self.sum, self.join, self.scaled, self.moved, self.product = [nn.quantized.FloatFunctional()
                                                                      for _ in range(5)]

    def forward(self, x):
        x = self.relu(self.conv(self.enter(x)))
        y = self.norm(self.depth(x))
        x = self.sum.add(x, y)
        y = self.moved.add_scalar(self.scaled.mul_scalar(self.hard(x), -0.5), 0.25)
        y = self.product.mul(torch.sigmoid(y), y)
        x = self.join.cat([torch.max_pool2d(x, 2), torch.max_pool2d(y, 2)], 1)
        z = self.one(y.flatten(2)).mean(2)
        x = torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        x = self.out(self.last(self.head(x)))
        return self.leave(x), self.leave(z)


class Tables(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.bags = nn.Embedding(9, 8), nn.EmbeddingBag(7, 8, mode="sum")
        self.lin = nn.Linear(8, 4)

    def forward(self, ids):
        return self.lin(self.rows(ids) + self.bags(ids.clamp(0, 6)).unsqueeze(1))


class Halves(nn.Module):
    """Tables of 4 bits."""

    def __init__(self):
        super().__init__()
        self.rows, self.bags = nn.Embedding(9, 10), nn.EmbeddingBag(7, 6, mode="sum")

    def forward(self, ids):
        return self.rows(ids), self.bags(ids.clamp(0, 6))


class Recurrent(nn.Module):
    """Dynamically quantized recurrent layers and cells."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, 2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(10, 4)
        self.cell, self.gates, self.plain = nn.LSTMCell(4, 3), nn.GRUCell(4, 3), nn.RNNCell(4, 3)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        z, g = self.gru(y.transpose(0, 1))
        a, b = self.cell(z[-1])
        return z, h, c, g, a, b, self.gates(z[0]), self.plain(z[1])


def quantized(net, examples):
    torch.backends.quantized.engine = "qnnpack"
    net.eval()
    net = fuse_modules(net, [["conv", "relu"], ["head", "last"]])
    net.qconfig = get_default_qconfig("qnnpack")
    net.depth.qconfig = QConfig(net.qconfig.activation, default_per_channel_weight_observer)
    net = prepare(net)
    for x in examples:
        net(x)
    net = convert(net)
    # A script takes numbers of one-element tensors without dims only.
    net.norm.scale, net.norm.zero_point = net.norm.scale.view(()), net.norm.zero_point.view(())
    return net


def quantized_tables(net):
    torch.backends.quantized.engine = "qnnpack"
    net.rows.qconfig = net.bags.qconfig = float_qparams_weight_only_qconfig
    net.lin.qconfig = default_dynamic_qconfig
    return convert(prepare(net.eval()), mapping={
        nn.Embedding: nn.quantized.Embedding, nn.EmbeddingBag: nn.quantized.EmbeddingBag,
        nn.Linear: nn.quantized.dynamic.Linear})


def quantized_halves(net):
    torch.backends.quantized.engine = "qnnpack"
    net.rows.qconfig = net.bags.qconfig = float_qparams_weight_only_qconfig_4bit
    net = convert(prepare(net.eval()), mapping={
        nn.Embedding: nn.quantized.Embedding, nn.EmbeddingBag: nn.quantized.EmbeddingBag})
    net.rows.dtype = torch.quint4x2  # convert forgets it in this version and calls the operator for bytes
    return net


def quantized_recurrent(net):
    torch.backends.quantized.engine = "qnnpack"
    return quantize_dynamic(net.eval(), {nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell})


def npy(tensor):
    kinds = {torch.float32: ("<f4", "f"), torch.int64: ("<i8", "q"), torch.bool: ("|b1", "?")}
    descr, code = kinds[tensor.dtype]
    shape = "".join(f"{d}, " for d in tensor.shape)
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    flat = tensor.contiguous().flatten().tolist()
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + struct.pack(f"<{len(flat)}{code}", *flat))


def flatten(value):
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [t for item in items for t in flatten(item)]


def save(folder, name, net, inputs, kinds, twice=False):
    if ONLY and name not in ONLY:
        return
    net.eval()
    scripted = torch.jit.script(net)
    example = tuple(inputs.values())
    tensors = {key: value for key, value in inputs.items() if isinstance(value, Tensor)}
    made = {"script": lambda: scripted,
            "trace": lambda: torch.jit.trace(net, example),
            "frozen": lambda: torch.jit.freeze(scripted),
            "mobile": lambda: optimize_for_mobile(scripted)}
    for kind in kinds:
        torch.jit.save(made[kind](), str(folder / f"{name}.{kind}.pt"))
    entries = {f"in.{key}": value.clone() for key, value in tensors.items()}
    for prefix in ["out", "out2"][: 2 if twice else 1]:
        with torch.no_grad():
            for i, t in enumerate(flatten(scripted(*[v.clone() if isinstance(v, Tensor) else v for v in example]))):
                entries[f"{prefix}.{i}"] = t
    with zipfile.ZipFile(folder / f"{name}.npz", "w") as archive:
        for key, value in entries.items():
            archive.writestr(zipfile.ZipInfo(key + ".npy", (1980, 1, 1, 0, 0, 0)), npy(value))


ONLY = sys.argv[2:]


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    net = ConvNet()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    save(folder, "convnet", net, {"x": torch.randn(2, 3, 9, 7)},
         ["script", "trace", "frozen", "mobile"])
    save(folder, "containers", Containers(), {"x": torch.randn(3, 6), "bias": torch.randn(6)},
         ["script"])
    save(folder, "branches", Branches(), {"x": torch.randn(2, 3), "n": torch.tensor(3)},
         ["script"])
    save(folder, "memory", Memory(), {"x": torch.randn(1, 4)}, ["script"], twice=True)
    save(folder, "writes", Writes(), {"x": torch.randn(4, 4)}, ["script", "trace"])
    save(folder, "words", Words(), {"ids": torch.randint(0, 11, (2, 5))}, ["script", "trace"])
    save(folder, "marks", Marks(), {"x": torch.randn(5, 3) * 3, "n": torch.tensor(4)}, ["script"])
    torch.manual_seed(8)
    save(folder, "stream", Stream(), {"x": torch.randn(1, 4), "rate": 16}, ["script"], twice=True)
    image = torch.randn(2, 3, 8, 8)
    save(folder, "quantized", quantized(Quantized(), [torch.randn(4, 3, 8, 8) for _ in range(6)]),
         {"x": image}, ["script", "frozen"])
    save(folder, "tables", quantized_tables(Tables()), {"ids": torch.randint(0, 9, (3, 4))},
         ["script"])
    torch.manual_seed(9)
    save(folder, "halves", quantized_halves(Halves()), {"ids": torch.randint(0, 9, (3, 4))},
         ["script"])
    save(folder, "recurrent", quantized_recurrent(Recurrent()), {"x": torch.randn(3, 5, 6)},
         ["script", "trace"])


if __name__ == "__main__":
    main()
