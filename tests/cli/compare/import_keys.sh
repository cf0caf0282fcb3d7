# A key goes to the models whose front end has it; one that fits none is refused.
mnn convert cnn.onnx -o cnn.mnn -q
mnn compare cnn.onnx cnn.mnn --random 1 --import max_nodes=5000 -q
mnn bench cnn.onnx cnn.mnn --iterations 1 --import max_nodes=5000 --json | grep -c median_ms\"
mnn diff cnn.onnx cnn.mnn --import max_nodes=5000 -q
mnn bench cnn.onnx --import max_nodes=3 --iterations 1 || echo $?
mnn compare cnn.onnx cnn.mnn --random 1 --import weights=w
