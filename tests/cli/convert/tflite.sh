# A TensorFlow Lite file, written here byte by byte: y = relu(x + 1). Names, open dims and signatures stay.
python3 - <<'END'
import struct
class Table:
    """A FlatBuffer table: its fields by slot, written behind what refers to it."""
    def __init__(self, **fields):
        self.fields = fields
out = bytearray(b"\0\0\0\0TFL3")
patches = []
def align(n):
    out.extend(b"\0" * (-len(out) % n))
def number(fmt, v):
    return struct.pack("<" + fmt, v)
def put(value):
    """Writes a table, a list or a text, and returns where it starts."""
    if isinstance(value, str):
        align(4)
        at = len(out)
        out.extend(struct.pack("<I", len(value)) + value.encode() + b"\0")
        return at
    if isinstance(value, tuple):  # (kind, list)
        kind, items = value
        while (len(out) + 4) % 16:
            out.append(0)
        at = len(out)
        out.extend(struct.pack("<I", len(items)))
        if kind == "@":
            base = len(out)
            out.extend(bytes(4 * len(items)))
            for i, item in enumerate(items):
                where = put(item)
                struct.pack_into("<I", out, base + 4 * i, where - (base + 4 * i))
        else:
            out.extend(b"".join(number(kind, i) for i in items))
        return at
    slots = {int(k[1:].split("_")[0]): (k.split("_")[1], v) for k, v in value.fields.items()}
    align(8)
    vtable = len(out)
    size = max(slots, default=-1) + 1
    out.extend(struct.pack("<HH", 4 + 2 * size, 4 + 8 * size) + bytes(2 * size))
    align(8)
    out.extend(b"\0" * 4)
    at = len(out)
    out.extend(struct.pack("<i", at - vtable) + bytes(8 * size))
    for slot, (kind, v) in slots.items():
        offset = 4 + 8 * slot
        struct.pack_into("<H", out, vtable + 4 + 2 * slot, offset)
        if kind == "at":
            where = put(v)
            struct.pack_into("<I", out, at + offset, where - (at + offset))
        else:
            struct.pack_into("<" + kind, out, at + offset, v)
    return at
def tensor(name, buffer=0, dims=(1, 2), signature=None):
    more = {"f7_at": ("i", signature)} if signature else {}
    return Table(f0_at=("i", dims), f1_b=0, f2_I=buffer, f3_at=name, **more)
graph = Table(f0_at=("@", [tensor("serving_default_x:0", signature=(-1, 2)), tensor("one", 1, (1,)),
                           tensor("StatefulPartitionedCall:0", signature=(-1, 2))]),
              f1_at=("i", [0]), f2_at=("i", [2]),
              f3_at=("@", [Table(f0_I=0, f1_at=("i", [0, 1]), f2_at=("i", [2]), f3_B=11, f4_at=Table(f0_b=1))]))
names = lambda name, at: ("@", [Table(f0_at=name, f1_I=at)])
model = Table(f0_I=3, f1_at=("@", [Table(f0_b=0, f2_i=1, f3_i=0)]), f2_at=("@", [graph]),
              f4_at=("@", [Table(), Table(f0_at=("B", struct.pack("<f", 1)))]),
              f7_at=("@", [Table(f0_at=names("x", 0), f1_at=names("y", 2), f2_at="serving_default", f4_I=0)]))
root = put(model)
struct.pack_into("<I", out, 0, root)
open("add.tflite", "wb").write(out)
open("cut.tflite", "wb").write(out[: len(out) // 2])
END
try() {
  "$@" >out 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | tail -1)"
}
try mnn convert add.tflite -o add.mnn
grep -E "inputs|outputs|plan" out
try mnn convert add.tflite -o named.mnn --import signature=serving_default --shape x=3,2
grep -E "inputs|outputs" out
try mnn convert add.tflite -o b.mnn --import signature=train
try mnn convert cut.tflite -o b.mnn
try mnn inspect add.tflite
grep -c "tflite" out
mnn inspect --ops | grep -c "CONV_2D"
