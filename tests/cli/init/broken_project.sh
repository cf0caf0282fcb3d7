mkdir p && cd p
echo "{\"model\": \"m.mnn\", \"thresholds\": {\"min_snr\": \"high\"}}" > mnn.json
mnn quant
