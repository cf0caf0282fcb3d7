# A folder is a source where a front end reads it; its side files count as inputs and for the hash.
python3 - <<'END'
# The weights of the model are in model.onnx_data, as Optimum and Hugging Face lay it out.
import os, struct
from protobuf_bytes import field, info, model, node
entry = field(1, b"location") + field(2, b"model.onnx_data")
weights = field(5, field(1, 4) + field(2, 1) + field(8, b"w") + field(13, entry) + field(14, 1))
graph = node(b"Add", [b"x", b"w"], [b"y"]) + weights + field(11, info(b"x", 4)) + field(12, info(b"y", 4))
for folder, names in (("net", ["model.onnx"]), ("hub/onnx", ["model.onnx", "model_q4.onnx"]),
                      ("two", ["decoder.onnx", "encoder.onnx"]), ("empty", []), ("hf", [])):
    os.makedirs(folder)
    for name in names:
        open(f"{folder}/{name}", "wb").write(model(graph))
        open(f"{folder}/model.onnx_data", "wb").write(struct.pack("<4f", 1, 2, 3, 4))
for folder in ("hub", "hf"):
    open(f"{folder}/config.json", "w").write("{}")
h = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
h += b" " * (117 - len(h)) + b"\n"
os.mkdir("in")
open("in/x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(h)) + h + bytes(16))
END
try() {
  "$@" >/dev/null 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | head -1)"
}
mnn convert net -o net.mnn -q
mnn convert net/model.onnx -o file.mnn -q
cmp net.mnn file.mnn && echo "the same from the folder and from the file"
hash() { mnn convert "$1" -o h.mnn --json | python3 -c "import json, sys; print(json.load(sys.stdin)['source_sha256'])"; }
[ "$(hash net)" = "$(cd net && sha256sum model.onnx model.onnx_data | cut -c-64 | sha256sum | cut -c-64)" ] && echo "hash of both files"
[ "$(hash cnn.onnx)" = "$(sha256sum cnn.onnx | cut -c-64)" ] && echo "hash of one file"
mnn inspect net.mnn --json | python3 -c "import json, sys; print(json.load(sys.stdin)['metadata']['source']['files'])"
before=$(hash net)
printf 'abcd' | dd of=net/model.onnx_data conv=notrunc status=none
[ "$(hash net)" = "$before" ] || echo "another hash when the data changes"
for command in "inspect net" "inspect hub/" "run net --random 1" "bench net --iterations 1" "compare net net.mnn --random 1 --min-snr -500 --min-cosine -1" \
  "diff net net" "quant net --calibration in -o q.mnn" "init net --dir p" "convert two --import file=encoder.onnx -o e.mnn"; do
  try mnn $command
done
echo "refused:"
try mnn convert net -o net/model.onnx
try mnn convert net -o net/model.onnx_data
try mnn convert net -o o.mnn --netron net/model.onnx_data
try mnn convert two -o o.mnn
try mnn convert two --import file=none.onnx -o o.mnn
try mnn inspect empty
try mnn quant empty --calibration in -o q2.mnn
try mnn compare empty net --random 1
try mnn init empty
try mnn convert hf -o o.mnn
ls o.mnn q2.mnn 2>/dev/null || echo "nothing written"
