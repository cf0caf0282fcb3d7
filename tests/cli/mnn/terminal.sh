# Progress and colour appear on a terminal, unless -q or NO_COLOR say otherwise.
unset NO_COLOR
export TERM=xterm
python3 - <<END
import os, pty, subprocess
def seen(command, env={}):
    master, slave = pty.openpty()
    subprocess.run(command.split(), env=dict(os.environ, **env), stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    out = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:
            return out
        if not block:
            return out
        out += block
quant = "mnn quant cnn.onnx -o q.mnn --calibration samples"
print("progress", b"%" in seen(quant), b"%" in seen(quant + " -q"))
wrong = "mnn inspect nothing.mnn"
print("colour", b"\x1b[31m" in seen(wrong), b"\x1b[" in seen(wrong, {"NO_COLOR": "1"}), b"\x1b[" in seen(wrong, {"TERM": "dumb"}))
END
mnn quant cnn.onnx -o q.mnn --calibration samples 2>&1 >/dev/null | wc -c
