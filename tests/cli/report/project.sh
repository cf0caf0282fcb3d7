# In a project the reports of its CI jobs are found.
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
cd p
mnn report || echo "exit code $?"
mnn quant --report quant.json -q >/dev/null
mnn report -q
mnn bench --iterations 2 --profile profile.json -q >/dev/null
mnn report --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['model'], d['quant'], d['bench'], d['timed_model'], all(l['ms'] is not None for l in d['layers'] if l['macs']))"
