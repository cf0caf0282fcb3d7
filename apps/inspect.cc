// mnn inspect: what is in a model.
#include <algorithm>
#include <iostream>
#include <set>
#include <sstream>

#include "apps/common/flags.h"
#include "apps/common/project_flags.h"
#include "apps/flows/model_io.h"
#include "apps/flows/placement.h"
#include "libruntime/compile/registry.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "libruntime/report/json_text.h"
#include "libruntime/session.h"
#ifdef MNN_WITH_CONVERT
#include "libconvert/convert.h"
#endif

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;
using Json = nlohmann::ordered_json;

struct Options {
  CommonFlags common;
  std::string model, project;
  std::vector<std::string> shapes, import_keys;
  bool text = false, verify = false, ops = false;
};

void count_ops(const Graph& graph, std::map<std::string, int64_t>& ops) {
  for (const Node& node : graph.nodes) {
    std::string name = node.op;
    for (const FusedOp& f : node.fused) name += "+" + f.op;
    ++ops[name];
    for (const Graph& g : node.subgraphs) count_ops(g, ops);
  }
}

Json border(const Graph& graph, const std::vector<ValueId>& ids) {
  Json out = Json::array();
  for (const ValueId v : ids) {
    const Value& value = graph.value(v);
    Json dims = Json::array();
    if (value.type.shape) {
      for (const Dim& d : *value.type.shape)
        d.known() ? dims.push_back(d.value()) : dims.push_back(d.str());
    }
    out.push_back({{"name", value.name},
                   {"dtype", std::string(dtype_name(value.type.dtype))},
                   {"shape", value.type.shape ? dims : Json()}});
  }
  return out;
}

// The dims a quantized model was calibrated with serve where its own are open.
ShapeMap calibrated_dims(const Model& model) {
  ShapeMap shapes;
  const auto meta = nlohmann::json::parse(model.metadata_json, nullptr, false);
  if (!meta.is_object() || !meta.contains("calibrated_dims") ||
      !meta["calibrated_dims"].is_object())
    return shapes;
  for (const auto& [name, dims] : meta["calibrated_dims"].items()) {
    if (!dims.is_array()) continue;
    std::vector<int64_t> list;
    for (const auto& d : dims) {
      if (d.is_number_integer()) list.push_back(d.get<int64_t>());
    }
    for (const ValueId v : model.graph.inputs) {
      const Value& value = model.graph.value(v);
      if (value.name == name && value.type.shape && value.type.rank() == list.size())
        shapes[name] = list;
    }
  }
  return shapes;
}

// "project, scale; read: project" of a source that has signatures, or a model made from one.
std::string signatures_of(const LoadedModel& loaded) {
  const auto meta = nlohmann::json::parse(loaded.model.metadata_json, nullptr, false);
  const auto fact = [&](const char* key) -> std::string {
    const auto known = loaded.facts.find(key);
    if (known != loaded.facts.end()) return known->second;
    if (!meta.is_object() || !meta.contains("source") || !meta["source"].is_object()) return {};
    const auto& source = meta["source"];
    return source.contains(key) && source[key].is_string() ? source[key].get<std::string>() : "";
  };
  const std::string all = fact("signatures"), one = fact("signature");
  return all.empty() || one.empty() ? all : all + "; read: " + one;
}

Status print_ops(bool json) {
  Json out;
  std::vector<std::vector<std::string>> rows = {{"operator", "decomposition"}};
  std::map<std::string, std::set<std::string>> runs;
  for (const std::string& backend : backend_names()) {
    MNN_ASSIGN_OR_RETURN(const auto opened, open_backend(backend));
    const std::vector<std::string> ops = opened->operators();
    runs[backend] = {ops.begin(), ops.end()};
    out["backends"][backend] = ops;
    rows[0].push_back(backend);
  }
  for (const OpDef* def : all_ops()) {
    Json row = {{"op", def->name}, {"decomposition", def->decompose != nullptr}};
    std::vector<std::string> cells = {def->name, def->decompose ? "yes" : ""};
    for (const auto& [backend, ops] : runs) {
      row[backend] = ops.contains(def->name);
      cells.emplace_back(ops.contains(def->name) ? "yes" : "");
    }
    out["operators"].push_back(row);
    rows.push_back(std::move(cells));
  }
  std::string sources;
#ifdef MNN_WITH_CONVERT
  for (const Frontend& f : frontends()) {
    out["frontends"][f.format] = f.operators();
    sources += "\n" + f.format + ":\n";
    for (const std::string& op : f.operators()) sources += "  " + op + "\n";
    for (const ImportKey& key : f.keys) {
      out["import_keys"][f.format][key.name] = key.help;
      sources += "  --import " + key.name + "=…  " + key.help + "\n";
    }
  }
#endif
  if (json) {
    print_json(std::move(out));
  } else {
    std::cout << format_table(rows, {.right = {}, .head = true, .width = terminal_width()});
    print_text(sources);
  }
  return {};
}

Status print_verification(const Options& o) {
  MNN_ASSIGN_OR_RETURN(const std::vector<SectionInfo> sections, verify_file(o.model));
  Json out;
  std::vector<std::vector<std::string>> rows = {{"section", "offset", "bytes", "SHA-256", ""}};
  std::string broken;
  for (const SectionInfo& s : sections) {
    out["sections"].push_back({{"name", s.name},
                               {"offset", s.offset},
                               {"bytes", s.bytes},
                               {"sha256", s.sha256},
                               {"intact", s.intact}});
    rows.push_back({s.name, std::to_string(s.offset), std::to_string(s.bytes), s.sha256,
                    s.intact ? "ok" : "DAMAGED"});
    if (!s.intact) broken += (broken.empty() ? "" : ", ") + s.name;
  }
  if (o.common.json) {
    print_json(std::move(out));
  } else {
    std::cout << format_table(
        rows, {.right = {1, 2}, .head = true, .width = terminal_width(), .whole = {3}});
  }
  if (!broken.empty()) return invalid(o.model + ": damaged: " + broken);
  return {};
}

Status inspect(Options& o) {
  if (o.ops) return print_ops(o.common.json);
  if (means_project(o.model)) {
    MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, o.model));
    o.model = p.path(p.model);
  }
  if (o.verify) return print_verification(o);
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(load.import_keys, parse_import_keys(o.import_keys));
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(o.model, load));
  const Graph& graph = loaded.model.graph;
  if (o.text) {
    const std::string text = print_graph(graph);
    std::cout << (o.common.json ? json_text({{"text", text}}) : text);
    return {};
  }
  std::map<std::string, int64_t> ops;
  count_ops(graph, ops);

  // Memory and MACs need concrete shapes: the model's, the ones given, or those of its calibration.
  Graph bound = graph;
  std::string shape_note;
  if (o.shapes.empty()) {
    const ShapeMap dims = calibrated_dims(loaded.model);
    if (!dims.empty() && bind_shapes(bound, dims).ok())
      shape_note = "for the shapes it was calibrated with";
  }
  std::unique_ptr<Session> session;
  const auto dims = concrete_input_dims(bound);
  if (dims.ok()) {
    SessionOptions plan;
    plan.threads = o.common.threads;
    plan.plan_only = true;
    MNN_ASSIGN_OR_RETURN(session, Session::create(bound, plan));
    const Status prepared = session->prepare(*dims);
    if (!prepared.ok()) return prepared.context(o.model);
  }
  const Placement placement = place(bound);
  const std::string warning = reference_warning(placement);
  if (!warning.empty()) log_warning(warning);
  std::map<std::string, int64_t> on_backend;
  if (session) {
    for (const StepInfo& s : session->steps()) ++on_backend[s.backend];
  }
  int64_t quantized_values = 0, activations = 0, per_channel = 0;
  for (const Value& v : graph.values) {
    if (!v.quant) continue;
    ++quantized_values;
    if (v.kind == ValueKind::kConstant) continue;
    ++activations;
    per_channel += v.quant->axis >= 0;
  }

  if (o.common.json) {
    Json out;
    out["model"] = o.model;
    out["format"] = loaded.format;
    if (!loaded.facts.empty()) out["facts"] = loaded.facts;
    out["inputs"] = border(graph, graph.inputs);
    out["outputs"] = border(graph, graph.outputs);
    out["nodes"] = count_nodes(graph);
    out["ops"] = ops;
    out["parameters"] = count_parameters(graph);
    out["constant_bytes"] = constant_bytes(graph);
    out["quantized_values"] = quantized_values;
    out["quantized_activations"] = activations;
    out["activations_per_channel"] = per_channel;
    out["int8_mac_share"] = session ? session->int8_mac_share() : 0.0;
    if (session) {
      const MemoryInfo m = session->memory();
      out["macs"] = static_cast<int64_t>(std::min(session->macs().all, 9e18));
      out["memory"] = {{"arena_bytes", m.arena_bytes},
                       {"weight_bytes", m.weight_bytes},
                       {"packed_bytes", m.packed_bytes},
                       {"grows", m.grows}};
      out["backends"] = on_backend;
    } else {
      out["memory"] = nullptr;
    }
    if (placement.planned) out["reference"] = reference_json(placement);
    const auto meta = nlohmann::json::parse(loaded.model.metadata_json, nullptr, false);
    out["metadata"] = meta.is_object() ? Json(meta) : Json::object();
    print_json(std::move(out));
    return {};
  }
  auto border_text = [&](const std::vector<ValueId>& ids) {
    std::string text;
    for (const ValueId v : ids)
      text += (text.empty() ? "" : "\n            ") + graph.value(v).name + ": " +
              graph.value(v).type.str();
    return text;
  };
  const std::string signatures = signatures_of(loaded);
  std::ostringstream out;
  out << "model       " << o.model << " (" << loaded.format << ")\n"
      << (signatures.empty() ? "" : "signatures  " + signatures + "\n") << "inputs      "
      << border_text(graph.inputs) << "\n"
      << "outputs     " << border_text(graph.outputs) << "\n"
      << "parameters  " << format_count(static_cast<double>(count_parameters(graph))) << " in "
      << format_bytes(constant_bytes(graph)) << "\n";
  if (session) {
    const MemoryInfo m = session->memory();
    out << "MACs        " << format_count(session->macs().all)
        << (shape_note.empty() ? "" : " " + shape_note) << "\n"
        << "memory      " << format_bytes(m.arena_bytes) << " planned"
        << (m.grows ? " (at least: shapes depend on data)" : "") << ", "
        << format_bytes(m.packed_bytes) << " packed weights\n"
        << "int8 MACs   " << format_percent(session->int8_mac_share(), 1) << " %\n"
        << "runs on     ";
    std::string sep;
    for (const auto& [name, count] : on_backend) {
      out << sep << name << " (" << count << " steps)";
      sep = ", ";
    }
    out << "\n";
  } else {
    out << "memory      unknown: " << dims.status().message() << "\n";
  }
  if (placement.planned) {
    out << "reference   " << reference_text(placement)
        << (placement.assumed.empty() ? "" : ", planned for " + placement.assumed) << "\n";
  }
  if (activations > 0) {
    out << "bytes       " << activations << " activations, " << per_channel
        << " of them with a scale per channel\n";
  }
  print_text(out.str());
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [op, n] : ops) sorted.emplace_back(-n, op);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::vector<std::string>> rows = {{"operator", "nodes"}};
  for (const auto& [n, op] : sorted) rows.push_back({op, std::to_string(-n)});
  std::cout << "\n" << format_table(rows, {.right = {1}, .head = true, .width = terminal_width()});
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Shows inputs, outputs, operators, parameters, MACs, memory and quantization of a model.",
      "mnn inspect");
  Options o;
  o.common.reads(app.add_option("MODEL", o.model,
                                "The model (.mnn or a source model), or a project's folder; "
                                "default: that of the nearest project")
                     ->type_name("FILE"));
  auto* text = app.add_flag("--text", o.text, "Print the graph in text form");
  auto* verify =
      app.add_flag("--verify", o.verify, "Check every section and weight chunk of a .mnn")
          ->excludes(text);
  app.add_flag("--ops", o.ops, "List the operators each front end and backend knows")
      ->excludes(text)
      ->excludes(verify);
  add_project_flag(app, o.common, o.project);
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(app, o.common, "mnn inspect model.mnn --json");
  return run_command(app, o.common, argc, argv, [&] { return inspect(o); });
}
