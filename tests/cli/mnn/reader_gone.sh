# A reader that goes away has seen enough: no signal, no failure, no word. A full disk is a failure.
for i in 1 2 3 4 5 6 7 8; do
  mnn inspect --ops 2>err | true
  code=${PIPESTATUS[0]}
  [ $code -eq 0 ] && [ ! -s err ] || echo "exit code $code: $(cat err)"
done
mnn inspect --ops > /dev/full
