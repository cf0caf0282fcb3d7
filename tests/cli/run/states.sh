# The memory inside the model gives what passing it by hand gives, step by step.
mnn convert stream.onnx -o stream.mnn --state sum=total -q >/dev/null
mnn inspect stream.mnn --text | grep -E "state|update"
# write FILE SHAPE NUMBERS…: an .npy of f32.
write() {
  python3 - "$@" <<'EOF'
import struct, sys
numbers = [float(n) for n in sys.argv[3:]]
header = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % sys.argv[2]
header += " " * (117 - len(header)) + "\n"
with open(sys.argv[1], "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + struct.pack("<%df" % len(numbers), *numbers))
EOF
}
mkdir a b
write a/input_0.npy "(1, 4)" 1 2 3 4
write a/input_2.npy "(1,)" 0.5
write b/input_0.npy "(1, 4)" -1 0.25 7 100
write b/input_2.npy "(1,)" 2
# input_<i> counts the source's inputs: factor stays the third although sum left the border.
mnn run stream.mnn --inputs a --inputs b --steps 2 --outputs kept -q >/dev/null
write sum.npy "(1, 4)" 0 0 0 0
step=0
for folder in a b a b; do
  cp -r $folder in$step
  cp sum.npy in$step/input_1.npy
  mnn run stream.onnx --inputs in$step --outputs out$step -q >/dev/null
  cp out$step/output_1.npy sum.npy
  cmp out$step/output_0.npy kept/step_$step/output_0.npy && echo "step $step is the same"
  step=$((step + 1))
done
mnn run stream.mnn --inputs a --steps 2 --reset --outputs fresh -q >/dev/null
cmp fresh/step_0/output_0.npy fresh/step_1/output_0.npy && echo "reset: both are the same"
