// Every front end, in the order they are asked.
#include "libconvert/convert.h"
#include "libconvert/frontends/caffe/frontend.h"
#include "libconvert/frontends/onnx/frontend.h"
#include "libconvert/frontends/tensorflow/graph_def.h"
#include "libconvert/frontends/tensorflow/saved_model.h"
#include "libconvert/frontends/tflite/frontend.h"
#include "libconvert/frontends/torch/frontend.h"
#include "libconvert/frontends/torch/script_frontend.h"

namespace mnn {

const std::vector<Frontend>& frontends() {
  static const std::vector<Frontend> all = {onnx_frontend(),        tflite_frontend(),
                                            caffe_frontend(),       graph_def_frontend(),
                                            saved_model_frontend(), exported_program_frontend(),
                                            torchscript_frontend()};
  return all;
}

}  // namespace mnn
