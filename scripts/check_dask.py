#!/usr/bin/env python3
"""Calibrates a small model on a cluster of processes of this machine, kills a worker in the middle,
and holds the result against one run of mnn quant: the same bytes.

  check_dask.py [--bin build/release/bin] [--cache DIR]

Exit code 77 with a line where dask[distributed] cannot be installed.
"""
import argparse
import filecmp
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types

from calibrate_dask import PACKAGES, calibrate, quantize
from ort_environment import enter_environment

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIP = 77


def slow_mnn(path, bin_folder):
    """mnn as the workers run it: it takes a while, so that there is a middle, and says who ran it when."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\necho "$PPID" >> "{path}.log"\nsleep 0.3\nexec "{bin_folder}/mnn" "$@"\n')
    os.chmod(path, 0o755)


def kill_one(cluster, log, killed):
    """Kills the process of a worker that is at work on its second part or a later one."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        pids = [w.pid for w in cluster.workers.values()]
        lines = open(log, encoding="utf-8").read().split() if os.path.exists(log) else []
        for pid in pids:
            if lines.count(str(pid)) >= 2:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
        time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    arguments = parser.parse_args()
    bin_folder = os.path.abspath(arguments.bin)
    try:
        enter_environment(arguments.cache, "dask", PACKAGES)
    except subprocess.CalledProcessError:
        print("skipped: dask[distributed] cannot be installed")
        return SKIP
    from dask.distributed import Client, LocalCluster
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([os.path.join(bin_folder, "make_cli_models"), work], check=True, stdout=subprocess.DEVNULL)
        mnn = os.path.join(work, "mnn")
        slow_mnn(mnn, bin_folder)
        held = os.path.join(work, "held")
        os.mkdir(held)
        names = sorted(os.listdir(os.path.join(work, "samples")))
        shutil.copy(os.path.join(work, "samples", names[-1]), held)
        options = types.SimpleNamespace(model=os.path.join(work, "cnn.onnx"), output=os.path.join(work, "dask.mnn"),
                                        calibration=os.path.join(work, "samples"), holdout=held, part=1, mnn=mnn,
                                        report=None, quant=["-q", "--keep-float", "classifier"])
        killed = []
        with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                          local_directory=os.path.join(work, "dask")) as cluster, Client(cluster) as client:
            thread = threading.Thread(target=kill_one, args=(cluster, mnn + ".log", killed))
            thread.start()
            counts = calibrate(client, options, work)
            thread.join()
        options.mnn = os.path.join(bin_folder, "mnn")
        code = quantize(options, counts)
        one = os.path.join(work, "one.mnn")
        subprocess.run([options.mnn, "quant", options.model, "-o", one, "--calibration", options.calibration,
                        "--holdout", held, *options.quant], check=True, stdout=subprocess.DEVNULL)
        same = code == 0 and filecmp.cmp(one, options.output, shallow=False)
        print(f"{len(counts)} parts, killed worker {killed}: {'the same bytes' if same else 'FAILED'}")
        return 0 if same and killed else 1


if __name__ == "__main__":
    sys.exit(main())
