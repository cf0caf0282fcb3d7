# Where no usual size runs, init asks and makes nothing.
python3 - <<'END'
from protobuf_bytes import field, info, model, node
# x is cut into 7 and 70: any length but 77 is refused.
sizes = field(1, 2) + field(2, 7) + field(8, b"s") + field(9, (7).to_bytes(8, "little") + (70).to_bytes(8, "little"))
axis = field(1, b"axis") + field(3, 1) + field(20, 2)
graph = node(b"Split", [b"x", b"s"], [b"y", b"z"], b"cut", axis) + field(5, sizes)
graph += field(11, info(b"x", 1, b"n")) + field(12, info(b"y", 1, 7)) + field(12, info(b"z", 1, 70))
open("odd.onnx", "wb").write(model(graph))
END
mnn init odd.onnx --dir p 2>err && exit 1
echo "exit $?"; cat err
ls p 2>/dev/null || echo "nothing made"
mnn init odd.onnx --dir p --shape x=1,77 -q
