mnn export cnn.onnx -o x.tflite --to tflite
