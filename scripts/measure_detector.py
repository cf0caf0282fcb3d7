#!/usr/bin/env python3
"""Measures `mnn quant` on a real detector whose one output holds boxes in pixels and scores: how
close each part of the int8 model's output stays to the float one's on photos it has not seen.

  measure_detector.py [--mnn build/release/bin/mnn] [--cache DIR] [--work DIR]
                      [-- OPTIONS OF mnn quant]

The detector is nudenet's YOLOv8n (scripts/models.json), the photos are those of scikit-image's
wheel: 34 calibration images (photos without people, and mosaics of small faces) and 12 held-back
crops of two photos of people. Prints the SNR of the score rows and of the box rows of each held-back
image, how many detections (score 0.3 and more) the int8 model gives less than 0.2, and the medians.
Needs Python 3.9, pip, NumPy and Pillow (Debian: python3-numpy, python3-pil).
"""
import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np
from PIL import Image

from fetch_model import fetch, fetch_wheel

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PHOTOS = {
    "package": "scikit-image",
    "version": "0.25.2",
    "wheel_sha256": "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
}
PEOPLE = ("astronaut.png", "camera.png")
SIDE = 320
BOXES = 4


def photos(cache):
    """{file name: image} and the small faces [100, 25, 25] of scikit-image."""
    with zipfile.ZipFile(fetch_wheel(PHOTOS, cache)) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith((".png", ".jpg")) and "/data/" in n)
        images = {os.path.basename(n): Image.open(io.BytesIO(archive.read(n))).convert("RGB") for n in names}
        faces = np.load(io.BytesIO(archive.read("skimage/data/lfw_subset.npy")))[:100]
    return images, faces


def crop(image, random):
    """A square of 60 to 100 % of the shorter side, half of them mirrored."""
    side = int(min(image.size) * random.uniform(0.6, 1))
    x, y = (random.integers(0, size - side + 1) for size in image.size)
    part = image.crop((x, y, x + side, y + side))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else part


def mosaic(faces, random):
    tiles = random.choice(len(faces), 16, replace=False).reshape(4, 4)
    rows = [np.concatenate([faces[i] for i in row], axis=1) for row in tiles]
    return Image.fromarray((np.concatenate(rows) * 255).clip(0, 255).astype(np.uint8)).convert("RGB")


def write_samples(folder, cache, seed=1):
    images, faces = photos(cache)
    random = np.random.default_rng(seed)
    samples = {"calibration": {}, "test": {}}
    for name, image in images.items():
        stem = os.path.splitext(name)[0]
        if name in PEOPLE:
            for i in range(6):
                samples["test"][f"{stem}_{i}"] = image if i == 0 else crop(image, random)
        else:
            samples["calibration"][stem] = image
    for i in range(8):
        samples["calibration"][f"faces_{i}"] = mosaic(faces, random)
    for part, made in samples.items():
        os.makedirs(os.path.join(folder, part), exist_ok=True)
        for stem, image in made.items():
            image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(os.path.join(folder, part, stem + ".png"))


def run_model(mnn, model, images, work):
    outputs = []
    for path in images:
        feed, out = os.path.join(work, "in"), os.path.join(work, "out")
        os.makedirs(feed, exist_ok=True)
        pixels = np.asarray(Image.open(path), np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        np.save(os.path.join(feed, "input_0.npy"), np.ascontiguousarray(pixels))
        subprocess.run([mnn, "run", model, "--inputs", feed, "--outputs", out, "-q"], check=True,
                       stdout=subprocess.DEVNULL)
        outputs.append(np.load(os.path.join(out, "output_0.npy"))[0].astype(np.float64))
    return outputs


def snr(want, have):
    return float(10 * np.log10((want ** 2).sum() / max(((have - want) ** 2).sum(), 1e-300)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnn", default=os.path.join(ROOT, "build", "release", "bin", "mnn"))
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    parser.add_argument("--work", help="keep the data and models here")
    parser.add_argument("quant", nargs="*", help="options handed to mnn quant")
    options = parser.parse_args()
    with open(os.path.join(ROOT, "scripts", "models.json")) as file:
        source = fetch("nudenet_320n", json.load(file)["nudenet_320n"], options.cache)
    with tempfile.TemporaryDirectory() as temporary:
        work = os.path.abspath(options.work or temporary)
        write_samples(work, options.cache)
        shape = ["--shape", f"images=1,3,{SIDE},{SIDE}"]
        plain, quantized = os.path.join(work, "float.mnn"), os.path.join(work, "int8.mnn")
        subprocess.run([options.mnn, "convert", source, "-o", plain, "-q", *shape], check=True,
                       stdout=subprocess.DEVNULL)
        start = time.monotonic()
        done = subprocess.run([options.mnn, "quant", plain, "-o", quantized, "--json", "-q", "--calibration",
                               os.path.join(work, "calibration"), "--holdout", os.path.join(work, "test"),
                               *options.quant], stdout=subprocess.PIPE, text=True)
        seconds = time.monotonic() - start
        report = json.loads(done.stdout)
        if done.returncode == 3:
            quantized += ".rejected"
        elif done.returncode != 0:
            sys.exit(f"error: mnn quant ended with {done.returncode}")
        test = os.path.join(work, "test")
        images = [os.path.join(test, f) for f in sorted(os.listdir(test))]
        scores, boxes, lost = [], [], 0
        for path, want, have in zip(images, run_model(options.mnn, plain, images, work),
                                    run_model(options.mnn, quantized, images, work)):
            scores.append(snr(want[BOXES:], have[BOXES:]))
            boxes.append(snr(want[:BOXES], have[:BOXES]))
            gone = int(((want[BOXES:] > 0.3) & (have[BOXES:] < 0.2)).any(axis=1).sum())
            lost += gone
            print(f"{os.path.basename(path):20} scores {scores[-1]:5.1f} dB  boxes {boxes[-1]:5.1f} dB  "
                  f"best score {want[BOXES:].max():.3f} -> {have[BOXES:].max():.3f}  classes lost {gone}")
        print(f"scores: median {statistics.median(scores):.1f} dB, worst {min(scores):.1f} dB; boxes: median "
              f"{statistics.median(boxes):.1f} dB, worst {min(boxes):.1f} dB; lost {lost}; int8 MACs "
              f"{report['int8_mac_share']:.3f}; {os.path.getsize(plain) / os.path.getsize(quantized):.2f}x smaller; "
              f"{seconds:.1f} s; {report['method']}")


if __name__ == "__main__":
    main()
