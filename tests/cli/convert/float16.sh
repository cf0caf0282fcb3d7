mnn convert cnn.onnx -o c.mnn --json > c.json
mnn convert half.onnx -o h.mnn --json > h.json
for k in c h; do mnn inspect $k.mnn --json > $k.inspect.json; done
python3 - <<'P'
import json
c, h = (json.load(open(f)) for f in ("c.json", "h.json"))
size = {k: json.load(open(k + ".inspect.json"))["constant_bytes"] for k in "ch"}
print(c["plan_steps"] == h["plan_steps"], size["h"] < 0.6 * size["c"], h["reference"]["time_share"])
P
mnn inspect h.mnn | sed -n '2,3p;/runs on/s/(.*//p'
mkdir in out
python3 - <<'P'
# The sample as float16, without NumPy.
import struct
raw = open("samples/sample_0.npy", "rb").read()
at = raw.index(b"\n") + 1
head = raw[:at].replace(b"<f4", b"<f2")
values = struct.unpack(f"<{(len(raw) - at) // 4}f", raw[at:])
open("in/input_0.npy", "wb").write(head + struct.pack(f"<{len(values)}e", *values))
P
mnn run half.onnx --inputs in --outputs in --backend reference -q >/dev/null
mnn convert half.onnx -o n.mnn --no-fuse -q >/dev/null
for model in h.mnn n.mnn; do
  mnn run $model --inputs in --expect in --rtol 1e-2 --atol 1e-3 -q >/dev/null && echo $model is close
done
mnn convert half.onnx -o e.mnn --expect in -q >/dev/null && echo as expected
