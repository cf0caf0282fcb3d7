// Standard output as std::cout's buffer, which remembers what became of the result.
#pragma once

#include <array>
#include <streambuf>

namespace mnn::cli {

// Takes the place of std::cout's buffer while it lives; writes to file descriptor 1.
class ResultStream : public std::streambuf {
 public:
  ResultStream();
  ~ResultStream() override;
  ResultStream(const ResultStream&) = delete;
  ResultStream& operator=(const ResultStream&) = delete;

  bool untouched() const { return !touched_; }  // nothing was printed
  int error() const { return error_; }          // errno of the first failed write; 0: none

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  bool drain();
  std::streambuf* before_;
  std::array<char, 1 << 16> buffer_;
  bool touched_ = false;
  int error_ = 0;
};

}  // namespace mnn::cli
