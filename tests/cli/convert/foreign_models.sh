# Another framework's model is named by content, whatever the file is called: exit 5 and the way to a format that is read.
python3 - <<'END'
import json, os, struct, zipfile
from protobuf_bytes import field
def put(name, data):
    open("foreign/" + name, "wb").write(data)
def zipped(name, entries):
    with zipfile.ZipFile("foreign/" + name, "w") as z:
        for e in entries:
            z.writestr(e, b"x")
def flat(slots, root):  # a table whose vtable holds the offsets `slots`
    vtable = struct.pack("<HH", 4 + 2 * len(slots), 64) + struct.pack("<%dH" % len(slots), *slots)
    return struct.pack("<I", root) + b"\0" * (root - 4 - len(vtable)) + vtable + struct.pack("<i", len(vtable))
os.mkdir("foreign")
put("b.ort", b"\x20\0\0\0ORTM" + bytes(60))
put("c.pte", b"\x20\0\0\0ET12" + bytes(60))
put("d.gguf", b"GGUF\3\0\0\0" + bytes(60))
head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
put("e.safetensors", struct.pack("<Q", len(head)) + head + bytes(4))
put("f.h5", b"\x89HDF\r\n\x1a\n" + bytes(60))
zipped("g.keras", ["metadata.json", "config.json", "model.weights.h5"])
zipped("j.pt", ["m/data.pkl", "m/data/0", "m/version"])
put("k.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\x02M\xe9\x03.")
put("l.pkl", b"\x80\x04K\x01.")
os.makedirs("foreign/m_checkpoint")
table = bytes(40) + struct.pack("<Q", 0xDB4775248B80FB57)
put("m_checkpoint/ckpt-1.index", table), put("m_checkpoint/ckpt-1.data-00000-of-00001", bytes(8))
os.makedirs("foreign/m_keras")
put("m_keras/keras_metadata.pb", field(1, b"x"))
put("n.index", table)
put("n.data-00000-of-00002", bytes(8))
put("n_checkpoint", b'model_checkpoint_path: "model.ckpt-7"\n')
put("n.meta", field(1, field(2, field(1, b"ops"))) + field(2, field(1, field(1, b"x") + field(2, b"Placeholder"))))
put("q.pdmodel", field(1, field(1, 0) + field(2, 2**64 - 1)))
put("r.caffemodel", field(1, b"LeNet") + field(100, field(1, b"conv1") + field(2, b"Convolution")))
put("s.caffemodel", field(1, b"AlexNet") + field(2, field(4, b"conv1")))
# Alibaba's Net: slot 3 the operators, slot 7 the names of tensors.
root, body = 64, bytearray(400)
body[0:len(flat([0, 0, 0, 8, 0, 0, 0, 12], root))] = flat([0, 0, 0, 8, 0, 0, 0, 12], root)
def at(place, form, *values):
    struct.pack_into(form, body, place, *values)
at(72, "<I", 100 - 72), at(100, "<II", 1, 200 - 104)               # one operator, at 200
at(76, "<I", 120 - 76), at(120, "<II", 1, 300 - 124)               # one name, at 300
at(180, "<HHHHHHH", 14, 32, 0, 0, 0, 0, 8), at(200, "<i", 20), at(300, "<I4s", 4, b"data")
put("u.mnn", bytes(body))
put("v.xml", b'<?xml version="1.0"?>\n<net name="m" version="11">\n</net>\n')
put("w.param", b"7767517\n1 1\nInput data 0 1 data\n")
put("x.cfg", b"[net]\nbatch=1\nwidth=416\nheight=416\n")
put("y.mlmodel", field(1, 5) + field(2, field(1, field(1, b"image"))))
put("z.json", b'{"format": "graph-model", "modelTopology": {}}')
END
for f in foreign/*; do
  mnn convert "$f" -o out.mnn 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err)"
done
ls out.mnn 2>/dev/null || echo "nothing written"
