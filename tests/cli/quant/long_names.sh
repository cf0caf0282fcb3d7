# Names of any length break neither lines nor files.
long=$(printf 'a/%.0s' $(seq 180))
python3 - "$long" <<'END'
import sys
long = sys.argv[1].encode()
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
    shape = b"".join(field(1, field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))
import struct
w = [((i * 37) % 101 - 50) / 50 for i in range(16)]
graph = field(1, field(1, long + b"in") + field(1, b"w") + field(2, long + b"out") + field(3, long + b"node") + field(4, b"MatMul"))
graph += field(2, b"g") + field(5, field(1, 4) + field(1, 4) + field(2, 1) + field(8, b"w") + field(9, struct.pack("<16f", *w)))
graph += field(11, info(long + b"in", 2, 4)) + field(12, info(long + b"out", 2, 4))
open("long.onnx", "wb").write(field(1, 8) + field(7, graph) + field(8, field(1, b"") + field(2, 17)))
END
mnn init long.onnx --dir p -q >/dev/null
mkdir s
cp p/golden/input_0.npy s/0.npy
mnn quant long.onnx -o q.mnn --calibration s 2>/dev/null | sed "s|$long|LONG/|" | grep -c "^output LONG/out: SNR .* dB, cosine .*, max abs"
mnn run long.onnx --random 1 --dump-layers layers -q
mnn compare long.onnx q.mnn --random 1 --dump-layers both -q >/dev/null
ls layers both/ref | wc -l
name=$(printf 'n%.0s' $(seq 251)).mnn
mnn convert long.onnx -o "$name" -q >/dev/null
ls -A | grep -c '^n*\.mnn$'
