// "Did you mean": the known word a typed one was most likely meant to be.
#pragma once

#include <string>
#include <vector>

namespace mnn {

// By edit distance, a swap of neighbours counting once; at most a third of the letters may be
// wrong. A word that the typed one begins, or that begins it, is near too. Empty: none is.
std::string nearest(const std::vector<std::string>& words, const std::string& typed);

}  // namespace mnn
