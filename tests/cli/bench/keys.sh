mnn convert cnn.onnx -o a.mnn -q >/dev/null
mnn bench cnn.onnx a.mnn --iterations 7 --json --profile p.json > r.json
python3 - <<END
import json
text = open("r.json").read()
d = json.loads(text)
print([list(m)[0] for m in d], [m["iterations"] for m in d], [len(m["layers"]) > 0 for m in d])
keys = "median_ms p90_ms p99_ms load_ms peak_bytes runs_per_second wall_ms threads isa backend int8_mac_share".split()
print([k for k in keys if k not in d[0] or k not in d[1]], all(m["peak_bytes"] > 1e6 for m in d))
rows = [row for row in d[0]["layers"] if row["macs"] > 0]
print(len(rows), all(r["gflops"] > 0 and r["bytes"] > 0 and r["backend"] == "cpu" and r["kernel"] for r in rows))
trace = json.load(open("p.json"))
print(len({e["pid"] for e in trace["traceEvents"]}), [m["model"] for m in trace["models"]])
END
mnn bench cnn.onnx --iterations 3 --json | grep -c layers || true
