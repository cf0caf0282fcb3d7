# What stands in the way is named.
python3 -c "import class_samples; class_samples.write()"
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
