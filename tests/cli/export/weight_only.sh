# Weight-only models: DequantizeLinear, or MatMulNBits with --contrib, and the same results.
mnn quant recurrent.onnx -o w8.mnn --scheme w8 -q > text
mnn export w8.mnn -o w8.onnx -q --opset 17 > text
mnn compare w8.mnn w8.onnx --random 1 --min-snr 100 -q > text && echo same
mnn export w8.mnn -o nbits.onnx --contrib --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["operators"].get("com.microsoft::MatMulNBits"))'
mnn compare w8.mnn nbits.onnx --random 1 --min-snr 100 -q > text && echo same
mnn quant cnn.onnx -o w4.mnn --scheme w4 --group-size 16 -q > text
mnn export w4.mnn -o w4.onnx -q > text
mnn compare w4.mnn w4.onnx --random 1 --min-snr 100 -q > text && echo same
mnn export w4.mnn -o none.onnx --opset 17 -q > text 2> err || sed 's/node [^:]*:/node …:/' err | tail -1
mnn export w4.mnn -o floats.onnx --opset 17 --dequantize -q > text 2> err && cat err
mnn compare w4.mnn floats.onnx --random 1 --min-snr 100 -q > text && echo same
