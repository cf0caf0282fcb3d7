mnn quant cnn.onnx -o q.mnn --calibration samples --min-cosine 0.9 --min-snr 150 --max-size 1MB --report r.xml -q >/dev/null || code=$?
python3 -c "
import xml.etree.ElementTree as x
s = x.parse(\"r.xml\").getroot()
for c in sorted(s.iter(\"testcase\"), key=lambda c: (c.get(\"classname\"), c.get(\"name\"))):
    f = c.find(\"failure\")
    print(c.get(\"classname\"), c.get(\"name\"), \"ok\" if f is None else \"dB is below 150.00 dB\" in f.get(\"message\"))"
exit $code
