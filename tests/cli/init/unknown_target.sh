mnn init cnn.onnx --dir p --target toaster
