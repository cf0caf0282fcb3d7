mnn > list || code=$?
grep -oE "^  (init|convert|quant|bench|compare|diff) " list
exit $code
