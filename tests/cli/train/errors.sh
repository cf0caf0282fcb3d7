# What stands in the way is named.
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
try() { mnn train "$@" -q > text 2>err && code=0 || code=$?; echo "exit $code"; tail -1 err; }
try cnn.onnx --data nowhere -o a.mnn
try nowhere.onnx --data shapes -o a.mnn
mkdir one && cp -r shapes/dark one
try cnn.onnx --data one -o a.mnn
printf 'file,class\nshapes/dark/00.npy,dark\nshapes/none.npy,light\n' > list.csv
try cnn.onnx --data list.csv -o a.mnn
try cnn.onnx --data shapes --classes dark,light -o a.mnn
try cnn.onnx --data shapes --keep-head -o a.mnn
try cnn.onnx --data shapes --augment twist -o a.mnn
try cnn.onnx --data shapes --unfreeze some -o a.mnn
try cnn.onnx --data shapes --resume -o a.mnn
try cnn.onnx --data shapes -o missing/a.mnn
try cnn.onnx --data shapes --learning-rate 1000 --epochs 3 --optimizer sgd --unfreeze all -o a.mnn
try cnn.onnx --data shapes --lora-rank 2 -o a.mnn
try sequences.onnx --data shapes -o a.mnn
mkdir text_classes && mkdir text_classes/a text_classes/b && echo hello > text_classes/a/x.txt
try cnn.onnx --data text_classes -o a.mnn
printf 'x' > shapes/dark/00.npy
try cnn.onnx --data shapes -o a.mnn
ls a.mnn a.labels.txt 2>/dev/null || echo nothing was written
