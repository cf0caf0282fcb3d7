python3 - <<END
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128]); n >>= 7
    return out + bytes([n])
def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data
def info(name):
    dims = field(1, b"\x08\x04")
    return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, dims)))
def model(path, changed):
    graph = []
    for i in range(50000):
        op = b"Neg" if i == changed else b"Abs" if i % 2 else b"Sin"
        nodes = field(1, b"v%d" % i) + field(2, b"v%d" % (i + 1)) + field(3, b"n%d" % i) + field(4, op)
        graph.append(field(1, nodes))
    graph.append(field(2, b"g") + field(11, info(b"v0")) + field(12, info(b"v50000")))
    open(path, "wb").write(b"\x08\x08" + field(7, b"".join(graph)) + field(8, b"\x10\x0d"))
model("a.onnx", -1)
model("b.onnx", 30000)
END
mnn convert a.onnx -o a.mnn --no-fuse -q >/dev/null
mnn convert b.onnx -o b.mnn --no-fuse -q >/dev/null
# In linear time: a quadratic comparison would run into the case's time limit.
mnn diff a.mnn b.mnn
