# No line of any table is wider than the terminal, and nothing is lost on the way.
mnn convert cnn.onnx -o m.mnn -q >/dev/null
check() {
  name=$1; shift
  COLUMNS=300 "$@" > wide.txt
  for width in 80 40; do
    COLUMNS=$width "$@" > narrow.txt
    python3 - "$name" $width <<'END'
import re, sys
wide, narrow = open("wide.txt").read(), open("narrow.txt").read()
widest = max(len(line) for line in narrow.splitlines())
# Words that do not change from run to run: without digits; a long word may go on in the next line.
joined = re.sub(r"\s", "", narrow)
lost = [w for w in re.findall(r"[a-zA-Z_+]{3,}", wide) if w not in joined]
print(sys.argv[1], sys.argv[2], "ok" if widest <= int(sys.argv[2]) and not lost else (widest, lost))
END
  done
}
check convert mnn convert cnn.onnx -o c.mnn
check quant mnn quant m.mnn -o q.mnn --calibration samples --report quant.json
check bench mnn bench m.mnn q.mnn --iterations 2 --profile profile.json
check compare mnn compare m.mnn q.mnn --random 1
check inspect mnn inspect q.mnn
check ops mnn inspect --ops
check verify mnn inspect --verify q.mnn
check run mnn run m.mnn --random 1
check diff mnn diff m.mnn q.mnn
check report mnn report --model q.mnn --quant quant.json --bench profile.json
