mnn inspect cnn.onnx --text --json | grep -c "graph main(x: f32"
