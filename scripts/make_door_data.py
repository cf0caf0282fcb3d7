#!/usr/bin/env python3
"""Makes tests/data/doors: one network a folder's file through every door of PyTorch, and quantized programs.

  make_door_data.py OUT_DIR [NETWORK …]

Made with PyTorch 2.11.0, onnx 1.23 and torchao 0.18 (PyPI). Per network NAME.onnx (torch.onnx, opset 18), NAME.pt
(scripted), NAME.trace.pt, NAME.pt2 (torch.export) and NAME.golden.npz with in0… and out0…; of pt2e.* the program that
torchao's PT2E makes: pt2e (static, weights a scale per channel), pt2e_narrow (codes -127…127) and pt2e_dynamic.
"""
import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

F = torch.nn.functional


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.depth, self.depth_norm = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8)
        self.point = nn.Conv2d(8, 8, 1)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu6(self.norm(self.stem(x)))
        y = F.silu(self.depth_norm(self.depth(x)))
        y = y * torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        x = F.hardswish(x + self.point(y))
        return torch.softmax(self.head(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1))), 1)


class Attention(nn.Module):
    heads: int

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, w = x.shape
        qkv = self.qkv(x).reshape(n, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return self.out(y.transpose(1, 2).reshape(n, t, w))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.place = nn.Conv2d(3, 16, 4, stride=4), nn.Parameter(torch.randn(1, 4, 16) / 4)
        self.first, self.second, self.last = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.mix, self.up, self.down = Attention(16, 2), nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 6)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        x = x + self.mix(self.first(x))
        x = x + self.down(F.gelu(self.up(self.second(x))))
        return self.head(self.last(x).mean(1))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(12, 8)
        self.rnn = nn.LSTM(8, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, 3)

    def forward(self, ids):
        y, _ = self.rnn(self.table(ids))
        return torch.log_softmax(self.out(y), 2)


class Detector(nn.Module):
    """A head on two levels: boxes from grid cells and anchors, scores by class."""

    def __init__(self):
        super().__init__()
        self.stem, self.low = nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.heads = nn.ModuleList([nn.Conv2d(8, 2 * (5 + 3), 1) for _ in range(2)])
        self.register_buffer("anchors", torch.tensor([[[2.0, 3.0], [4.0, 2.0]], [[6.0, 5.0], [8.0, 9.0]]]))

    def forward(self, x):
        high = F.leaky_relu(self.stem(x), 0.1)
        low = F.leaky_relu(self.low(high), 0.1)
        found = []
        for i, (head, features, stride) in enumerate(zip(self.heads, (high, low), (4.0, 8.0))):
            y = head(features)
            n, _, h, w = y.shape
            y = y.view(n, 2, 8, h, w).permute(0, 1, 3, 4, 2)
            rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            cells = torch.stack([columns, rows], 2).float().view(1, 1, h, w, 2)
            centre = (torch.sigmoid(y[..., 0:2]) * 2 - 0.5 + cells) * stride
            size = (torch.sigmoid(y[..., 2:4]) * 2) ** 2 * self.anchors[i].view(1, 2, 1, 1, 2)
            scores = torch.sigmoid(y[..., 4:])
            found.append(torch.cat([centre - size / 2, centre + size / 2, scores], 4).reshape(n, -1, 8))
        return torch.cat(found, 1)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.an = nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.b, self.c = nn.Conv2d(8, 12, 3, padding=1), nn.Conv2d(12, 12, 3, padding=1)
        self.up = nn.ConvTranspose2d(12, 8, 2, stride=2)
        self.d, self.e = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        a = F.silu(self.an(self.a(x)))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        c = F.relu(self.c(F.max_pool2d(b, 2)))
        c = F.interpolate(c, scale_factor=2.0, mode="bilinear", align_corners=False)
        y = F.relu(self.d(torch.cat([self.up(c), a], 1)))
        return torch.sigmoid(self.e(torch.cat([y, a], 1)))


class Quantizable(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.point = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 1)
        self.depth, self.mix, self.head = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Linear(8, 12), nn.Linear(12, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.max_pool2d(F.relu(x + self.depth(self.point(x))), 2)
        return self.head(F.relu(self.mix(x.flatten(2).transpose(1, 2))).mean(1))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.down(F.relu(self.up(x)))


def npy(t):
    descr, code = {torch.float32: ("<f4", "f"), torch.int64: ("<i8", "q")}[t.dtype]
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({''.join(f'{d}, ' for d in t.shape)}), }}"
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    values = t.detach().contiguous().flatten().tolist()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(values)}{code}", *values)


def golden(path, inputs, outputs):
    with zipfile.ZipFile(path, "w") as archive:
        for prefix, tensors in (("in", inputs), ("out", outputs)):
            for i, t in enumerate(tensors):
                archive.writestr(zipfile.ZipInfo(f"{prefix}{i}.npy", (1980, 1, 1, 0, 0, 0)), npy(t))


def save_program(program, path):
    whole = path.with_suffix(".whole")
    torch.export.save(program, str(whole.with_suffix(".pt2")))
    whole.with_suffix(".pt2").rename(whole)
    subprocess.run([sys.executable, str(Path(__file__).with_name("shrink_pt2.py")), str(whole), str(path)], check=True)
    whole.unlink()


def without_debug(script, path):
    """As torch.jit.save writes it, without the records that say where the source lay."""
    data = io.BytesIO()
    torch.jit.save(script, data)
    with zipfile.ZipFile(data) as source, zipfile.ZipFile(path, "w") as out:
        for name in source.namelist():
            if name.endswith(".debug_pkl"):
                continue
            kind = zipfile.ZIP_DEFLATED if name.endswith(".py") else zipfile.ZIP_STORED
            out.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source.read(name), kind)


def save(folder, name, net, x):
    net.eval()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.uniform_(-0.5, 0.5)
            m.running_var.uniform_(0.5, 2)
        if isinstance(m, nn.GroupNorm):
            nn.init.uniform_(m.weight, 0.5, 2)
            nn.init.uniform_(m.bias, -0.5, 0.5)
    with torch.no_grad():
        golden(folder / f"{name}.golden.npz", [x], [net(x)])
        save_program(torch.export.export(net, (x,)), folder / f"{name}.pt2")
        without_debug(torch.jit.script(net), folder / f"{name}.pt")
        without_debug(torch.jit.trace(net, x), folder / f"{name}.trace.pt")
        torch.onnx.export(net, (x,), str(folder / f"{name}.onnx"), dynamo=False, opset_version=18,
                          input_names=["x"], output_names=["y"])


def quantize(folder, name, net, x, dynamic=False, narrow=False):
    from torchao.quantization.pt2e import observer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

    eps = {"eps": 2**-12}
    if dynamic:
        act = QuantizationSpec(torch.uint8, observer.PlaceholderObserver.with_args(
            dtype=torch.uint8, quant_min=0, quant_max=255, is_dynamic=True, **eps), 0, 255, is_dynamic=True)
    else:
        dtype, low, high = (torch.int8, -127, 127) if narrow else (torch.uint8, 0, 255)
        act = QuantizationSpec(dtype, observer.HistogramObserver.with_args(**eps), low, high, torch.per_tensor_affine)
    weight = QuantizationSpec(torch.int8, observer.PerChannelMinMaxObserver.with_args(**eps), -127, 127,
                              torch.per_channel_symmetric, 0)
    aten = torch.ops.aten

    class All(Quantizer):
        def annotate(self, model):
            for n in model.graph.nodes:
                if n.op == "call_function" and n.target in (aten.conv2d.default, aten.linear.default):
                    inputs = {n.args[0]: act, n.args[1]: weight}
                elif n.op == "call_function" and not dynamic and n.target in (
                        aten.add.Tensor, aten.relu.default, aten.max_pool2d.default, aten.mean.dim):
                    inputs = {a: act for a in n.args if isinstance(a, torch.fx.Node)}
                else:
                    continue
                n.meta["quantization_annotation"] = QuantizationAnnotation(inputs, None if dynamic else act,
                                                                           _annotated=True)
            return model

        def validate(self, model):
            pass

    net.eval()
    with torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(net, (x,)).module(), All())
        for _ in range(6):
            prepared(torch.randn_like(x))
        converted = convert_pt2e(prepared)
        golden(folder / f"{name}.golden.npz", [x], [converted(x)])
        save_program(torch.export.export(converted, (x,)), folder / f"{name}.pt2")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    image = lambda *dims: torch.randn(*dims)
    made = {"cnn": lambda: save(folder, "cnn", Cnn(), image(1, 3, 16, 16)),
            "transformer": lambda: save(folder, "transformer", Transformer(), image(1, 3, 8, 8)),
            "lstm": lambda: save(folder, "lstm", Lstm(), torch.randint(0, 12, (1, 6))),
            "detector": lambda: save(folder, "detector", Detector(), image(1, 3, 16, 16)),
            "unet": lambda: save(folder, "unet", UNet(), image(1, 2, 8, 8)),
            "pt2e": lambda: quantize(folder, "pt2e", Quantizable(), image(2, 3, 12, 12)),
            "pt2e_narrow": lambda: quantize(folder, "pt2e_narrow", Quantizable(), image(2, 3, 12, 12), narrow=True),
            "pt2e_dynamic": lambda: quantize(folder, "pt2e_dynamic", Dense(), image(2, 5, 8), dynamic=True)}
    for name, make in made.items():
        if not sys.argv[2:] or name in sys.argv[2:]:
            torch.manual_seed(len(name))
            make()


if __name__ == "__main__":
    main()
