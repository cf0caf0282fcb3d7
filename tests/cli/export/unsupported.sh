# Every node that the opset cannot say is named, and nothing is written.
python3 - <<'P'
from protobuf_bytes import info, field, model, node
graph = (node(b"Trilu", [b"x"], [b"a"], b"upper") + node(b"BitwiseNot", [b"i"], [b"j"], b"flip") +
         node(b"Cast", [b"x"], [b"i"], b"whole", field(1, b"to") + field(3, 6) + field(20, 2)) +
         node(b"Cast", [b"j"], [b"b"], b"back", field(1, b"to") + field(3, 1) + field(20, 2)) +
         field(11, info(b"x", 3, 3)) + field(12, info(b"a", 3, 3)) + field(12, info(b"b", 3, 3)))
open("m.onnx", "wb").write(model(graph, 18))
P
mnn export m.onnx -o x.onnx --opset 18 -q > text
mnn export m.onnx -o y.onnx --opset 13 -q && code=0 || code=$?
ls y.onnx 2>/dev/null || true
exit $code
