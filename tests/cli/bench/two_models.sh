mnn convert cnn.onnx -o a.mnn -q >/dev/null
mnn bench cnn.onnx a.mnn --iterations 5 --json | python3 -c "
import json,sys
d = json.load(sys.stdin)
print(len(d), \"ratio_to_first\" in d[0], d[1][\"ratio_to_first\"][\"low\"] <= d[1][\"ratio_to_first\"][\"high\"])"
