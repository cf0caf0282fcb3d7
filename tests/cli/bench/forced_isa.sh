mnn bench cnn.onnx --iterations 3 --isa sse41 --json | grep -o "\"isa\": \"sse41\""
mnn bench cnn.onnx --iterations 3 --backend reference --json | grep -o "\"backend\": \"reference\""
MNN_CPU_ISA=sse41 mnn bench cnn.onnx --iterations 3 --json | grep -o "\"isa\": \"sse41\""
mnn bench cnn.onnx --isa z80
