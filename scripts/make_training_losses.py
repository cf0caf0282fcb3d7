#!/usr/bin/env python3
"""Writes tests/data/train/: a small network, data, and the losses of 200 steps of PyTorch on them.

The trainer is held against these (tests/quant/train_test.cc). Needs torch and numpy; Debian's
python3-torch will do. One optimizer a file: the losses before each step, learning rate along half
a cosine, weight decay of matrices only.
"""
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

STEPS, BATCH, CLASSES, SIZE = 200, 16, 5, 12
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "train"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.depth = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.point = nn.Conv2d(8, 16, 1)
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = F.hardswish(self.depth(x))
        x = F.gelu(self.point(x))
        return self.last(x.mean((2, 3)))


def data():
    rng = np.random.default_rng(7)
    kinds = rng.standard_normal((CLASSES, 1, SIZE, SIZE)).astype(np.float32)
    labels = rng.integers(0, CLASSES, 64)
    images = kinds[labels] + 1.5 * rng.standard_normal((64, 1, SIZE, SIZE)).astype(np.float32)
    return images.astype(np.float32), labels.astype(np.int64)


def optimizers(net):
    matrices = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]

    def groups(decay):
        return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]

    return {
        "sgd": lambda: (torch.optim.SGD(groups(5e-4), lr=0.1, momentum=0.9), 0.1),
        "adam": lambda: (torch.optim.Adam(groups(1e-4), lr=5e-3), 5e-3),
        "adamw": lambda: (torch.optim.AdamW(groups(1e-2), lr=5e-3), 5e-3),
    }


def main():
    torch.set_num_threads(1)
    images, labels = data()
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    start = Net().state_dict()
    arrays = {"images": images, "labels": labels}
    arrays.update({name: value.numpy() for name, value in start.items()})
    for name in ("sgd", "adam", "adamw"):
        net = Net()
        net.load_state_dict(start)
        optimizer, rate = optimizers(net)[name]()
        losses = []
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / STEPS))
            at = step * BATCH % len(images)
            x = torch.from_numpy(images[at : at + BATCH])
            y = torch.from_numpy(labels[at : at + BATCH])
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        arrays["losses_" + name] = np.array(losses, dtype=np.float32)
        print(name, losses[0], losses[-1])
    np.savez_compressed(FOLDER / "losses.npz", **arrays)


if __name__ == "__main__":
    main()
