# Without samples usual sizes are assumed; with tensors their own dims are.
mnn init detector.onnx --dir d -q
mnn init text_model.onnx --dir t -q
(cd d && mnn bench --iterations 2 --json >/dev/null && mnn run detector.mnn --inputs golden --expect golden -q | wc -l)
(cd t && mnn bench --iterations 2 --json >/dev/null)
mkdir -p texts
python3 - <<'END'
import os, struct
def npy(path, kind, shape, data):
    h = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, "".join("%d," % d for d in shape))
    h = h.encode() + b" " * (117 - len(h)) + b"\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(h)) + h + data)
for i, length in enumerate((9, 5, 12, 7)):
    os.makedirs(f"texts/{i}")
    npy(f"texts/{i}/ids.npy", "<i8", (1, length), struct.pack("<%dq" % length, *[(i * 17 + k * 5) % 50 for k in range(length)]))
    npy(f"texts/{i}/weight.npy", "<f4", (1, length, 1), struct.pack("<%df" % length, *[1 + k / 7 for k in range(length)]))
END
mnn init text_model.onnx --dir n --calibration texts -q
cd n
mnn quant -q >/dev/null
mnn bench --iterations 2 --json | grep -c ratio_to_first
