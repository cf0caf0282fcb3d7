# -v and --log-file tell the version, the command line, stages with times and memory, and the end.
mnn quant cnn.onnx -o q.mnn --calibration samples --log-file l -q > /dev/null
sed "s/^[0-9T:.-]* //; s/[0-9.]* s,/N s,/; s/[0-9.]* MB/N MB/" l | grep -v "^debug stage \(float\|promo\)"
mnn inspect q.mnn -v 2>&1 >/dev/null | sed "s/[0-9.]* s,/N s,/; s/[0-9.]* MB/N MB/"
mnn inspect nothing.mnn -v 2>&1 >/dev/null | grep "exit code" | sed "s/after.*//"
