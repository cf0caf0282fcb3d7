// The workflow of `mnn export`: a model of any kind in, a model of another framework out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/flows/events.h"
#include "apps/flows/model_io.h"
#include "libconvert/exporters/onnx/exporter.h"

namespace mnn::flows {

struct ExportFlow {
  std::string model, output;
  std::string to;  // the format; empty: as the output's extension says
  ShapeMap shapes;
  std::map<std::string, std::string> import_keys;  // of the front end
  int opset = kNewestExportOpset;
  bool contrib = false, dequantize = false, external_data = false, fuse = true;
};

struct ExportOutcome {
  std::string path, format;
  int64_t bytes = 0;
  std::string external_path;  // empty: everything is in the model
  OnnxExport model;           // without its bytes: they are written
  std::vector<std::string> notes;
};
// kUsage for an unknown format or opset; kUnsupported names every node that the format cannot say.
Result<ExportOutcome> run_export_flow(const ExportFlow& flow, const Events& events);

}  // namespace mnn::flows
