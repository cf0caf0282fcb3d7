# Weights alone in few bits: without samples nothing is measured, with samples all is.
mnn quant cnn.onnx -o w4.mnn --scheme w4 --keep-float 'stem*' | grep -v '^ *written'
mnn inspect w4.mnn --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['quantized_values'] > 0, d['quantized_activations'], d['int8_mac_share'])"
mnn quant cnn.onnx -o w8.mnn --scheme w8 --calibration samples --min-snr 20 --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['scheme'], d['method'], d['passed'], len(d['layers']))"
mnn compare cnn.onnx w8.mnn --random 1 --min-snr 20 -q
for flags in '--group-size 20000' '--scheme w4 --method kl' '--scheme w4 --level best' '--level fast --calibration samples' '--scheme w4 --min-snr 3' '--scheme w4 --keep-float nobody'; do
  mnn quant cnn.onnx -o no.mnn $flags -q || echo $?
done
ls no.mnn* 2>/dev/null | wc -l
