#include "apps/common/result_stream.h"

#include <unistd.h>

#include <cerrno>
#include <iostream>

namespace mnn::cli {

ResultStream::ResultStream() : before_(std::cout.rdbuf(this)) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

ResultStream::~ResultStream() {
  drain();
  std::cout.rdbuf(before_);
}

bool ResultStream::drain() {
  const char* at = pbase();
  touched_ |= at != pptr();
  while (at != pptr() && error_ == 0) {
    const ssize_t written = write(STDOUT_FILENO, at, static_cast<size_t>(pptr() - at));
    if (written > 0) at += written;
    if (written < 0 && errno != EINTR) error_ = errno;
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return error_ == 0;
}

ResultStream::int_type ResultStream::overflow(int_type c) {
  if (!drain()) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

int ResultStream::sync() { return drain() ? 0 : -1; }

}  // namespace mnn::cli
