mnn > list || code=$?
grep -E "^  (init|convert|quant|bench|compare|diff) " list
exit $code
