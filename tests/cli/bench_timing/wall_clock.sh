# The median must agree with the time that passes: N more runs take N medians longer. What else runs on the machine
# makes the clock run on but not the process, so the upper bound is on its processor time.
python3 - <<END
import json, os, subprocess, time
def run(n):
    cpu, wall = sum(os.times()[2:4]), time.monotonic()
    out = subprocess.run(["mnn", "bench", "cnn.onnx", "--iterations", str(n), "--threads", "1", "--json"], capture_output=True, check=True)
    return sum(os.times()[2:4]) - cpu, time.monotonic() - wall, json.loads(out.stdout)
seen = []
for attempt in range(5):
    short_cpu, short, a = run(100)
    long_cpu, long, b = run(60100)
    assert a["iterations"] == 100 and b["iterations"] == 60100
    expected = 60000 * b["median_ms"] / 1e3
    seen.append([round(x, 2) for x in ((long - short) / expected, (long_cpu - short_cpu) / expected,
                                       b["wall_ms"] / (60100 * b["median_ms"]))])
    wall, cpu, told = seen[-1]
    if wall > 0.8 and 0.8 < cpu < 1.4 and told > 0.8:
        print("agrees")
        break
else:
    print(seen)
END
