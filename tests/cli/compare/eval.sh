# A program of the user's judges both models' outputs; its number has a threshold.
cat > count.sh <<'END'
ls "$1" "$2" | grep -c step_
END
mnn compare cnn.onnx cnn.onnx --inputs samples --eval 'sh count.sh' --min-eval 3 | grep -- --eval
mnn compare cnn.onnx cnn.onnx --inputs samples --eval 'sh count.sh' --json | python3 -c "import json, sys; print(json.load(sys.stdin)['eval'])"
mnn compare cnn.onnx cnn.onnx --random 1 --min-eval 3 || echo $?
mnn compare cnn.onnx cnn.onnx --random 1 --eval 'echo 0.25' --min-eval 0.5 -q
