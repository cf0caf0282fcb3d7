"""The Python environments of the scripts that hold mnn against other runtimes."""
import os
import subprocess
import sys

PACKAGES = ["onnxruntime==1.32.0", "onnx==1.23.2", "numpy"]
LITERT_PACKAGES = ["ai-edge-litert==2.3.0", "numpy"]


def enter_environment(cache, name="onnxruntime", packages=PACKAGES):
    """Runs this program again under a Python in the folder `name` of `cache` that has the packages."""
    folder = os.path.join(cache, name)
    python = os.path.join(folder, "bin", "python")
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    if not os.path.exists(os.path.join(folder, "complete")):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
                       check=True, stdout=sys.stderr)
        open(os.path.join(folder, "complete"), "w").close()
    os.execv(python, [python, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
