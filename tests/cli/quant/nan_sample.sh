python3 - <<END
b = bytearray(open("samples/sample_3.npy", "rb").read())
b[200:204] = b"\x00\x00\xc0\x7f"
open("samples/sample_3.npy", "wb").write(b)
END
mnn quant cnn.onnx -o q.mnn --calibration samples -q
