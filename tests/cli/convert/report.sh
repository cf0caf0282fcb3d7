mnn convert cnn.onnx -o c.mnn --report r.md --report r.json --report r.html -q >/dev/null
grep -c "^| Conv" r.md
python3 -c "import json; print(json.load(open(\"r.json\"))[\"format\"])"
grep -c "http" r.html || true
