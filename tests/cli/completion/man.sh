mnn completion man --dir pages
if command -v man >/dev/null; then
  for page in pages/*.1; do man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null; done
fi
if command -v mandoc >/dev/null; then
  mandoc -T lint -W error pages/*.1
fi
mnn completion man bench | head -4
