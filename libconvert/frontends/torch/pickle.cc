#include "libconvert/frontends/torch/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <unordered_map>

#include "libruntime/core/dim.h"

namespace mnn::torch {
namespace {

using Kind = Pickled::Kind;
constexpr size_t kMaxValues = size_t{1} << 23;
constexpr uint64_t kMostCopies = 8, kFreeCopies = uint64_t{1} << 26;
constexpr size_t kMaxBytes = size_t{1} << 29;  // of the pickle itself

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kNoneOp = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobalOp = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kSetItem = 's',
  kTupleOp = 't',
  kSetItems = 'u',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kEmptyList = ']',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes,
          const std::function<Result<MappedFile>(const std::string&)>& storage)
      : bytes_(bytes), storage_(storage) {}

  Result<Pickle> run() {
    if (bytes_.size() > kMaxBytes) return limit_exceeded("the pickle is too large");
    while (!stopped_) {
      const size_t at = at_;
      const Status status = step();
      if (!status.ok()) return status.context("pickle, byte " + std::to_string(at));
    }
    return std::move(out_);
  }

 private:
  Status need(size_t count) const {
    return count <= bytes_.size() - at_ ? Status() : invalid("it ends too early");
  }
  Result<uint64_t> number(size_t width) {
    MNN_RETURN_IF_ERROR(need(width));
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      value |= static_cast<uint64_t>(bytes_[at_ + i]) << (8 * i);
    }
    at_ += width;
    return value;
  }
  Result<std::string> text(size_t width) {
    MNN_ASSIGN_OR_RETURN(const uint64_t size, number(width));
    MNN_RETURN_IF_ERROR(need(size));
    std::string value(reinterpret_cast<const char*>(bytes_.data() + at_), size);
    at_ += size;
    return value;
  }
  Result<std::string> line() {
    constexpr size_t kLongest = 4096;
    for (size_t end = at_; end < std::min(bytes_.size(), at_ + kLongest); ++end) {
      if (bytes_[end] != std::byte{'\n'}) continue;
      std::string value(reinterpret_cast<const char*>(bytes_.data() + at_), end - at_);
      at_ = end + 1;
      return value;
    }
    return invalid("a name does not end");
  }

  Result<Pickled*> make(Kind kind) {
    if (out_.values.size() >= kMaxValues) return limit_exceeded("the pickle has too many values");
    out_.values.emplace_back().kind = kind;
    return &out_.values.back();
  }
  Status push(Kind kind, int64_t value = 0) {
    MNN_ASSIGN_OR_RETURN(Pickled * made, make(kind));
    made->number = value;
    stack_.push_back(made);
    return {};
  }
  Status push_text(Kind kind, Result<std::string> value) {
    if (!value.ok()) return value.status();
    MNN_ASSIGN_OR_RETURN(Pickled * made, make(kind));
    made->text = std::move(value).value();
    stack_.push_back(made);
    return {};
  }
  Result<Pickled*> pop() {
    if (stack_.empty() || stack_.back() == nullptr) return invalid("the stack is empty");
    Pickled* top = stack_.back();
    stack_.pop_back();
    return top;
  }
  // What lies above the last mark, which goes too.
  Result<std::vector<Pickled*>> pop_to_mark() {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), nullptr);
    if (mark == stack_.rend()) return invalid("there is no mark");
    std::vector<Pickled*> items(mark.base(), stack_.end());
    stack_.erase(mark.base() - 1, stack_.end());
    return items;
  }
  Status push_tuple(size_t size) {
    MNN_ASSIGN_OR_RETURN(Pickled * tuple, make(Kind::kTuple));
    tuple->items.resize(size);
    for (size_t i = size; i-- > 0;) {
      MNN_ASSIGN_OR_RETURN(tuple->items[i], pop());
    }
    stack_.push_back(tuple);
    return {};
  }
  Result<Pickled*> top(Kind kind) {
    if (stack_.empty() || stack_.back() == nullptr || stack_.back()->kind != kind) {
      return invalid("an item has no container");
    }
    return stack_.back();
  }

  Status put(uint64_t index) {
    if (stack_.empty() || stack_.back() == nullptr) return invalid("the stack is empty");
    if (index >= kMaxValues) return limit_exceeded("the pickle has too many values");
    memo_[index] = stack_.back();
    return {};
  }
  Status get(uint64_t index) {
    const auto known = memo_.find(index);
    if (known == memo_.end()) return invalid("value " + std::to_string(index) + " is not there");
    stack_.push_back(known->second);
    return {};
  }

  Status step() {
    MNN_ASSIGN_OR_RETURN(const uint64_t opcode, number(1));
    switch (opcode) {
      case kProto: {
        MNN_ASSIGN_OR_RETURN(const uint64_t version, number(1));
        return version <= 5 ? Status() : unsupported("pickle version " + std::to_string(version));
      }
      case kFrame: return number(8).status();
      case kStop: {
        MNN_ASSIGN_OR_RETURN(out_.root, pop());
        stopped_ = true;
        return {};
      }
      case kMark: stack_.push_back(nullptr); return {};
      case kPop:
        if (stack_.empty()) return invalid("the stack is empty");
        stack_.pop_back();
        return {};
      case kPopMark: return pop_to_mark().status();
      case kNoneOp: return push(Kind::kNone);
      case kNewTrue: return push(Kind::kBool, 1);
      case kNewFalse: return push(Kind::kBool, 0);
      case kBinInt1: return push_int(1);
      case kBinInt2: return push_int(2);
      case kBinInt: return push_int(4);
      case kLong1: return push_long();
      case kBinFloat: return push_float();
      case kBinString: return push_text(Kind::kString, text(4));
      case kBinUnicode: return push_text(Kind::kString, text(4));
      case kShortBinString: return push_text(Kind::kString, text(1));
      case kShortBinUnicode: return push_text(Kind::kString, text(1));
      case kEmptyList: return push(Kind::kList);
      case kEmptyDict: return push(Kind::kDict);
      case kEmptyTuple: return push_tuple(0);
      case kTuple1: return push_tuple(1);
      case kTuple2: return push_tuple(2);
      case kTuple3: return push_tuple(3);
      case kTupleOp: {
        MNN_ASSIGN_OR_RETURN(auto items, pop_to_mark());
        MNN_RETURN_IF_ERROR(push(Kind::kTuple));
        stack_.back()->items = std::move(items);
        return {};
      }
      case kAppend: {
        MNN_ASSIGN_OR_RETURN(Pickled * item, pop());
        MNN_ASSIGN_OR_RETURN(Pickled * list, top(Kind::kList));
        list->items.push_back(item);
        return {};
      }
      case kAppends: return add_items(Kind::kList);
      case kSetItems: return add_items(Kind::kDict);
      case kSetItem: {
        MNN_ASSIGN_OR_RETURN(Pickled * value, pop());
        MNN_ASSIGN_OR_RETURN(Pickled * key, pop());
        MNN_ASSIGN_OR_RETURN(Pickled * dict, top(Kind::kDict));
        dict->items.insert(dict->items.end(), {key, value});
        return {};
      }
      case kBinPut: return put_at(1);
      case kLongBinPut: return put_at(4);
      case kMemoize: return put(memo_.size());
      case kBinGet: return get_at(1);
      case kLongBinGet: return get_at(4);
      default: return build_step(opcode);
    }
  }

  Status put_at(size_t width) {
    MNN_ASSIGN_OR_RETURN(const uint64_t index, number(width));
    return put(index);
  }
  Status get_at(size_t width) {
    MNN_ASSIGN_OR_RETURN(const uint64_t index, number(width));
    return get(index);
  }
  Status push_int(size_t width) {
    MNN_ASSIGN_OR_RETURN(const uint64_t value, number(width));
    return push(Kind::kInt, width == 4 ? static_cast<int32_t>(value) : static_cast<int64_t>(value));
  }
  Status push_long() {
    MNN_ASSIGN_OR_RETURN(const uint64_t width, number(1));
    if (width > 8) return unsupported("integers of more than 64 bits");
    MNN_ASSIGN_OR_RETURN(uint64_t value, number(width));
    const uint64_t bits = 8 * width;
    if (bits > 0 && bits < 64 && (value >> (bits - 1)) != 0) value |= ~uint64_t{0} << bits;
    return push(Kind::kInt, static_cast<int64_t>(value));
  }
  Status push_float() {
    MNN_ASSIGN_OR_RETURN(const uint64_t value, number(8));
    MNN_RETURN_IF_ERROR(push(Kind::kFloat));
    stack_.back()->real = std::bit_cast<double>(__builtin_bswap64(value));
    return {};
  }
  Status add_items(Kind kind) {
    MNN_ASSIGN_OR_RETURN(auto items, pop_to_mark());
    if (kind == Kind::kDict && items.size() % 2 != 0) return invalid("a key has no value");
    MNN_ASSIGN_OR_RETURN(Pickled * container, top(kind));
    container->items.insert(container->items.end(), items.begin(), items.end());
    return {};
  }

  // What Python would call something for.
  Status build_step(uint64_t opcode) {
    switch (opcode) {
      case kGlobalOp: {
        MNN_ASSIGN_OR_RETURN(const std::string module, line());
        MNN_ASSIGN_OR_RETURN(const std::string name, line());
        return push_global(module + "." + name);
      }
      case kStackGlobal: {
        MNN_ASSIGN_OR_RETURN(const Pickled* name, pop());
        MNN_ASSIGN_OR_RETURN(const Pickled* module, pop());
        return push_global(module->text + "." + name->text);
      }
      case kBinPersId: return load_storage();
      case kNewObj: {
        MNN_RETURN_IF_ERROR(pop().status());
        MNN_ASSIGN_OR_RETURN(const Pickled* type, pop());
        if (type->kind != Kind::kGlobal) return invalid("an object has no class");
        if (!type->text.starts_with("__torch__.")) {
          return unsupported("objects of the class " + type->text);
        }
        MNN_RETURN_IF_ERROR(push(Kind::kObject));
        stack_.back()->text = type->text;
        return {};
      }
      case kBuild: {
        MNN_ASSIGN_OR_RETURN(Pickled * state, pop());
        // An OrderedDict may have attributes, which say nothing about the network.
        if (!stack_.empty() && stack_.back() != nullptr && stack_.back()->kind == Kind::kDict) {
          return {};
        }
        MNN_ASSIGN_OR_RETURN(Pickled * object, top(Kind::kObject));
        object->items = {state};
        return {};
      }
      case kReduce: return reduce();
      default: return unsupported("pickle opcode " + std::to_string(opcode));
    }
  }

  Status push_global(const std::string& name) {
    static constexpr std::array kKnown = std::to_array<std::string_view>(
        {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
         "torch._utils._rebuild_qtensor", "collections.OrderedDict",
         "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_tensorlist",
         "torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist",
         "torch.jit._pickle.restore_type_tag", "torch.per_tensor_affine",
         "torch.per_channel_affine", "torch.per_channel_affine_float_qparams", "torch.device",
         "torch.Size"});
    const bool known = std::ranges::find(kKnown, name) != kKnown.end() ||
                       name.starts_with("__torch__.") ||
                       (name.starts_with("torch.") && parse_torch_dtype(name));
    if (!known) {
      return unsupported("it names " + name +
                         ", which is neither a tensor nor a module of TorchScript; nothing of a "
                         "pickle is ever called");
    }
    return push_text(Kind::kGlobal, name);
  }

  // ("storage", class, key, device, elements): a global for the type, a string for the key.
  Status load_storage() {
    MNN_ASSIGN_OR_RETURN(const Pickled* id, pop());
    if (id->kind != Kind::kTuple || id->items.size() != 5 || id->items[1]->kind != Kind::kGlobal ||
        id->items[2]->kind != Kind::kString) {
      return invalid("a storage is not described as one");
    }
    const std::optional<DType> dtype = parse_torch_dtype(id->items[1]->text);
    if (!dtype) return unsupported("storages of type " + id->items[1]->text);
    MNN_RETURN_IF_ERROR(push_text(Kind::kGlobal, id->items[2]->text));
    stack_.back()->number = static_cast<int64_t>(*dtype);
    storages_.emplace(stack_.back(), id->items[2]->text);
    return {};
  }

  Status reduce() {
    MNN_ASSIGN_OR_RETURN(const Pickled* args, pop());
    MNN_ASSIGN_OR_RETURN(const Pickled* callee, pop());
    if (callee->kind != Kind::kGlobal || args->kind != Kind::kTuple) {
      return invalid("a call has no name or no arguments");
    }
    const std::string& name = callee->text;
    const std::vector<Pickled*>& items = args->items;
    if (name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_qtensor") {
      return push_tensor(items);
    }
    if (name == "collections.OrderedDict" && items.empty()) return push(Kind::kDict);
    if (name == "torch.device") return push(Kind::kNone);
    const bool passes = name.starts_with("torch.jit._pickle.") || name == "torch.Size" ||
                        name == "torch._utils._rebuild_parameter";
    if (!passes || items.empty()) return unsupported("a call of " + name + " in a pickle");
    stack_.push_back(items[0]);
    return {};
  }

  static Result<std::vector<int64_t>> ints(const Pickled& list) {
    std::vector<int64_t> values;
    for (const Pickled* item : list.items) {
      if (item->kind != Kind::kInt) return invalid("the size of a tensor is no integer");
      values.push_back(item->number);
    }
    return values;
  }

  Status push_tensor(const std::vector<Pickled*>& items) {
    if (items.size() < 4 || items[1]->kind != Kind::kInt) {
      return invalid("a tensor is not described as one");
    }
    const auto key = storages_.find(items[0]);
    if (key == storages_.end()) return invalid("a tensor has no storage");
    StridedView view;
    view.dtype = static_cast<DType>(items[0]->number);
    view.offset = items[1]->number;
    MNN_ASSIGN_OR_RETURN(view.sizes, ints(*items[2]));
    MNN_ASSIGN_OR_RETURN(view.strides, ints(*items[3]));
    if (!storage_) return push_shape(view);
    MNN_ASSIGN_OR_RETURN(const MappedFile bytes, storage_(key->second));
    if (seen_.insert(key->second).second) stored_ += bytes.bytes.size();
    Result<Tensor> tensor = tensor_from_storage(bytes, view);
    if (!tensor.ok()) return tensor.status().context("storage " + key->second);
    const std::byte* data = tensor->raw();
    const bool mapped = std::less_equal()(bytes.bytes.data(), data) &&
                        std::less()(data, bytes.bytes.data() + bytes.bytes.size());
    if (!mapped) copied_ += static_cast<uint64_t>(tensor->bytes());
    if (copied_ > kMostCopies * stored_ + kFreeCopies) {
      return limit_exceeded("its tensors are many views of few bytes");
    }
    MNN_RETURN_IF_ERROR(push(Kind::kTensor));
    stack_.back()->tensor = std::move(tensor).value();
    // Of a quantized tensor: how it is quantized.
    if (items.size() > 4) stack_.back()->items = {items[4]};
    return {};
  }

  Status push_shape(const StridedView& view) {
    if (!checked_elements(view.sizes)) return invalid("a tensor has too many elements");
    MNN_RETURN_IF_ERROR(push(Kind::kTensor));
    stack_.back()->tensor = Tensor::wrap(view.dtype, view.sizes, nullptr);
    return {};
  }

  std::span<const std::byte> bytes_;
  const std::function<Result<MappedFile>(const std::string&)>& storage_;
  size_t at_ = 0;
  bool stopped_ = false;
  Pickle out_;
  std::vector<Pickled*> stack_;  // null: a mark
  std::unordered_map<uint64_t, Pickled*> memo_;
  std::unordered_map<const Pickled*, std::string> storages_;
  std::set<std::string> seen_;        // keys of storages
  uint64_t stored_ = 0, copied_ = 0;  // bytes of the storages, of tensors that are not dense
};

}  // namespace

const Pickled* Pickled::find(std::string_view key) const {
  if (kind == Kind::kObject) return items.empty() ? nullptr : items[0]->find(key);
  if (kind != Kind::kDict) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->kind == Kind::kString && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

Result<Pickle> parse_pickle(std::span<const std::byte> bytes,
                            const std::function<Result<MappedFile>(const std::string&)>& storage) {
  return Machine(bytes, storage).run();
}

Result<Pickle> read_pickle(Archive& archive, const std::string& name, const std::string& storages) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, archive.read(name));
  Storages read;
  Result<Pickle> pickle = parse_pickle(
      file.bytes, [&](const std::string& key) { return read.get(archive, storages + key); });
  if (!pickle.ok()) return pickle.status().context(name);
  return pickle;
}

}  // namespace mnn::torch
