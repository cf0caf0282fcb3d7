// TorchScript archives that lie: each is a Status with the documented code, in bounded time and
// memory. Archives are put together here, stored, without PyTorch.
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "libconvert/frontends/torch/pickle.h"
#include "libconvert/frontends/torch/script_frontend.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

std::string number(uint64_t value, int width) {
  std::string text;
  for (int i = 0; i < width; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string zip(const Records& records) {
  std::string file, directory;
  for (const auto& [name, data] : records) {
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size()));
    const std::string sizes =
        number(crc, 4) + number(data.size(), 4) + number(data.size(), 4) + number(name.size(), 2);
    directory += "PK\x01\x02" + number(20, 2) + number(20, 2) + number(0, 2) + number(0, 2) +
                 number(0, 4) + sizes + number(0, 2) + number(0, 2) + number(0, 2) + number(0, 2) +
                 number(0, 4) + number(file.size(), 4) + name;
    file += "PK\x03\x04" + number(20, 2) + number(0, 2) + number(0, 2) + number(0, 4) + sizes +
            number(0, 2) + name + data;
  }
  const size_t at = file.size();
  return file + directory + "PK\x05\x06" + number(0, 4) + number(records.size(), 2) +
         number(records.size(), 2) + number(directory.size(), 4) + number(at, 4) + number(0, 2);
}

std::string text(const std::string& value) { return "X" + number(value.size(), 4) + value; }

// A module of class M with the attributes that a pickle puts into its dict.
std::string module_pickle(const std::string& attributes) {
  return std::string("\x80\x02") + "c__torch__\nM\n)\x81}(" + attributes + "ub.";
}

constexpr const char* kCode =
    "class M(Module):\n"
    "  __parameters__ = []\n"
    "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"
    "    return torch.relu(x)\n";

std::string archive(const std::string& code, const std::string& attributes = {},
                    const Records& more = {}) {
  Records records = {{"m/data.pkl", module_pickle(attributes)},
                     {"m/code/__torch__.py", code},
                     {"m/constants.pkl", "\x80\x02)."},
                     {"m/version", "3\n"}};
  records.insert(records.end(), more.begin(), more.end());
  return zip(records);
}

std::span<const std::byte> bytes_of(const std::string& file) {
  return {reinterpret_cast<const std::byte*>(file.data()), file.size()};
}

Result<ImportedModel> import_text(const std::string& file, const ShapeMap& shapes = {{"x", {2}}}) {
  ImportOptions options;
  options.shapes = shapes;
  return import_torchscript({bytes_of(file), nullptr}, options);
}

void expect_error(const std::string& file, Code code, const std::string& part) {
  const auto model = import_text(file);
  ASSERT_FALSE(model.ok()) << part;
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
}

std::string forward(const std::string& body) {
  std::string code = "class M(Module):\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n";
  return code + body;
}

std::string tensor(const std::string& key, const std::string& offset, const std::string& sizes,
                   const std::string& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
         text(key) + text("cpu") + "K\x04tQ" + offset + sizes + strides + "\x89" +
         "ccollections\nOrderedDict\n)RtR";
}

TEST(TorchScriptMalformed, TheUntouchedOneConverts) {
  const auto model = import_text(archive(kCode));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(count_nodes(model->graph), 2);  // Relu and the output's name
}

TEST(TorchScriptMalformed, NothingOfAPickleIsCalled) {
  const std::string call = text("a") + "cos\nsystem\n" + "(" + text("touch /tmp/x") + "tR";
  expect_error(archive(kCode, call), Code::kUnsupported, "os.system");
  const std::string builtin = text("a") + "cbuiltins\neval\n" + "(" + text("1") + "tR";
  expect_error(archive(kCode, builtin), Code::kUnsupported, "builtins.eval");
  // INST, EXT1: opcodes that reach for code.
  expect_error(archive(kCode, text("a") + "(ios\nsystem\n"), Code::kUnsupported, "opcode");
  expect_error(archive(kCode, text("a") + "\x82\x01"), Code::kUnsupported, "opcode");
}

TEST(TorchScriptMalformed, DeepNestingIsALimit) {
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += '\x85';
  expect_error(archive(forward("    return self.a\n"), text("a") + "N" + deep), Code::kLimit,
               "nested");
  std::string lists(1'000'000, ']');
  expect_error(archive(forward("    return self.a\n"), text("a") + lists), Code::kInvalidArgument,
               "");
  std::string code(100'000, '(');
  expect_error(archive(forward("    return " + code + "\n")), Code::kLimit, "nested");
  std::string dots = "x";
  for (int i = 0; i < 100'000; ++i) dots += ".a";
  expect_error(archive(forward("    return " + dots + "\n")), Code::kLimit, "nested");
  std::string blocks;
  for (size_t i = 0; i < 1000; ++i) blocks += std::string(4 + i, ' ') + "if x:\n";
  expect_error(archive(forward(blocks)), Code::kLimit, "nested");
}

TEST(TorchScriptMalformed, TensorsStayInTheirStorage) {
  const Records storage = {{"m/data/0", std::string(16, '\0')}};
  const std::string code = forward("    return torch.add(x, self.a)\n");
  const auto with = [&](const std::string& offset, const std::string& sizes,
                        const std::string& strides) {
    return archive(code, text("a") + tensor("0", offset, sizes, strides), storage);
  };
  EXPECT_TRUE(import_text(with("K\x02", "(K\x02t", "(K\x01t")).ok());
  expect_error(with("K\x03", "(K\x02t", "(K\x01t"), Code::kInvalidArgument, "beyond its storage");
  expect_error(with(std::string("K\0", 2), "(K\x02t", "(K\x04t"), Code::kInvalidArgument,
               "beyond its storage");
  expect_error(with(std::string("K\0", 2), "(K\x02K\x02t", "(K\x01K\x01t"), Code::kInvalidArgument,
               "overlap");
  expect_error(with("J\xff\xff\xff\xff", "(K\x02t", "(K\x01t"), Code::kInvalidArgument, "negative");
  // 2^93 elements of one repeated, and 2^40.
  const std::string huge = "J\xff\xff\xff\x7f", none = std::string("K\0", 2);
  expect_error(with(none, "(" + huge + huge + huge + "t", "(" + none + none + none + "t"),
               Code::kLimit, "elements");
  expect_error(with(none, "(" + huge + "t", "(" + none + "t"), Code::kLimit, "repeats");
  expect_error(archive(code, text("a") + tensor("7", none, "(K\x01t", "(K\x01t"), storage),
               Code::kInvalidArgument, "data/7");
}

TEST(TorchScriptMalformed, ModulesMayNotContainThemselves) {
  // data.pkl memoizes the module before its state holds it.
  const std::string pickle = std::string("\x80\x02") + "c__torch__\nM\n)\x81q\x00}(" + text("a") +
                             std::string("h\0", 2) + "ub.";
  const std::string fixed = std::string("\x80\x02") + "c__torch__\nM\n)\x81q" +
                            std::string("\0", 1) + "}(" + text("a") + std::string("h\0", 2) + "ub.";
  const std::string code = forward("    return (self.a).forward(x, )\n");
  Records records = {{"m/data.pkl", fixed}, {"m/code/__torch__.py", code}};
  expect_error(zip(records), Code::kLimit, "call each other");
  // A tuple in a list in itself.
  const std::string cycle = text("a") + "]q\x01h\x01" + "a";
  expect_error(archive(forward("    return self.a\n"), cycle), Code::kLimit, "nested");
}

TEST(TorchScriptMalformed, CodeThatDoesNotEnd) {
  expect_error(archive(forward("    return (self).forward(x, )\n")), Code::kLimit,
               "call each other");
  expect_error(
      archive(forward("    a = 0\n    while True:\n      a = torch.add(a, 1)\n    return x\n")),
      Code::kLimit, "rounds");
  expect_error(archive(forward("    for i in range(1000000000):\n      pass\n    return x\n")),
               Code::kLimit, "rounds");
  std::string loops;
  std::string indent = "    ";
  for (int i = 0; i < 8; ++i, indent += "  ") {
    loops += indent + "for i" + std::to_string(i) + " in range(9999):\n";
  }
  expect_error(archive(forward(loops + indent + "pass\n    return x\n")), Code::kLimit, "too long");
  expect_error(archive(forward("    a = [1]\n    for i in range(9999):\n"
                               "      _0 = torch.extend(a, a)\n    return x\n")),
               Code::kLimit, "too large");
}

TEST(TorchScriptMalformed, Archives) {
  const std::string good = archive(kCode);
  expect_error(zip({{"m/data.pkl", "."}, {"m/code/__torch__.py", kCode}}), Code::kInvalidArgument,
               "data.pkl");
  expect_error(archive(kCode, {}, {{"m/version", "3"}}), Code::kInvalidArgument, "twice");
  expect_error(archive(kCode, {}, {{"m/../x", ""}}), Code::kInvalidArgument, "leads outside");
  expect_error(zip({{"m/data.pkl", module_pickle("")}, {"m/version", "99"}}), Code::kUnsupported,
               "version 99");
  // Two directory entries for the bytes of one.
  std::string overlapping = good;
  const size_t entry = overlapping.rfind("m/version") - 46;
  const size_t first = overlapping.find("PK\x01\x02");
  overlapping.replace(entry + 42, 4, overlapping.substr(first + 42, 4));
  expect_error(overlapping, Code::kInvalidArgument, "zip");
  for (size_t size = 0; size < good.size(); size += 7) {
    EXPECT_FALSE(import_text(good.substr(0, size)).ok());
  }
}

TEST(TorchScriptErrors, EveryUnsupportedOperatorIsListed) {
  const auto model =
      import_text(archive(forward("    a = torch.unheard_of(x)\n    b = ops.strange.thing(a)\n"
                                  "    c = ops.strange.other(x)\n    return torch.add(b, c)\n")));
  ASSERT_FALSE(model.ok());
  const std::string& message = model.status().message();
  EXPECT_EQ(model.status().code(), Code::kUnsupported);
  EXPECT_NE(message.find("aten::unheard_of"), std::string::npos) << message;
  EXPECT_NE(message.find("strange::other"), std::string::npos) << message;
  EXPECT_NE(message.find("code/__torch__.py:3"), std::string::npos) << message;
}

// Bytes of real files changed at random, the same ones every time.
TEST(TorchScriptMalformed, Mutations) {
  constexpr int kRounds = 100;
  const std::map<std::string, ShapeMap> files = {{"convnet.trace.pt", {{"x", {2, 3, 9, 7}}}},
                                                 {"containers.script.pt", {{"x", {3, 6}}}},
                                                 {"branches.script.pt", {{"x", {2, 3}}}},
                                                 {"convnet.mobile.pt", {{"x", {2, 3, 9, 7}}}},
                                                 {"quantized.frozen.pt", {{"x", {2, 3, 8, 8}}}},
                                                 {"quantized.script.pt", {{"x", {2, 3, 8, 8}}}},
                                                 {"tables.script.pt", {{"ids", {3, 4}}}},
                                                 {"halves.script.pt", {{"ids", {3, 4}}}},
                                                 {"recurrent.script.pt", {{"x", {3, 5, 6}}}},
                                                 {"marks.script.pt", {{"x", {5, 3}}}},
                                                 {"words.script.pt", {}}};
  for (const auto& [name, shapes] : files) {
    std::ifstream in(test_data("data/torchscript/" + name), std::ios::binary);
    const std::string file{std::istreambuf_iterator<char>(in), {}};
    ASSERT_FALSE(file.empty());
    std::mt19937 random(20);
    for (int round = 0; round < kRounds; ++round) {
      std::string changed = file;
      for (int edit = 0; edit < 3; ++edit) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      const auto model = import_text(changed, shapes);
      EXPECT_EQ(model.ok(), model.status().message().empty());
    }
  }
}

}  // namespace
}  // namespace mnn
