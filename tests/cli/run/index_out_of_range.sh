# A token that the table does not have: the error names the sample, node, place, number and limits.
python3 - <<'END'
import os
import struct
from protobuf_bytes import field, info, model, node
table = field(1, 3) + field(1, 2) + field(2, 1) + field(8, b"table") + field(9, struct.pack("<6f", *range(6)))
ids = field(1, b"ids") + field(2, field(1, field(1, 7) + field(2, field(1, field(1, 2)))))
graph = node(b"Gather", [b"table", b"ids"], [b"rows"], b"embedding") + field(5, table) \
    + field(11, ids) + field(12, info(b"rows", 2, 2))
open("table.onnx", "wb").write(model(graph))
for name, numbers in (("good", (0, 2)), ("bad", (1, 3))):
    head = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }".ljust(117) + "\n"
    os.makedirs("samples/" + name)
    open("samples/" + name + "/ids.npy", "wb").write(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<2q", *numbers))
END
mnn run table.onnx --inputs samples/good --inputs samples/bad 2>&1 || echo "exit $?"
mnn run table.onnx --inputs samples/bad 2>&1 || echo "exit $?"
