#!/usr/bin/env python3
"""Calibrates on a Dask cluster and quantizes: each worker looks at parts of the samples, and the parts
come to the same file as one run of mnn quant on one machine, byte for byte.

  calibrate_dask.py MODEL -o Q.mnn --calibration DIR --holdout DIR [--scheduler tcp://HOST:8786 |
                    --workers 2] [--part 16] [--mnn mnn] [--report R.html] [-- OPTIONS OF mnn quant]

The calibration folder and the model must be at the same paths for all workers; `mnn` must be of one
version. Two rounds: ranges, then counts inside the ranges of all (mnn quant --stats-only). A part
whose worker dies is done by another. Then mnn quant runs here, with --stats. Without --scheduler
processes of this machine work, --workers of them. Options after -- go to mnn quant; those that say
how samples are read and which layers stay float go to the workers too.

Needs Python 3.9; installs dask[distributed] into a virtual environment in the cache.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from ort_environment import enter_environment

PACKAGES = ["dask[distributed]==2025.7.0"]
TRIES = 4
# Options of mnn quant with a value that change what is seen of the samples.
SEEN = ("--keep-float", "--shape", "--import", "--image-size", "--image-fit", "--image-fill", "--image-filter",
        "--image-mean", "--image-scale", "--image-std", "--image-layout", "--image-color")


def seen_options(options):
    """Those of `options` that the workers need."""
    found, i = [], 0
    while i < len(options):
        name, joined, _ = options[i].partition("=")
        if name in SEEN:
            found += options[i:i + (1 if joined else 2)]
            i += 0 if joined else 1
        i += 1
    return found


def look(command, begin, end, merged):
    """One part on a worker: the text of its file of statistics. `merged`: the text of the ranges of all."""
    with tempfile.TemporaryDirectory() as work:
        out, ranges = os.path.join(work, "part.json"), os.path.join(work, "ranges.json")
        more = []
        if merged:
            with open(ranges, "w", encoding="utf-8") as file:
                file.write(merged)
            more = ["--stats", ranges]
        done = subprocess.run([*command, "--stats-only", out, "--samples", f"{begin}:{end}", *more], text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"samples {begin} to {end}: mnn quant ended with {done.returncode}: "
                               f"{done.stderr.strip()[-2000:]}")
        with open(out, encoding="utf-8") as file:
            return file.read()


def write_parts(texts, folder, name):
    paths = []
    for i, text in enumerate(texts):
        paths.append(os.path.join(folder, f"{name}_{i:05d}.json"))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(text)
    return paths


def count_samples(command, work):
    """How many the calibration has: what mnn quant says beside the ranges of one."""
    done = subprocess.run([*command, "--stats-only", os.path.join(work, "one.json"), "--samples", "0:1", "--json"],
                          text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return json.loads(done.stdout)["total"]


def round_of(client, command, parts, merged, retries):
    """The texts of all parts, in order."""
    shared = client.scatter(merged, broadcast=True) if merged else None
    jobs = [client.submit(look, command, begin, end, shared, pure=False, retries=retries) for begin, end in parts]
    return client.gather(jobs)


def calibrate(client, options, work):
    """The files of the counts of all parts."""
    seen = seen_options(options.quant)
    command = [options.mnn, "quant", options.model, "--calibration", options.calibration, *seen, "-q", "--threads", "1"]
    count = count_samples(command, work)
    parts = [(i, min(i + options.part, count)) for i in range(0, count, options.part)]
    print(f"{count} samples in {len(parts)} parts", file=sys.stderr)
    ranges = write_parts(round_of(client, command, parts, None, TRIES), work, "ranges")
    merged = os.path.join(work, "merged.json")
    subprocess.run([options.mnn, "quant", options.model, *seen, "--stats-only", merged, "--stats", *ranges, "-q"],
                   check=True, stdout=subprocess.DEVNULL)
    with open(merged, encoding="utf-8") as file:
        text = file.read()
    return write_parts(round_of(client, command, parts, text, TRIES), work, "counts")


def quantize(options, counts):
    report = ["--report", options.report] if options.report else []
    return subprocess.run([options.mnn, "quant", options.model, "-o", options.output, "--calibration",
                           options.calibration, "--holdout", options.holdout, *report, *options.quant,
                           "--stats", *counts]).returncode


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--holdout", required=True)
    parser.add_argument("--scheduler", help="of a cluster that runs")
    parser.add_argument("--workers", type=int, default=2, help="processes of this machine, without a --scheduler")
    parser.add_argument("--part", type=int, default=16, help="samples of one job")
    parser.add_argument("--mnn", default="mnn")
    parser.add_argument("--report")
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.quant = arguments[split + 1:]
    if options.part < 1 or options.workers < 1:
        parser.error("--part and --workers: expected 1 or more")
    # Workers have folders of their own.
    for name in ("model", "calibration", "holdout"):
        setattr(options, name, os.path.abspath(getattr(options, name)))
    return options


def main():
    options = parse(sys.argv[1:])
    enter_environment(options.cache, "dask", PACKAGES)
    from dask.distributed import Client, LocalCluster
    with tempfile.TemporaryDirectory() as work:
        cluster = None
        if not options.scheduler:
            cluster = LocalCluster(n_workers=options.workers, threads_per_worker=1, processes=True,
                                   dashboard_address=None, local_directory=os.path.join(work, "dask"))
        try:
            with Client(options.scheduler or cluster) as client:
                counts = calibrate(client, options, work)
        finally:
            if cluster:
                cluster.close()
        return quantize(options, counts)


if __name__ == "__main__":
    sys.exit(main())
