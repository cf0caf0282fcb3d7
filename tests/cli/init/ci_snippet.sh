# The snippet is YAML, and its script runs as it stands.
mv cnn.onnx "it's a model.onnx"
mnn init "it's a model.onnx" --dir p --calibration samples -q >/dev/null
# No figure of this machine's clock decides.
sed -i 's/^ *"bench"$//; s/"quant",$/"quant"/' p/mnn.json
mnn init dynamic.onnx --dir q -q >/dev/null
check() {
  python3 - > script.sh <<END
try:
    import yaml
    job = yaml.safe_load(open("mnn-ci.yml"))["model-check"]
    script = job["script"]
    assert "bench.json" in job["artifacts"]["paths"]
except ImportError:
    script = [l[7:-2].replace("''", "'") for l in open("mnn-ci.yml") if l.startswith("    - '")]
print("\\n".join(script))
END
  wc -l < script.sh
  bash -eu script.sh >/dev/null 2>&1 && echo passed
}
(cd p && check && ls quant.* bench.* scheme.json)
# With what the first run decided committed, the second does not search.
(cd p && bash -eu script.sh >/dev/null 2>&1 && python3 -c "import json; print(json.load(open('quant.json'))['candidates'])")
(cd p && grep -c "run: 'mnn" mnn-ci.github.yml && grep -l 'path: |' mnn-ci.github.yml)
(cd q && check)
