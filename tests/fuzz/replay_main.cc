// Runs a fuzz target without a fuzzer: on every file of the given folders, and on a fixed number of
// mutations of each, the same ones every time. Reaching the end is success.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 2000;

void mutate(std::vector<uint8_t>& bytes, std::mt19937& random) {
  const int edits = 1 + static_cast<int>(random() % 4);
  for (int e = 0; e < edits && !bytes.empty(); ++e) {
    const size_t at = random() % bytes.size();
    const auto position = bytes.begin() + static_cast<long>(at);
    switch (random() % 6) {
      case 0: *position = static_cast<uint8_t>(*position ^ (1u << random() % 8)); break;
      case 1: *position = static_cast<uint8_t>(random()); break;
      case 2:
        bytes.erase(position, position + static_cast<long>(std::min<size_t>(bytes.size() - at,
                                                                            1 + random() % 16)));
        break;
      case 3: bytes.insert(position, 1 + random() % 8, static_cast<uint8_t>(random())); break;
      case 4: {
        // Numbers at the ends of their range.
        constexpr uint8_t kEnds[] = {0x00, 0x7f, 0x80, 0xff};
        const size_t width = std::min<size_t>(size_t{1} << random() % 4, bytes.size() - at);
        std::fill_n(position, width, kEnds[random() % 4]);
        break;
      }
      default: {
        // A piece of the file once more elsewhere.
        const size_t from = random() % bytes.size();
        const size_t n = std::min<size_t>(bytes.size() - std::max(from, at), 1 + random() % 32);
        std::vector<uint8_t> piece(bytes.begin() + static_cast<long>(from),
                                   bytes.begin() + static_cast<long>(from + n));
        std::copy(piece.begin(), piece.end(), position);
      }
    }
  }
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  size_t replayed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& path : files_of(argv[i])) {
      std::ifstream in(path, std::ios::binary);
      const std::vector<uint8_t> seed((std::istreambuf_iterator<char>(in)), {});
      if (!in) {
        std::fprintf(stderr, "cannot read %s\n", path.c_str());
        return 1;
      }
      LLVMFuzzerTestOneInput(seed.data(), seed.size());
      std::mt19937 random(static_cast<unsigned>(replayed));
      for (int m = 0; m < kMutations; ++m) {
        std::vector<uint8_t> bytes = seed;
        mutate(bytes, random);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      }
      ++replayed;
    }
  }
  std::printf("%zu seeds, %d mutations each\n", replayed, kMutations);
  return replayed > 0 ? 0 : 1;
}
