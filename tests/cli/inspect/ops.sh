mnn inspect --ops | grep "^Conv "
mnn inspect --ops --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
ops = {o[\"op\"]: o for o in d[\"operators\"]}
print(ops[\"Conv\"][\"cpu\"], ops[\"Conv\"][\"reference\"], ops[\"Loop\"][\"cpu\"], ops[\"Loop\"][\"reference\"], len(d[\"backends\"][\"cpu\"]) > 50)
print(\"onnx\" in d[\"frontends\"])"
