// Files whose every field was changed, their checksums right: reading, preparing and running, and
// what the commands do with two models, end in a result or a Status, in bounded time and memory.
// MNN_HOSTILE_ROUNDS=N makes N times the changes, MNN_HOSTILE_SAVE=FILE keeps the last file: what a
// crash leaves behind.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <new>
#include <random>

#include "apps/flows/compare.h"
#include "apps/flows/diff.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/io/mnn_layout.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"
#include "tests/hostile/models.h"
#include "tests/mnn_checksums.h"
#include "tests/ops/op_case.h"
#include "tests/test_data.h"
#ifdef MNN_WITH_CONVERT
#include "libconvert/convert.h"
#include "libquant/quantize.h"
#endif

#if defined(__SANITIZE_ADDRESS__)
// Allocations no machine has are an answer, not an error of the program.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1:max_allocation_size_mb=256:detect_leaks=0";
}
#endif

namespace mnn {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int64_t kMemory = int64_t{512} << 20;
// Larger graphs are sound, but their work says nothing new.
constexpr int64_t kMostElements = int64_t{1} << 16;
constexpr int64_t kMostTrips = 1000;

int rounds() {
  const char* text = std::getenv("MNN_HOSTILE_ROUNDS");
  return text == nullptr ? 1 : std::max(1, std::atoi(text));
}

// The process lives with so much memory more while this lives.
class MemoryLimit {
 public:
  explicit MemoryLimit(int64_t more) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    getrlimit(RLIMIT_AS, &before_);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(used() + more);
    setrlimit(RLIMIT_AS, &limit);
#else
    (void)more;
#endif
  }
  ~MemoryLimit() {
    if (before_.rlim_cur != 0) setrlimit(RLIMIT_AS, &before_);
  }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
  // Bytes of address space.
  static int64_t used() {
    std::ifstream statm("/proc/self/statm");
    int64_t pages = 0;
    statm >> pages;
    return pages * 4096;
  }

 private:
  rlimit before_{};
};

// Whether running takes work that the file asked for and nobody wants in a test.
bool is_long(const Graph& graph) {
  bool loops = false;
  int64_t largest = 0, number = 0;
  for (const Value& v : graph.values) {
    if (v.type.shape && all_known(*v.type.shape)) {
      const auto elements = checked_elements(known_dims(*v.type.shape));
      largest = std::max(largest, elements.value_or(INT64_MAX));
    }
    if (v.kind != ValueKind::kConstant || v.data.elements() > 64) continue;
    const auto ints = v.data.to_ints();
    for (size_t i = 0; ints.ok() && i < ints->size(); ++i) number = std::max(number, (*ints)[i]);
  }
  for (const Node& node : graph.nodes) {
    loops |= node.op == "Loop";
    for (const Graph& g : node.subgraphs) {
      if (is_long(g)) return true;
    }
  }
  return largest > kMostElements || (loops && number > kMostTrips);
}

Tensor some_tensor(const Type& type, const std::vector<int64_t>& dims) {
  auto t = Tensor::allocate(type.dtype, dims);
  if (!t.ok()) return {};
  dispatch_numeric(type.dtype, [&]<typename T>() {
    for (int64_t i = 0; i < t->elements(); ++i) {
      t->template data<T>()[i] = store_from_compute<T>(static_cast<compute_t<T>>(i % 5));
    }
  });
  return std::move(t).value();
}

// One tensor, list or empty optional per input; nullopt where they would be large.
std::optional<std::vector<Tensor>> some_inputs(const Graph& graph) {
  std::vector<Tensor> inputs;
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    std::vector<int64_t> dims(type.shape ? type.shape->size() : 2, 2);
    for (size_t d = 0; type.shape && d < dims.size(); ++d) {
      const Dim bound = (*type.shape)[d].bind({{"n", 2}, {"h", 5}});
      if (bound.known()) dims[d] = bound.value();
    }
    const auto elements = checked_elements(dims);
    if (!elements || *elements > kMostElements) return std::nullopt;
    switch (type.kind) {
      case Type::Kind::kTensor: inputs.push_back(some_tensor(type, dims)); break;
      case Type::Kind::kOptionalTensor:
      case Type::Kind::kOptionalSequence: inputs.push_back(Tensor::nothing(type.dtype)); break;
      case Type::Kind::kSequence:
        inputs.push_back(Tensor::sequence(type.dtype, {some_tensor(type, dims)}));
        break;
    }
    if (!inputs.back().defined()) return std::nullopt;
  }
  return inputs;
}

struct Counts {
  int changed = 0, read = 0, ran = 0;
};

void run_model(const Graph& graph, const std::string& backend, Counts& counts) {
  SessionOptions options;
  options.backends = {backend};
  auto session = Session::create(graph, options);
  const auto inputs = some_inputs(graph);
  if (!session.ok() || !inputs) return;
  std::vector<std::vector<int64_t>> dims;
  for (const Tensor& t : *inputs) dims.push_back(t.dims());
  if (!(*session)->prepare(dims).ok()) return;
  // What `inspect` shows.
  (void)(*session)->steps();
  (void)(*session)->memory();
  (void)(*session)->int8_mac_share();
  if (is_long((*session)->planned())) return;
  counts.ran += (*session)->run(*inputs).ok();
}

template <typename F>
void with_memory(F&& f) {
  try {
    f();
  } catch (const std::bad_alloc&) {  // the programs' answer: out of memory
  } catch (const std::length_error&) {
  }
}

void save(const Bytes& bytes) {
  if (const char* path = std::getenv("MNN_HOSTILE_SAVE")) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  }
}

void read_and_run(const Bytes& bytes, Counts& counts) {
  ++counts.changed;
  save(bytes);
  with_memory([&] {
    const auto model = parse_model(bytes, nullptr);
    if (!model.ok()) return;
    ++counts.read;
    (void)print_graph(model->graph);
    if (is_long(model->graph)) return;
    run_model(model->graph, counts.changed % 4 == 0 ? "reference" : "cpu", counts);
  });
}

// Calls f with each changed file: every byte of the header and the section table, and twice every
// aligned word of the graph section.
template <typename F>
void for_each_change(const Bytes& file, uint32_t seed, F&& f) {
  const auto sections = decode_layout(file);
  ASSERT_TRUE(sections.ok());
  const Section* graph = find_section(*sections, SectionKind::kGraph);
  ASSERT_NE(graph, nullptr);
  std::mt19937 random(seed);
  Bytes changed = file;
  auto apply = [&](size_t at, std::span<const std::byte> bytes) {
    std::copy(bytes.begin(), bytes.end(), changed.begin() + static_cast<long>(at));
    repair_checksums(changed);
    f(changed);
    changed = file;
  };
  const size_t head = kHeaderBytes + sections->size() * kSectionEntryBytes;
  for (size_t at = 0; at < head; ++at) {
    const std::byte b = file[at] ^ static_cast<std::byte>(1 << random() % 8);
    apply(at, {&b, 1});
  }
  for (int round = 0; round < rounds(); ++round) {
    for (uint64_t i = 0; i + 4 <= graph->bytes; i += 4) {
      const size_t at = graph->offset + i;
      constexpr uint8_t kEnds[] = {0, 1, 2, 0x7f, 0x80, 0xff};
      const size_t in_word = random() % 4;
      const std::byte b = random() % 2 == 0
                              ? file[at + in_word] ^ static_cast<std::byte>(1 << random() % 8)
                              : static_cast<std::byte>(kEnds[random() % 6]);
      apply(at + in_word, {&b, 1});
      if (random() % 2 == 0) {
        // Another word of the file: offsets then lead elsewhere, numbers come from another field.
        const size_t from = graph->offset + random() % (graph->bytes / 4) * 4;
        apply(at, std::span(file).subspan(from, 4));
      } else {
        const bool wide = random() % 2 == 0 && i + 8 <= graph->bytes;
        apply(at, Bytes(wide ? 8 : 4, static_cast<std::byte>(random() % 2 == 0 ? 0xff : 0)));
      }
    }
  }
}

TEST(HostileModel, ReadPrepareAndRunEndInAResultOrAStatus) {
  const MemoryLimit limit(kMemory);
  uint32_t seed = 1;
  for (const Model& model : hostile_seeds()) {
    const Bytes file = serialize_model(model);
    ASSERT_FALSE(file.empty());
    Counts sound;
    read_and_run(file, sound);
    EXPECT_EQ(sound.ran, 1) << model.graph.name << ": the model itself must run";
    Counts counts;
    for_each_change(file, seed++, [&](const Bytes& bytes) { read_and_run(bytes, counts); });
    // Names, numbers and padding: many changes are sound.
    EXPECT_GT(counts.read, counts.changed / 10) << model.graph.name;
    EXPECT_GT(counts.ran, counts.changed / 20) << model.graph.name;
    EXPECT_LT(counts.read, counts.changed) << model.graph.name;
  }
}

// A few changes of the model of every operator case: attributes, types and shapes of all operators.
TEST(HostileModel, EveryOperatorWithStrangeFields) {
  const MemoryLimit limit(kMemory);
  std::mt19937 random(7);
  Counts counts;
  for (const OpCase& c : load_op_cases(test_data("ops"))) {
    Model model;
    Result<Graph> graph = c.graph();
    if (!graph.ok()) continue;
    model.graph = std::move(graph).value();
    const Bytes file = serialize_model(model);
    if (file.empty()) continue;
    const auto sections = decode_layout(file);
    ASSERT_TRUE(sections.ok());
    const Section* section = find_section(*sections, SectionKind::kGraph);
    ASSERT_NE(section, nullptr);
    for (int i = 0; i < 8 * rounds(); ++i) {
      Bytes changed = file;
      const size_t words = section->bytes / 4;
      const size_t at = section->offset + random() % words * 4;
      const size_t from = section->offset + random() % words * 4;
      switch (random() % 4) {
        case 0: changed[at + random() % 4] ^= static_cast<std::byte>(1 << random() % 8); break;
        case 1: changed[at + random() % 4] = static_cast<std::byte>(random() % 3 - 1); break;
        case 2:
          std::fill_n(changed.begin() + static_cast<long>(at), 4,
                      static_cast<std::byte>(random() % 2 == 0 ? 0xff : 0));
          break;
        default:
          std::copy_n(file.begin() + static_cast<long>(from), 4,
                      changed.begin() + static_cast<long>(at));
      }
      repair_checksums(changed);
      read_and_run(changed, counts);
    }
  }
  EXPECT_GT(counts.ran, counts.changed / 10);
}

// What `compare` and `diff` do with the model and a changed one, and what `quant` and `export` do
// with the changed one.
void use_model(const Graph& given, const Graph& changed) {
  (void)flows::diff_graphs(given, changed);
  (void)flows::diff_graphs(changed, changed);
  const auto inputs = some_inputs(changed);
  if (!inputs || is_long(changed)) return;
  flows::CompareInputs samples;
  samples.count = 2;
  samples.load = [&](size_t) -> Result<std::vector<Tensor>> { return *inputs; };
  (void)flows::compare_models(changed, changed, samples, {});
  (void)flows::compare_models(given, changed, samples, {});
#ifdef MNN_WITH_CONVERT
  Graph optimized = changed;
  (void)optimize(optimized);
  SampleSource source;
  source.count = 2;
  source.load = samples.load;
  source.names = {"a", "b"};
  for (const char* scheme : {"int8", "w8"}) {
    QuantOptions options;
    options.scheme = scheme;
    options.method = CalibrationMethod::kMinMax;
    (void)quantize(changed, source, {}, options);
  }
#endif
}

TEST(HostileModel, CommandsEndInAResultOrAStatus) {
  const MemoryLimit limit(kMemory);
  uint32_t seed = 100;
  for (const Model& model : hostile_seeds()) {
    const Bytes file = serialize_model(model);
    std::mt19937 random(seed++);
    for_each_change(file, seed, [&](const Bytes& bytes) {
      if (random() % 24 != 0) return;
      save(bytes);
      with_memory([&] {
        const auto changed = parse_model(bytes, nullptr);
        if (changed.ok()) use_model(model.graph, changed->graph);
      });
    });
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// The numbers of a quantized constant need four times its bytes.
TEST(HostileModel, NoMemoryForTheNumbersOfAConstant) {
  const int64_t count = MemoryLimit::used() / 4;
  Graph graph = *parse_graph("graph g(x: f32[" + std::to_string(count) +
                             "]) -> (y) {\nconst w: f32[" + std::to_string(count) +
                             "] quant i8 scale [0.5] zero [0] = iota 0 1\ny = Add(x, w)\n}");
  ASSERT_TRUE(infer_types(graph).ok());
  for (const char* backend : {"cpu", "reference"}) {
    SessionOptions options;
    options.backends = {backend};
    auto session = Session::create(graph, options);
    ASSERT_TRUE(session.ok()) << session.status().message();
    const MemoryLimit limit(count * 2);
    const Status status = (*session)->prepare();
    EXPECT_EQ(status.code(), Code::kLimit) << backend << ": " << status.message();
    EXPECT_NE(status.message().find("out of memory"), std::string::npos) << status.message();
  }
}
#endif

}  // namespace
}  // namespace mnn
