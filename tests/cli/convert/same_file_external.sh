# The files of external data are inputs as well, though no flag names them.
python3 - <<'END'
# The weights of a small model are in w.bin and w.json.
import struct
from protobuf_bytes import field, info, model, node
def weights(name, file):
    entry = field(1, b"location") + field(2, file)
    return field(5, field(1, 4) + field(2, 1) + field(8, name) + field(13, entry) + field(14, 1))
graph = node(b"Add", [b"x", b"w"], [b"h"]) + node(b"Add", [b"h", b"v"], [b"y"])
graph += weights(b"w", b"w.bin") + weights(b"v", b"w.json") + field(11, info(b"x", 4)) + field(12, info(b"y", 4))
open("e.onnx", "wb").write(model(graph))
for name in ("w.bin", "w.json"):
    open(name, "wb").write(struct.pack("<4f", 1, 2, 3, 4))
END
sum=$(cat e.onnx w.bin w.json | sha256sum)
mkdir in
python3 -c "
import struct
h = b\"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\"
h += b' ' * (117 - len(h)) + b'\n'
open('in/x.npy', 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(h)) + h + bytes(16))"
try() {
  "$@" >/dev/null 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | head -1)"
  [ "$(cat e.onnx w.bin w.json | sha256sum)" = "$sum" ] || echo "an input was changed"
}
mnn convert e.onnx -o e.mnn -q
try mnn convert e.onnx -o w.bin
try mnn convert e.onnx -o o.mnn --report w.json
try mnn convert e.onnx -o o.mnn --netron w.json
try mnn convert e.onnx -o o.mnn --log-file w.bin
try mnn quant e.onnx -o w.bin --calibration in
try mnn bench e.onnx --iterations 1 --profile w.json
try mnn compare e.onnx e.mnn --random 1 --report w.json
ls o.mnn 2>/dev/null || echo "nothing written"
