# Names of any length break neither lines nor files.
long=$(printf 'a/%.0s' $(seq 180))
python3 - "$long" <<'END'
import struct, sys
from protobuf_bytes import field, info, model, node
long = sys.argv[1].encode()
w = struct.pack("<16f", *[((i * 37) % 101 - 50) / 50 for i in range(16)])
graph = node(b"MatMul", [long + b"in", b"w"], [long + b"out"], long + b"node")
graph += field(5, field(1, 4) + field(1, 4) + field(2, 1) + field(8, b"w") + field(9, w))
graph += field(11, info(long + b"in", 2, 4)) + field(12, info(long + b"out", 2, 4))
open("long.onnx", "wb").write(model(graph))
END
mnn init long.onnx --dir p -q >/dev/null
mkdir s
cp p/golden/input_0.npy s/0.npy
mnn quant long.onnx -o q.mnn --calibration s 2>/dev/null | tr '\n' ' ' | grep -c "output a/a/.*…/a/.*/out: pooled SNR .* dB, *cosine .*, *max abs"
mnn run long.onnx --random 1 --dump-layers layers -q
mnn compare long.onnx q.mnn --random 1 --dump-layers both -q >/dev/null
ls layers both/ref | wc -l
name=$(printf 'n%.0s' $(seq 251)).mnn
mnn convert long.onnx -o "$name" -q >/dev/null
ls -A | grep -c '^n*\.mnn$'
