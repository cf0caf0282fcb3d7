"""The Python environment of the scripts that hold mnn against ONNX Runtime."""
import os
import subprocess
import sys

PACKAGES = ["onnxruntime==1.32.0", "onnx==1.23.2", "numpy"]


def enter_environment(cache):
    """Runs this program again under a Python inside `cache` that has the packages."""
    folder = os.path.join(cache, "onnxruntime")
    python = os.path.join(folder, "bin", "python")
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    if not os.path.exists(os.path.join(folder, "complete")):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
                       check=True, stdout=sys.stderr)
        open(os.path.join(folder, "complete"), "w").close()
    os.execv(python, [python, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
