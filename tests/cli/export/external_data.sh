# Constants beside the model: read back from there, and both files carry the output's name.
mnn export wide_channels.onnx -o x.onnx --external-data --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["external_data"])'
ls x.onnx*
mnn compare wide_channels.onnx x.onnx --random 1 --min-snr 100 -q > text && echo same
rm x.onnx.data
mnn run x.onnx --random 1 --outputs out -q > text 2> err || tail -1 err
