# A misspelt key of mnn.json would say nothing: it is refused with the likely one.
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
cd p
cp mnn.json whole.json
try() { sed "$1" whole.json > mnn.json; mnn quant -q 2>&1 >/dev/null | sed 's/^mnn: error: //'; echo "exit ${PIPESTATUS[0]}"; }
try 's/"min_snr": null/"min_sn": 50/'
try 's/"thresholds"/"treshold"/'
try 's/"height"/"heigth"/'
try 's/"layout": "nchw"/"layout": "nhcw"/'
try 's/"method"/"wholly_new"/'
