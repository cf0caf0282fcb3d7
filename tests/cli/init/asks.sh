# Where no usual size runs, init asks and makes nothing.
python3 - <<'END'
def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])
def field(number, body):
    if isinstance(body, int):
        return varint(number << 3) + varint(body)
    return varint(number << 3 | 2) + varint(len(body)) + body
def info(name, *dims):
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))
# y = x + w, w of 77 elements: only that length runs.
w = field(1, 77) + field(2, 1) + field(8, b"w") + field(9, bytes(4 * 77))
node = field(1, b"x") + field(1, b"w") + field(2, b"h") + field(4, b"Add")
# The declared split is 77: any other length, 1 included, is refused.
split = field(1, 2) + field(2, 7) + field(8, b"s") + field(9, (7).to_bytes(8, "little") + (70).to_bytes(8, "little"))
axis = field(5, field(1, b"axis") + field(3, 1) + field(20, 2))
cut = field(1, b"x") + field(1, b"s") + field(2, b"y") + field(2, b"z") + field(4, b"Split") + axis
graph = field(1, cut) + field(2, b"g") + field(5, split) + field(11, info(b"x", 1, b"n"))
graph += field(12, info(b"y", 1, 7)) + field(12, info(b"z", 1, 70))
open("odd.onnx", "wb").write(field(1, 8) + field(7, graph) + field(8, field(1, b"") + field(2, 17)))
END
mnn init odd.onnx --dir p 2>err && exit 1
echo "exit $?"; cat err
ls p 2>/dev/null || echo "nothing made"
mnn init odd.onnx --dir p --shape x=1,77 -q
