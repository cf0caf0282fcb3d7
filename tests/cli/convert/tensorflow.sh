# A frozen TensorFlow graph, binary and text: y = relu(x * 2) with channels last, and a node of an unknown operator beside it.
python3 - <<'END'
import struct
from protobuf_bytes import field
def attr(key, value):
    return field(5, field(1, key) + field(2, value))
def node(name, op, *rest):
    return field(1, field(1, name.encode()) + field(2, op.encode()) + b"".join(rest))
shape = field(7, b"".join(field(2, field(1, d)) for d in (2**64 - 1, 2, 2, 1)))
two = field(1, 1) + field(2, b"") + field(4, struct.pack("<f", 2))
filters = field(1, 1) + field(2, b"".join(field(2, field(1, d)) for d in (1, 1, 1, 3))) + field(4, struct.pack("<3f", 1, -1, 2))
ones = field(1, field(3, b"\1\1\1\1"))
graph = (node("x", "Placeholder", attr(b"dtype", field(6, 1)), attr(b"shape", shape))
         + node("two", "Const", attr(b"dtype", field(6, 1)), attr(b"value", field(8, two)))
         + node("f", "Const", attr(b"dtype", field(6, 1)), attr(b"value", field(8, filters)))
         + node("m", "Mul", field(3, b"x"), field(3, b"two"))
         + node("c", "Conv2D", field(3, b"m"), field(3, b"f"), attr(b"strides", ones), attr(b"padding", field(2, b"SAME")))
         + node("y", "Relu", field(3, b"c")))
open("net.pb", "wb").write(graph)
open("unknown.pb", "wb").write(graph + node("z", "Fresh", field(3, b"x")) + node("w", "StringLower", field(3, b"x")))
open("cut.pb", "wb").write(graph[:-3])
open("net.pbtxt", "w").write('''node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: 1 } }
  attr { key: "shape" value { shape { dim { size: 3 } } } } }
node { name: "a" op: "Neg" input: "x" }
node { name: "b" op: "Exp" input: "a" }
''')
END
try() {
  "$@" >out 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | tail -1)"
}
try mnn convert net.pb -o net.mnn
grep -E "tensorflow|inputs|outputs" out
mkdir in
python3 - <<'END'
import struct
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2, 1), }"
head += " " * (63 - (10 + len(head)) % 64) + "\n"
open("in/x.npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<4f", 1, 2, -3, 4))
END
try mnn run net.mnn --inputs in --outputs res
python3 -c "
import struct
b = open('res/output_0.npy', 'rb').read()
print(struct.unpack('<12f', b[-48:]))"
try mnn convert net.pbtxt -o text.mnn --import output_names=a
grep -E "inputs|outputs" out
try mnn convert net.pb -o b.mnn --import output_names=nowhere
try mnn convert unknown.pb -o b.mnn
cat err
try mnn convert unknown.pb -o part.mnn --import output_names=y
try mnn convert cut.pb -o b.mnn
try mnn inspect net.pb
grep -c "tensorflow" out
mnn inspect --ops | grep -c "FusedBatchNormV3"
ls b.mnn 2>/dev/null || echo "nothing written"
