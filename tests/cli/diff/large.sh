python3 - <<END
from protobuf_bytes import field, info, model, node
def write(path, changed):
    graph = []
    for i in range(50000):
        op = b"Neg" if i == changed else b"Abs" if i % 2 else b"Sin"
        graph.append(node(op, [b"v%d" % i], [b"v%d" % (i + 1)], b"n%d" % i))
    graph += [field(11, info(b"v0", 4)), field(12, info(b"v50000", 4))]
    open(path, "wb").write(model(b"".join(graph), 13))
write("a.onnx", -1)
write("b.onnx", 30000)
END
mnn convert a.onnx -o a.mnn --no-fuse -q >/dev/null
mnn convert b.onnx -o b.mnn --no-fuse -q >/dev/null
# In linear time: a quadratic comparison would run into the case's time limit.
mnn diff a.mnn b.mnn
