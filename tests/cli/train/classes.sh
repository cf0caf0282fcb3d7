# Three classes that a mean tells apart: the new head learns them, the same for any number of threads.
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
mnn train cnn.onnx --data shapes --epochs 20 -o mine.mnn --export-onnx mine.onnx --json 2>err > out.json
python3 - <<'END'
import json
j = json.load(open("out.json"))
print(j["classes"], j["samples"], j["held_back"], j["replaced_layer"], j["on_features"], len(j["epochs"]))
print("learned", j["accuracy"] >= 0.9, sum(map(sum, j["confusion"])))
END
cat mine.labels.txt
mnn train cnn.onnx --data shapes --epochs 20 -o two.mnn --threads 2 -q > text
cmp mine.mnn two.mnn && echo same bytes
mnn run mine.mnn --inputs shapes/light/03.npy --outputs out --labels mine.labels.txt --top 1 -q
mnn compare mine.mnn mine.onnx --inputs shapes/grey --min-snr 80 -q > text && echo same as ONNX
