# A list of files with their classes, and classes in an order of one's own.
python3 - <<'END'
import pathlib, struct
state = 1
def noise():
    global state
    state = (state * 1103515245 + 12345) % 2**31
    return state / 2**31 - 0.5
def npy(path, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 16, 16), }"
    head += " " * (53 + 64 - len(head)) + "\n"
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
                                   struct.pack("<768f", *values))
for name, level in (("dark", -0.7), ("grey", 0.0), ("light", 0.7)):
    for i in range(20):
        npy(f"shapes/{name}/{i:02d}.npy", [level + noise() for _ in range(768)])
END
{ echo file,class; for c in dark light; do for f in shapes/$c/*.npy; do echo "$f,$c"; done; done; } > list.csv
mnn train cnn.onnx --data list.csv --classes light,dark --epochs 10 -o mine.mnn -q
cat mine.labels.txt
mnn train --help | head -2
mnn train mine.mnn --data list.csv --classes light,dark --keep-head --epochs 2 -o more.mnn --json 2>err |
  python3 -c 'import json,sys; j=json.load(sys.stdin); print(j["replaced_layer"], j["accuracy_before"] >= 0.9)'
