// mnn train: a model and labelled samples in, a model for their classes out.
#include <iostream>

#include "apps/common/flags.h"
#include "apps/common/image_flags.h"
#include "apps/flows/file_roles.h"
#include "apps/flows/train_flow.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  TrainFlow flow;
  ImageFlags images;
  std::vector<std::string> shapes, import_keys;
  std::string classes = "auto", unfreeze = "0", optimizer = "adamw", augmentation = "none";
};

std::vector<std::string> class_names(const std::string& text) {
  std::vector<std::string> names;
  if (text == "auto") return names;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

Status run(Options& o) {
  TrainFlow& f = o.flow;
  MNN_ASSIGN_OR_RETURN(f.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(f.import_keys, parse_import_keys(o.import_keys));
  MNN_ASSIGN_OR_RETURN(f.images, o.images.over({}));
  MNN_ASSIGN_OR_RETURN(f.augmentation, parse_augmentation(o.augmentation));
  f.classes = class_names(o.classes);
  f.unfreeze = o.unfreeze == "all" ? -1 : std::stoll(o.unfreeze);
  f.optimizer.kind = o.optimizer == "sgd"    ? OptimizerOptions::Kind::kSgd
                     : o.optimizer == "adam" ? OptimizerOptions::Kind::kAdam
                                             : OptimizerOptions::Kind::kAdamW;
  f.threads = o.common.threads;
  if (f.resume && f.checkpoint.empty()) return usage_error("--resume needs --checkpoint FILE");
  // One that is gone on from is read first.
  if (!f.resume && !f.checkpoint.empty()) {
    MNN_RETURN_IF_ERROR(file_roles().writes("--checkpoint", f.checkpoint));
  }
  TrainOutcome done;
  {
    Progress progress;
    MNN_ASSIGN_OR_RETURN(done, run_train_flow(f, progress.events()));
  }
  if (!done.skipped.empty()) {
    log_warning(f.data + ": " + std::to_string(done.skipped.size()) +
                " entries are no samples, such as " + done.skipped.front());
  }
  if (o.common.json) {
    print_json(nlohmann::ordered_json::parse(train_json(f, done)));
    return {};
  }
  const std::string text = train_text(done);
  if (!is_quiet()) std::cout << text;
  std::cout << f.output << ": " << done.classes.size() << " classes, their names in "
            << done.labels_path << "\n";
  if (!done.adapters_path.empty()) {
    std::cout << done.adapters_path << ": the adapters of " << done.adapters << " layers\n";
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Teaches a model other classes: replaces its last layer, trains it on labelled samples, and "
      "judges it on samples held back.",
      "mnn train");
  Options o;
  TrainFlow& f = o.flow;
  CommonFlags& c = o.common;
  c.reads(app.add_option("MODEL", f.model, "The model: a .mnn or a source model, of floats")
              ->required()
              ->type_name("FILE"));
  c.reads(app.add_option("--data", f.data,
                         "A folder with a folder of images or .npy files for each class, or a "
                         ".csv of FILE,CLASS")
              ->required()
              ->type_name("DIR|CSV"));
  c.reads(app.add_option("--validation", f.validation,
                         "Samples to judge by, laid out alike; default: a share of --data")
              ->type_name("DIR|CSV"));
  c.writes(
      app.add_option("-o,--output", f.output, "The .mnn to write")->required()->type_name("FILE"));
  app.add_option("--split", f.split, "The share of each class that is held back")
      ->type_name("SHARE")
      ->check(real_number(0.01, 0.9))
      ->capture_default_str();
  app.add_option("--classes", o.classes,
                 "Names of the classes in the order of the outputs; auto: as the data has them")
      ->type_name("auto|NAME,…")
      ->capture_default_str();
  app.add_flag("--keep-head", f.keep_head, "Train the model's own last layer on");
  app.add_option("--unfreeze", o.unfreeze,
                 "Layers before the head that are trained too: a number, or all")
      ->type_name("N|all")
      ->check([](const std::string& text) {
        if (text == "all") return std::string();
        const bool digits =
            !text.empty() && text.size() < 7 &&
            std::all_of(text.begin(), text.end(), [](char ch) { return ch >= '0' && ch <= '9'; });
        return digits ? std::string() : "expected a number or all, found '" + text + "'";
      })
      ->capture_default_str();
  app.add_option("--lora-rank", f.lora_rank,
                 "Train adapters of this rank in the place of the matrices of MatMul and Gemm; "
                 "merged in the model, and written apart as OUT.lora.mnn")
      ->type_name("R")
      ->check(whole_number(1, 4096));
  app.add_option("--epochs", f.epochs,
                 "Times that every sample is seen; default 60 for the head alone, else 10")
      ->type_name("N")
      ->check(whole_number(1, 1 << 20));
  app.add_option("--batch", f.batch, "Samples of a step")
      ->type_name("N")
      ->check(whole_number(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--learning-rate", f.learning_rate,
                 "Of the first steps, falls along a cosine; default 0.01 for the head alone, else "
                 "0.001")
      ->type_name("R")
      ->check(real_number(1e-9, 1e3));
  app.add_option("--optimizer", o.optimizer, "adamw, adam, or sgd with momentum 0.9")
      ->check(CLI::IsMember({"adamw", "adam", "sgd"}))
      ->capture_default_str();
  app.add_option("--weight-decay", f.optimizer.weight_decay, "Of matrices; per step and rate")
      ->type_name("D")
      ->check(real_number(0, 1))
      ->capture_default_str();
  app.add_option("--clip", f.clip, "Most the norm of all gradients may be; 0: any")
      ->type_name("NORM")
      ->check(real_number(0, 1e9))
      ->capture_default_str();
  app.add_option("--augment", o.augmentation,
                 "What is done to images at random: flip, shift, light, joined by commas")
      ->type_name("LIST")
      ->capture_default_str();
  app.add_option("--seed", f.seed, "Of the split, the order, the head and what is random")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--patience", f.patience,
                 "Epochs without a better score after which it stops; 0: never")
      ->type_name("N")
      ->check(whole_number(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--checkpoint", f.checkpoint, "A file that --resume goes on from")
      ->type_name("CHECKPOINT");
  app.add_option("--checkpoint-steps", f.checkpoint_steps,
                 "Steps between two checkpoints; every epoch ends with one")
      ->type_name("N")
      ->check(whole_number(1))
      ->capture_default_str();
  app.add_flag("--resume", f.resume, "Go on from the checkpoint, where there is one");
  c.writes(app.add_option("--export-onnx", f.export_onnx, "Write the model as ONNX too")
               ->type_name("FILE"));
  add_image_flags(app, o.images);
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(app, c,
                   "mnn train model.onnx --data shapes --classes auto --epochs 5 -o mine.mnn");
  return run_command(app, c, argc, argv, [&] { return run(o); });
}
