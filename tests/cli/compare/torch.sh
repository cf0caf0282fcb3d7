# A network through PyTorch's doors is one with its ONNX export; all commands take the source files.
data="$CASES/../../data/doors"
mkdir -p samples/a samples/b
python3 - <<'END'
import math, struct
for n, name in enumerate("ab"):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 16, 16), }"
    head += " " * (117 - len(head)) + "\n"
    values = [math.sin(0.37 * i + n) for i in range(3 * 16 * 16)]
    with open(f"samples/{name}/x.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<768f", *values))
END
for door in cnn.pt cnn.trace.pt cnn.pt2; do
  mnn compare "$data/$door" "$data/cnn.onnx" --inputs samples --json -q >compared.json && code=0 || code=$?
  python3 -c "
import json
result = json.load(open('compared.json'))
print('$door', $code, [(o['name'], o['snr_db'] > 100) for o in result['outputs']])"
done
for door in cnn.pt cnn.pt2; do
  mnn quant "$data/$door" -o q.mnn --calibration samples -q >/dev/null
  mnn inspect q.mnn | grep "^int8 MACs"
  mnn bench "$data/$door" --shape x=1,3,16,16 --iterations 2 --json | grep -c '"median_ms"'
  mnn run "$data/$door" --inputs samples/a --outputs out -q && ls out
done
