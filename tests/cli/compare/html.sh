mnn compare cnn.onnx other_weights.onnx --inputs samples --report r.html >/dev/null
grep -o "verdict</td><td>[^<]*" r.html | sed "s/0\.9[0-9]*/*/"
grep -c "passed" r.html || true
grep -c "<svg" r.html
grep -c "onclick" r.html
grep -c "http" r.html || true
mnn compare cnn.onnx other_weights.onnx --inputs samples --min-cosine 0.5 --report r.html >/dev/null
grep -o "verdict</td><td>[^<]*" r.html
mnn compare cnn.onnx other_weights.onnx --inputs samples --max-layers 0 | grep layers
