# A state becomes an input and an output, which mnn convert --state takes back.
mnn convert stream.onnx -o s.mnn --state sum=y -q > text
mnn export s.mnn -o s.onnx --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["states"], d["operators"])'
mnn convert s.onnx -o again.mnn --state sum=y -q > text && echo taken back
