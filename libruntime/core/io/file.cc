#include "libruntime/core/io/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace mnn {
namespace {

Status errno_status(const std::string& what, const std::string& path, int error = errno) {
  return not_accessible(path + ": " + what + ": " + std::generic_category().message(error));
}

struct Mapping {
  void* address;
  size_t bytes;
  Mapping(void* a, size_t n) : address(a), bytes(n) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { munmap(address, bytes); }
};

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

Result<MappedFile> map_file(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return errno_status("cannot open", path);
  struct stat info {};
  if (fstat(file.fd, &info) != 0) return errno_status("cannot read", path);
  if (!S_ISREG(info.st_mode)) return not_accessible(path + ": is not a regular file");
  if (info.st_size == 0) return MappedFile{};
  const auto bytes = static_cast<size_t>(info.st_size);
  void* const address = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) return errno_status("cannot map", path);
  MappedFile mapped;
  mapped.bytes = {static_cast<const std::byte*>(address), bytes};
  mapped.owner = std::make_shared<Mapping>(address, bytes);
  return mapped;
}

Result<AtomicFile> AtomicFile::create(const std::string& given) {
  std::string path = given;
  // A link keeps pointing at the file it names: that file is replaced, not the link.
  std::error_code error;
  if (std::filesystem::is_symlink(path, error)) {
    const auto target = std::filesystem::canonical(path, error);
    if (!error) path = target.string();
  }
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return not_accessible(given + ": is not a regular file");
  }
  const size_t slash = path.rfind('/') + 1;  // npos + 1 is 0
  for (int attempt = 0; attempt < 100; ++attempt) {
    // Hidden, so that a folder read while we write does not show it.
    const std::string temporary = path.substr(0, slash) + "." + path.substr(slash) + "." +
                                  std::to_string(getpid()) + "." + std::to_string(attempt) + ".tmp";
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return AtomicFile(std::move(path), temporary, fd);
    if (errno != EEXIST) return errno_status("cannot write", given);
  }
  return not_accessible(given + ": cannot write: too many temporary files beside it");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)), fd_(other.fd_) {
  other.fd_ = -1;
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

Status AtomicFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_status("cannot write", path_);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status AtomicFile::commit() {
  if (fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) {
    return errno_status("cannot write", path_);
  }
  const int fd = std::exchange(fd_, -1);
  if (close(fd) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
    const Status status = errno_status("cannot write", path_);
    unlink(temporary_.c_str());
    return status;
  }
  // The new name is durable once its folder is flushed; file systems that cannot do that are fine.
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const Descriptor directory{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd >= 0) (void)fsync(directory.fd);
  return {};
}

Status write_file(const std::string& path, std::string_view text) {
  MNN_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  MNN_RETURN_IF_ERROR(file.append(std::as_bytes(std::span(text))));
  return file.commit();
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  // Fails only when the library has no SHA-256, which no sound build lacks.
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) != 1) abort();
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  return hex;
}

}  // namespace mnn
