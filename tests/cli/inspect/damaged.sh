mnn convert cnn.onnx -o c.mnn -q >/dev/null
python3 -c "
b = bytearray(open(\"c.mnn\", \"rb\").read())
b[len(b) // 2] ^= 1
open(\"c.mnn\", \"wb\").write(b)"
mnn inspect c.mnn >/dev/null
