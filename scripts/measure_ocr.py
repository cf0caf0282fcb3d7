#!/usr/bin/env python3
"""Measures `mnn quant` on a real text recogniser: how close the int8 model stays to the float one
on text it has not seen.

  measure_ocr.py [--draws 5] [--calibration 48] [--test 96] [--mnn build/release/bin/mnn]
                 [--work DIR] [-- OPTIONS OF mnn quant]

A draw renders calibration lines in some fonts and test lines, other strings, in other fonts,
quantizes PP-OCRv4's recogniser (scripts/models.json) and compares the int8 model's outputs with
those of the float model on the test lines: the share of time steps with the same best character,
and the SNR over all outputs. Draws with an odd number swap the fonts. Prints one line per draw and
the medians. Needs Python 3.9, NumPy and Pillow (Debian: python3-numpy, python3-pil) and the fonts
of fonts-dejavu-core and fonts-liberation.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FONTS = "/usr/share/fonts/truetype"
FAMILIES = (
    [f"{FONTS}/dejavu/{n}.ttf" for n in ("DejaVuSans", "DejaVuSerif", "DejaVuSans-Bold", "DejaVuSansMono")],
    [f"{FONTS}/liberation/{n}.ttf" for n in ("LiberationSans-Regular", "LiberationSerif-Regular",
                                             "LiberationSans-Bold", "LiberationMono-Regular")],
)
IMAGE_FLAGS = ["--image-mean", "127.5", "--image-scale", "0.00784313725", "--image-color", "bgr"]


def render(out, count, seed, fonts):
    script = os.path.join(ROOT, "scripts", "render_text.py")
    command = [sys.executable, script, "--out", out, "--count", str(count), "--seed", str(seed)]
    for font in fonts:
        command += ["--font", font]
    subprocess.run(command, check=True)


def load_images(folder):
    """The images as the recogniser takes them: [n, 3, 48, 320], blue first, in [-1, 1]."""
    images = [np.asarray(Image.open(os.path.join(folder, f)), np.float32) for f in sorted(os.listdir(folder))]
    batch = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2)
    return np.ascontiguousarray((batch - 127.5) * np.float32(0.00784313725))


def run_model(mnn, model, inputs, work):
    """The model's first output for one image after another."""
    outputs = []
    for begin in range(0, len(inputs), 16):
        feed, fetch = os.path.join(work, "in"), os.path.join(work, "out")
        os.makedirs(feed, exist_ok=True)
        np.save(os.path.join(feed, "input_0.npy"), inputs[begin:begin + 16])
        subprocess.run([mnn, "run", model, "--inputs", feed, "--outputs", fetch, "-q"], check=True,
                       stdout=subprocess.DEVNULL)
        outputs.append(np.load(os.path.join(fetch, "output_0.npy")))
    return np.concatenate(outputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--calibration", type=int, default=48)
    parser.add_argument("--test", type=int, default=96)
    parser.add_argument("--mnn", default=os.path.join(ROOT, "build", "release", "bin", "mnn"))
    parser.add_argument("--work", help="keep the data and models here")
    parser.add_argument("quant", nargs="*", help="options handed to mnn quant")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = os.path.abspath(options.work or temporary)
        os.makedirs(work, exist_ok=True)
        fetch = os.path.join(ROOT, "scripts", "fetch_model.py")
        source = subprocess.run([sys.executable, fetch, "ppocrv4_rec"], check=True, capture_output=True,
                                text=True).stdout.strip()
        plain = os.path.join(work, "float.mnn")
        subprocess.run([options.mnn, "convert", source, "-o", plain, "-q"], check=True, stdout=subprocess.DEVNULL)
        agreements, snrs = [], []
        for draw in range(options.first, options.first + options.draws):
            folder = os.path.join(work, f"draw{draw}")
            calibration, test = os.path.join(folder, "calibration"), os.path.join(folder, "test")
            render(calibration, options.calibration, 1000 + draw, FAMILIES[draw % 2])
            render(test, options.test, 2000 + draw, FAMILIES[1 - draw % 2])
            inputs = load_images(test)
            want_file = os.path.join(folder, "float.npy")
            if not os.path.exists(want_file):
                np.save(want_file, run_model(options.mnn, plain, inputs, folder))
            want = np.load(want_file).astype(np.float64)
            quantized = os.path.join(folder, "int8.mnn")
            start = time.monotonic()
            report = json.loads(subprocess.run(
                [options.mnn, "quant", plain, "-o", quantized, "--calibration", calibration, "--json", "-q",
                 *IMAGE_FLAGS, *options.quant], check=True, capture_output=True, text=True).stdout)
            seconds = time.monotonic() - start
            have = run_model(options.mnn, quantized, inputs, folder).astype(np.float64)
            agreement = float((want.argmax(-1) == have.argmax(-1)).mean())
            snr = float(10 * np.log10((want ** 2).sum() / ((have - want) ** 2).sum()))
            agreements.append(agreement)
            snrs.append(snr)
            print(f"draw {draw}: agreement {agreement:.4f}  SNR {snr:.2f} dB  int8 MACs "
                  f"{report['int8_mac_share']:.3f}  {os.path.getsize(plain) / os.path.getsize(quantized):.2f}x smaller  "
                  f"{seconds:.1f} s  {report['method']}", flush=True)
        print(f"median of {options.draws}: agreement {statistics.median(agreements):.4f}  "
              f"SNR {statistics.median(snrs):.2f} dB  (least {min(agreements):.4f}, {min(snrs):.2f} dB)")


if __name__ == "__main__":
    main()
