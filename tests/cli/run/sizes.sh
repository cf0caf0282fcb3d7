mnn convert sizes.onnx -o s.mnn -q >/dev/null
mnn convert sizes.onnx -o plain.mnn --no-fuse -q >/dev/null
python3 - <<END
import array, os

def write(path, dims, values):
    text = "(" + "".join(f"{d}, " for d in dims) + ")"
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {text}, }}".ljust(117) + "\n"
    data = array.array("f", values).tobytes()
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data)

for n, m in ((2, 5), (3, 12), (1, 1), (2, 0)):
    folder = f"{n}x{m}"
    os.makedirs(folder)
    x = [[10 * i + j for j in range(m)] for i in range(n)]
    part = [row[:-2:2] for row in x]
    write(f"{folder}/input_0.npy", (n, m), sum(x, []))
    write(f"{folder}/output_0.npy", (1,), [min(m, 9)])
    write(f"{folder}/output_1.npy", (n, len(part[0])), sum(part, []))
    write(f"{folder}/output_2.npy", (max(7 - m, 0),), [0] * max(7 - m, 0))
END
for model in sizes.onnx s.mnn plain.mnn; do
  for folder in 2x5 3x12 1x1 2x0; do
    mnn run $model --inputs $folder --expect $folder -q >/dev/null && echo "$model $folder"
  done
done
