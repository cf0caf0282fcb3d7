# Layers can be told to be the same; a name that is not there is asked back.
mnn compare cnn.onnx cnn.onnx --random 1 --json | python3 -c "
import json, sys
print(*[l['name'] for l in json.load(sys.stdin)['layers']])"
cat > pairs.json <<'END'
{"stem_relu": "residual_relu"}
END
mnn compare cnn.onnx cnn.onnx --random 1 --align pairs.json | grep -o '[0-9]* layers aligned by name, .* by hand'
mnn diff cnn.onnx cnn.onnx --align pairs.json -q
echo '{"stem_relu": "stem_rel"}' > wrong.json
mnn compare cnn.onnx cnn.onnx --random 1 --align wrong.json || echo $?
mnn diff cnn.onnx cnn.onnx --align wrong.json || echo $?
echo '["stem_relu"]' > list.json
mnn compare cnn.onnx cnn.onnx --random 1 --align list.json
