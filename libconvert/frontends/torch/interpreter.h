// Runs the code of a TorchScript model on what is known at conversion, so that the operators on
// tensors that it meets become nodes. Calls are unfolded; a branch whose condition is known is
// taken; others become If and Loop.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>

#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/torch/script_program.h"
#include "libconvert/frontends/torch/script_value.h"

namespace mnn::torch {

// What was found out about a model by trying: with it the conversion begins anew.
struct Hints {
  std::map<std::string, DType> dtypes;  // of inputs by name
  std::map<std::string, size_t> ranks;  // of inputs by name
  // Tensors of the file that a run changes, by path ("rnn.h"), with the shape of what they become
  // where the file has none of them yet (no elements).
  std::map<std::string, std::vector<int64_t>> states;
  // Numbers of the file that each run leaves at the same value, another one than the file says.
  std::map<std::string, ScriptValue> numbers;
};

struct Frame {
  std::string path;  // of the module whose code it is
  const Function* function = nullptr;
  std::string file;
  std::unordered_map<std::string, ScriptValue> locals;
  ScriptValue returned;
};

// How a block ended.
enum class Flow : uint8_t { kNext, kReturned, kRaised };

class Interpreter {
 public:
  struct Failure {
    std::string node, op;
    Status why;
  };
  // A graph being built: the main one, or one inside it while a branch is read.
  struct Level {
    Level(frontend::GraphDraft& draft, frontend::Scope& s, int64_t& budget)
        : scope(s), tensors(draft, budget) {}
    frontend::Scope& scope;
    Tensors tensors;
    std::map<TensorRef, TensorId> inside;  // what stands here for a tensor of the graphs around
    std::map<TensorRef, ValueId> entered;  // the value it came in with
  };

  Interpreter(ScriptProgram& program, frontend::GraphDraft& draft, frontend::Scope& scope,
              frontend::NodeLog& log, int64_t& budget, Hints& hints);

  // What a call of the model's method gives.
  Result<ScriptValue> run(const std::string& method, std::vector<ScriptValue> args,
                          std::vector<std::pair<std::string, ScriptValue>> keywords);
  ObjectValue& module() { return *module_; }

  // interpreter.cc: values
  ScriptValue add_tensor(TensorArg value);
  ScriptValue add_constant(const Tensor& tensor);
  ListValue* add_list(std::vector<ScriptValue> items, bool tuple = false);
  DictValue* add_dict();
  ObjectValue* add_object() { return &objects_.emplace_back(); }
  // The content of a tensor in the graph being built.
  Result<TensorArg> read(const TensorRef& ref);
  Status write(const TensorRef& ref, TensorArg value);
  Result<ScriptValue> attribute(ObjectValue& object, const std::string& name);
  void set_attribute(ObjectValue& object, const std::string& name, ScriptValue value);
  void touch(ListValue& list);  // before a change of its items
  void touch(DictValue& dict);
  // The value of a pickle; `path` is what its modules are called.
  Result<ScriptValue> from_pickle(const Pickled& value, const std::string& path, int depth = 0);
  // script_quantized.cc: a tensor of codes; the parts of packed weights as a tuple, in the order in
  // which the operators of `quantized::` take them.
  Result<ScriptValue> from_codes(const Pickled& value, const std::string& path);
  Result<ScriptValue> from_packed(const Pickled& value, const std::string& path, int depth);

  // Numbers.
  std::optional<Dim> dim_of(const ScriptValue& value);  // of ints and bools
  // script_fold.cc: what a value of the graph being built is, where it is made of few constants.
  std::optional<Tensor> evaluated(ValueId id);
  // A number that the 0-d tensor holds: known where it is.
  Result<ScriptValue> number_from(const ScriptValue& tensor, SymbolicNumber::Kind kind);
  Result<std::optional<bool>> truth(const ScriptValue& value);  // nullopt: known in a run only
  Result<ValueId> condition(const ScriptValue& value);          // of truth that is not known
  Result<Arg> to_arg(const ScriptValue& value);
  Result<ScriptValue> from_arg(const Arg& arg);
  const Type& type_of(const TensorArg& tensor) { return draft().graph.value(tensor.id).type; }
  // The dims of a tensor; nullopt where its rank is not known.
  Result<std::optional<Shape>> shape_of(const ScriptValue& tensor);
  // The size along an axis, as a number or as what the graph computes.
  Result<ScriptValue> size_of(const ScriptValue& tensor, int64_t axis);

  // calls.cc
  // An operator of the shared table on tensors.
  Result<ScriptValue> call_operator(const std::string& op, std::vector<ScriptValue> args,
                                    std::vector<std::pair<std::string, ScriptValue>> keywords);
  Result<ScriptValue> call_function(const Function& function, const std::string& file,
                                    const std::string& path, std::vector<ScriptValue> args,
                                    std::vector<std::pair<std::string, ScriptValue>> keywords);
  Result<ScriptValue> call_method(ObjectValue& object, const std::string& name,
                                  std::vector<ScriptValue> args,
                                  std::vector<std::pair<std::string, ScriptValue>> keywords);

  ScriptProgram& program() { return program_; }
  frontend::GraphDraft& draft() { return levels_.back()->scope.draft; }
  int64_t& budget() { return budget_; }
  Hints& hints() { return hints_; }
  const std::vector<Failure>& failures() const { return failures_; }
  // Set where the conversion has to begin anew with more hints.
  bool wants_retry() const { return retry_; }
  void retry() { retry_ = true; }
  // What input a value came from by moving elements about only; empty for none.
  void name_input(ValueId id, const std::string& input) { input_of_[id] = rank_of_[id] = input; }
  const std::string* input_of(ValueId id) const;
  // The first input of unknown rank that an operator failed for; empty where none did.
  const std::string& unranked() const { return unranked_; }
  // Tensors of the file by path ("encoder.h"), and the value each stood for at first.
  struct FileTensor {
    ScriptValue tensor;
    ValueId value;
  };
  const std::map<std::string, FileTensor>& file_tensors() const { return file_tensors_; }
  // Attributes of modules that were read, by path, with what the file says of them.
  struct FileAttribute {
    ObjectValue* object;
    std::string name;
    ScriptValue value;
  };
  const std::map<std::string, FileAttribute>& file_attributes() const { return initial_; }

 private:
  // interpreter.cc: code
  Status exec(const std::vector<Stmt>& body, Frame& frame, Flow& flow);
  Status exec_statement(const Stmt& stmt, Frame& frame, Flow& flow);
  Status set_state(ObjectValue& object, const Pickled& state, int depth);
  Status assign(const Expr& target, ScriptValue value, Frame& frame);
  Status assign_all(const std::vector<Expr>& targets, const ScriptValue& value, Frame& frame);
  Status exec_for(const Stmt& stmt, Frame& frame, Flow& flow);
  Status exec_while(const Stmt& stmt, Frame& frame, Flow& flow);
  Result<ScriptValue> eval(const Expr& expr, Frame& frame);
  Result<ScriptValue> eval_name(const std::string& name, Frame& frame);
  Result<ScriptValue> eval_member(const Expr& expr, Frame& frame);
  Result<ScriptValue> eval_index(const Expr& expr, Frame& frame);
  Result<std::vector<ScriptValue>> eval_all(std::span<const Expr> items, Frame& frame);
  Result<ScriptValue> find_global(const std::string& name);

  // control_flow.cc
  struct Branch;
  class Merger;
  // A variable that a loop hands from round to round, or a tensor of the graphs around that its
  // body writes in place.
  struct Carried {
    std::string name;
    std::optional<TensorRef> written;
    ValueId initial = kNoValue;
    Type type;
    std::optional<SymbolicNumber::Kind> number;  // of those that are numbers
  };
  Status inside(Branch& branch, const std::function<Status()>& what);
  Result<ValueId> value_in(Branch& branch, const ScriptValue& value, DType number);
  Status append_with(const std::string& op, std::vector<ValueId> inputs,
                     std::vector<ValueId> outputs, std::vector<std::unique_ptr<Branch>>& branches);
  Status merge_branches(Branch& a, Branch& b, Merger& merger, Frame& frame);
  Status merge_containers(Branch& a, Branch& b, Merger& merger);
  Result<bool> carry_writes(Branch& body, std::vector<Carried>& carried);
  // False when the types of `carried` had to be widened: it is to be read again.
  Result<bool> read_loop(const Stmt& stmt, const ScriptValue* trips, Frame& frame,
                         std::vector<Carried>& carried);
  Result<ValueId> outer_scalar(const ScriptValue& value, DType dtype);
  Status exec_if(const Stmt& stmt, const ScriptValue& value, Frame& frame, Flow& flow);
  // A loop whose rounds are known in a run only; `trips` is null of `while`.
  Status exec_loop(const Stmt& stmt, const ScriptValue* trips, Frame& frame);

  // calls.cc
  Result<ScriptValue> eval_call(const Expr& expr, Frame& frame);
  Result<ScriptValue> eval_builtin_name(const std::string& name, const Expr& expr, Frame& frame,
                                        bool& known);
  Result<ScriptValue> dispatch(const std::string& op, std::vector<ScriptValue> args,
                               std::vector<std::pair<std::string, ScriptValue>> keywords);
  Result<ScriptValue> construct(const ClassRef& type, std::vector<ScriptValue> args,
                                std::vector<std::pair<std::string, ScriptValue>> keywords);
  Result<ScriptValue> call_value(const ScriptValue& callee, std::vector<ScriptValue> args,
                                 std::vector<std::pair<std::string, ScriptValue>> keywords);
  Result<std::vector<ScriptValue>> results_of(const Resolved& resolved, const AtenCall& call,
                                              const std::vector<ScriptValue>& args,
                                              std::vector<Arg> results);
  void guess_input(const std::string& op, const std::vector<ScriptValue>& args);
  // The input that a tensor of unknown rank comes from; null for others.
  const std::string* unranked_input(const ScriptValue& value);
  void blame_rank(const std::vector<ScriptValue>& args);
  void follow_rank(const std::vector<ScriptValue>& args, const std::vector<Arg>& results);
  void follow_input(const std::string& op, const std::vector<Arg>& args,
                    const std::vector<Arg>& results);
  // Keeps the failure and gives what stands for the result.
  ScriptValue fail(const std::string& op, const Status& why);
  std::string here() const;  // "file.py:12"
  std::string origin(const std::string& op);

  ScriptProgram& program_;
  frontend::NodeLog& log_;
  int64_t& budget_;
  Hints& hints_;
  bool retry_ = false;
  int64_t steps_ = 0;
  int depth_ = 0;
  std::vector<Frame*> frames_;
  const Stmt* statement_ = nullptr;
  std::vector<Level*> levels_;
  Level main_;
  std::deque<ListValue> lists_;
  std::deque<DictValue> dicts_;
  std::deque<ObjectValue> objects_;
  std::map<const Pickled*, ScriptValue> pickled_;
  std::vector<Failure> failures_;
  std::unordered_map<ValueId, std::string> input_of_;
  std::unordered_map<ValueId, std::string> rank_of_;  // of values without one: the input it is of
  std::string unranked_;
  std::map<std::string, FileAttribute> initial_;
  std::map<std::string, FileTensor> file_tensors_;
  ObjectValue* module_ = nullptr;

  // What containers held before the branch being read changed them.
  struct Journal {
    std::map<ListValue*, std::vector<ScriptValue>> lists;
    std::map<DictValue*, std::vector<std::pair<ScriptValue, ScriptValue>>> dicts;
    std::map<std::pair<ObjectValue*, std::string>, ScriptValue> attributes;
  };
  std::vector<Journal*> journals_;
};

// An operator that is evaluated and does not become nodes by itself: on numbers, lists, strings.
// False when the arguments are none it is for: the table of ATen is asked then.
struct ScriptCall {
  Interpreter& interpreter;
  std::vector<ScriptValue>& args;
  std::vector<std::pair<std::string, ScriptValue>>& keywords;
  ScriptValue result = None{};
};
using ScriptOperator = Result<bool> (*)(ScriptCall& call);
// By the full name, "aten::len"; null where there is none.
ScriptOperator find_script_operator(std::string_view op);
std::vector<std::string> script_operators();

}  // namespace mnn::torch
