#include "libruntime/core/nearest.h"

#include <algorithm>

namespace mnn {
namespace {

// Optimal string alignment distance.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

constexpr size_t kLongestWord = 64;
constexpr size_t kShortestBeginning = 4;

}  // namespace

std::string nearest(const std::vector<std::string>& words, const std::string& typed) {
  std::string best;
  if (typed.size() > kLongestWord) return best;
  size_t least = typed.size() / 3 + 1;
  for (const std::string& word : words) {
    const size_t d = distance(word, typed);
    if (d < least) {
      least = d;
      best = word;
    }
  }
  if (!best.empty()) return best;
  for (const std::string& word : words) {
    const size_t common = std::min(word.size(), typed.size());
    if (common >= kShortestBeginning && word.compare(0, common, typed, 0, common) == 0) return word;
  }
  return best;
}

}  // namespace mnn
