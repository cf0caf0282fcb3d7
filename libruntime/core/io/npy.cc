#include "libruntime/core/io/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "libruntime/core/dim.h"
#include "libruntime/core/io/file.h"

namespace mnn {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = size_t{1} << 20;
constexpr size_t kMaxNpyRank = 64;

struct NpyType {
  DType dtype;
  std::string_view code;
};
constexpr NpyType kTypes[] = {
    {DType::kF16, "f2"}, {DType::kF32, "f4"},   {DType::kF64, "f8"}, {DType::kI8, "i1"},
    {DType::kI16, "i2"}, {DType::kI32, "i4"},   {DType::kI64, "i8"}, {DType::kU8, "u1"},
    {DType::kU16, "u2"}, {DType::kU32, "u4"},   {DType::kU64, "u8"}, {DType::kBool, "b1"},
    {DType::kC64, "c8"}, {DType::kC128, "c16"},
};

std::string_view npy_code(DType dtype) {
  for (const NpyType& t : kTypes) {
    if (t.dtype == dtype) return t.code;
  }
  return {};
}

struct Header {
  DType dtype = DType::kUndefined;
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<int64_t> dims;
};

// The header is a Python dict literal with three keys, in any order.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Result<Header> parse() {
    bool has_descr = false, has_order = false, has_shape = false;
    if (!eat('{')) return fail("expected '{'");
    while (!eat('}')) {
      MNN_ASSIGN_OR_RETURN(const std::string key, string());
      if (!eat(':')) return fail("expected ':'");
      if (key == "descr") {
        MNN_RETURN_IF_ERROR(descr());
        has_descr = true;
      } else if (key == "fortran_order") {
        header_.fortran_order = word("True");
        if (!header_.fortran_order && !word("False")) return fail("expected True or False");
        has_order = true;
      } else if (key == "shape") {
        MNN_RETURN_IF_ERROR(shape());
        has_shape = true;
      } else {
        return fail("key '" + key + "' is not known");
      }
      if (eat(',')) continue;
      if (!eat('}')) return fail("expected ',' or '}'");
      break;
    }
    if (!has_descr || !has_order || !has_shape) {
      return fail("expected the keys descr, fortran_order and shape");
    }
    return header_;
  }

 private:
  void skip() {
    while (pos_ < text_.size() && (text_[pos_] == ' ' || text_[pos_] == '\n')) ++pos_;
  }
  bool eat(char c) {
    skip();
    if (pos_ >= text_.size() || text_[pos_] != c) return false;
    ++pos_;
    return true;
  }
  bool word(std::string_view w) {
    skip();
    if (text_.substr(pos_, w.size()) != w) return false;
    pos_ += w.size();
    return true;
  }
  Status fail(const std::string& what) const {
    return invalid("npy header: " + what + " at character " + std::to_string(pos_));
  }
  Result<std::string> string() {
    skip();
    const char quote = pos_ < text_.size() ? text_[pos_] : '\0';
    if (quote != '\'' && quote != '"') return fail("expected a string");
    const size_t end = text_.find(quote, pos_ + 1);
    if (end == std::string_view::npos) return fail("the string is not closed");
    std::string s(text_.substr(pos_ + 1, end - pos_ - 1));
    pos_ = end + 1;
    return s;
  }
  Status descr() {
    skip();
    if (pos_ < text_.size() && text_[pos_] == '[') {
      return unsupported("npy: structured types are not supported");
    }
    MNN_ASSIGN_OR_RETURN(const std::string d, string());
    const bool has_order = !d.empty() && std::string_view("<>|=").find(d[0]) != std::string::npos;
    for (const NpyType& t : kTypes) {
      if (d.substr(has_order ? 1 : 0) != t.code) continue;
      header_.dtype = t.dtype;
      header_.big_endian = d[0] == '>';
      return {};
    }
    return unsupported("npy: element type '" + d + "' is not supported");
  }
  Status shape() {
    if (!eat('(')) return fail("expected a tuple");
    while (!eat(')')) {
      skip();
      int64_t dim = 0;
      const auto r = std::from_chars(text_.data() + pos_, text_.data() + text_.size(), dim);
      if (r.ec != std::errc()) return fail("expected an integer");
      pos_ = static_cast<size_t>(r.ptr - text_.data());
      if (pos_ < text_.size() && text_[pos_] == 'L') ++pos_;  // written by Python 2
      if (dim < 0) return fail("dimension " + std::to_string(dim) + " is negative");
      if (header_.dims.size() == kMaxNpyRank) return fail("too many dimensions");
      header_.dims.push_back(dim);
      if (eat(',')) continue;
      if (!eat(')')) return fail("expected ',' or ')'");
      break;
    }
    return {};
  }

  std::string_view text_;
  size_t pos_ = 0;
  Header header_;
};

// The header, and where the elements begin.
Result<Header> parse_header(std::span<const std::byte> bytes, size_t& begin) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, kMagic.size()) != kMagic) {
    return invalid("not an npy file: it does not begin with \\x93NUMPY");
  }
  if (text.size() < 10) return invalid("npy: the file ends in its header");
  const auto byte = [&](size_t i) { return static_cast<size_t>(bytes[i]); };
  const size_t major = byte(6);
  if (major < 1 || major > 3) {
    return unsupported("npy version " + std::to_string(major) + " is not supported (1 to 3 are)");
  }
  size_t size = byte(8) | byte(9) << 8;
  begin = 10;
  if (major > 1) {
    if (text.size() < 12) return invalid("npy: the file ends in its header");
    size |= byte(10) << 16 | byte(11) << 24;
    begin = 12;
  }
  if (size > kMaxHeader)
    return limit_exceeded("npy: a header of " + std::to_string(size) + " bytes");
  if (size > text.size() - begin) return invalid("npy: the file ends in its header");
  MNN_ASSIGN_OR_RETURN(Header header, HeaderParser(text.substr(begin, size)).parse());
  begin += size;
  return header;
}

void swap_bytes(std::byte* data, size_t count, size_t width) {
  for (size_t i = 0; i < count; ++i) std::reverse(data + i * width, data + (i + 1) * width);
}

// Copies column-major elements into row-major order.
void copy_fortran(const std::byte* from, Tensor& to, size_t width) {
  const size_t rank = to.rank();
  std::vector<int64_t> stride(rank), index(rank, 0);
  int64_t step = 1;
  for (size_t d = 0; d < rank; ++d) {
    stride[d] = step;
    step *= to.dims()[d];
  }
  int64_t source = 0;
  for (int64_t i = 0; i < to.elements(); ++i) {
    std::memcpy(to.raw() + static_cast<size_t>(i) * width,
                from + static_cast<size_t>(source) * width, width);
    for (size_t d = rank; d-- > 0;) {
      source += stride[d];
      if (++index[d] < to.dims()[d]) break;
      source -= stride[d] * to.dims()[d];
      index[d] = 0;
    }
  }
}

std::string header_text(const Tensor& tensor) {
  const std::string_view code = npy_code(tensor.dtype());
  std::string text = "{'descr': '";
  text += dtype_bits(tensor.dtype()) == 8 ? '|' : '<';
  text += code;
  text += "', 'fortran_order': False, 'shape': (";
  for (size_t d = 0; d < tensor.rank(); ++d) {
    text += (d ? ", " : "") + std::to_string(tensor.dims()[d]);
  }
  text += tensor.rank() == 1 ? ",), }" : "), }";
  // Elements begin at a multiple of 64.
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string out(kMagic);
  out +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return out + text;
}

Status check_writable(const Tensor& tensor) {
  if (npy_has_type(tensor.dtype())) return {};
  return unsupported("npy has no element type " + std::string(dtype_name(tensor.dtype())));
}

}  // namespace

bool npy_has_type(DType dtype) { return !npy_code(dtype).empty(); }

Result<Tensor> parse_npy(std::span<const std::byte> bytes) {
  size_t begin = 0;
  MNN_ASSIGN_OR_RETURN(const Header header, parse_header(bytes, begin));
  const auto elements = checked_elements(header.dims);
  const auto size = elements ? storage_bytes(header.dtype, *elements) : std::nullopt;
  const size_t present = bytes.size() - begin;
  if (!size || static_cast<uint64_t>(*size) > present) {
    return invalid("npy: expected " + std::string(dtype_name(header.dtype)) +
                   shape_str(to_shape(header.dims)) + ", found " + std::to_string(present) +
                   " bytes of elements");
  }
  MNN_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(header.dtype, header.dims));
  if (*size == 0) return tensor;
  const std::byte* const from = bytes.data() + begin;
  const auto width = static_cast<size_t>(dtype_bits(header.dtype)) / 8;
  const auto count = static_cast<size_t>(*elements);
  if (header.fortran_order && header.dims.size() > 1) {
    copy_fortran(from, tensor, width);
  } else {
    std::memcpy(tensor.raw(), from, static_cast<size_t>(*size));
  }
  if (header.big_endian) {
    // The parts of a complex number are swapped one by one.
    const bool complex = header.dtype == DType::kC64 || header.dtype == DType::kC128;
    swap_bytes(tensor.raw(), complex ? 2 * count : count, complex ? width / 2 : width);
  }
  if (header.dtype == DType::kBool) {
    for (size_t i = 0; i < count; ++i) {
      tensor.raw()[i] = std::byte(tensor.raw()[i] != std::byte(0));
    }
  }
  return tensor;
}

Result<Tensor> read_npy(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  Result<Tensor> tensor = parse_npy(file.bytes);
  if (!tensor.ok()) return tensor.status().context(path);
  return tensor;
}

Result<std::string> npy_bytes(const Tensor& tensor) {
  MNN_RETURN_IF_ERROR(check_writable(tensor));
  std::string out = header_text(tensor);
  out.append(reinterpret_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes()));
  return out;
}

Status write_npy(const std::string& path, const Tensor& tensor) {
  const Status writable = check_writable(tensor);
  if (!writable.ok()) return writable.context(path);
  const std::string header = header_text(tensor);
  MNN_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  MNN_RETURN_IF_ERROR(file.append(std::as_bytes(std::span(header))));
  MNN_RETURN_IF_ERROR(file.append({tensor.raw(), static_cast<size_t>(tensor.bytes())}));
  return file.commit();
}

}  // namespace mnn
