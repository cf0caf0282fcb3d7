mnn quant cnn.onnx -o a.mnn --calibration samples --export-scheme s.json -q >/dev/null
sed -i '0,/"int8",$/! {0,/"precision": "int8"/ s/"precision": "int8"/"precision": "int4"/}' s.json
mnn quant cnn.onnx -o b.mnn --import-scheme s.json -q
