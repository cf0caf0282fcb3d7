mnn init open.onnx --dir p -q | grep "golden"
cd p && grep golden mnn.json mnn-ci.yml || true
mnn bench
