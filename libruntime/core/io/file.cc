#include "libruntime/core/io/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>

namespace mnn {
namespace {

Status errno_status(const std::string& what, const std::string& path, int error = errno) {
  const std::string text = path + ": " + what + ": " + std::generic_category().message(error);
  return error == ENOMEM ? limit_exceeded(text) : not_accessible(text);
}

// Where files are mapped: first byte and number of bytes.
struct Mappings {
  std::mutex mutex;
  std::map<uintptr_t, size_t> ranges;
};
Mappings& mappings() {
  static auto* const all = new Mappings;  // outlives every mapping
  return *all;
}

struct Mapping {
  void* address;
  size_t bytes;
  Mapping(void* a, size_t n) : address(a), bytes(n) {
    const std::lock_guard lock(mappings().mutex);
    mappings().ranges[reinterpret_cast<uintptr_t>(a)] = n;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    const std::lock_guard lock(mappings().mutex);
    mappings().ranges.erase(reinterpret_cast<uintptr_t>(address));
    munmap(address, bytes);
  }
};

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

FileGuard reading_guard, writing_guard;

// What a path names instead of a regular file.
std::string kind_of(const struct stat& info) {
  if (S_ISDIR(info.st_mode)) return "is a folder";
  if (S_ISFIFO(info.st_mode)) return "is a pipe";
  if (S_ISSOCK(info.st_mode)) return "is a socket";
  return "is a device";
}

// Temporary files that are being written. Whoever takes a name out of its entry owns it: the
// AtomicFile when it is done, or the handler of a signal.
std::array<std::atomic<char*>, 64> temporaries{};

bool remember(char* name) {
  for (std::atomic<char*>& entry : temporaries) {
    char* none = nullptr;
    if (entry.compare_exchange_strong(none, name)) return true;
  }
  return false;
}

// Frees the name. One that a signal handler took stays: the process is about to end.
void forget(char* name) {
  for (std::atomic<char*>& entry : temporaries) {
    char* expected = name;
    if (!entry.compare_exchange_strong(expected, nullptr)) continue;
    std::free(name);
    return;
  }
}

}  // namespace

void set_file_guards(FileGuard reading, FileGuard writing) {
  reading_guard = std::move(reading);
  writing_guard = std::move(writing);
}

void remove_temporary_files() {
  for (std::atomic<char*>& entry : temporaries) {
    if (const char* name = entry.exchange(nullptr)) unlink(name);
  }
}

Result<MappedFile> map_file(const std::string& path) {
  if (reading_guard) MNN_RETURN_IF_ERROR(reading_guard(path));
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return errno_status("cannot open", path);
  struct stat info {};
  if (fstat(file.fd, &info) != 0) return errno_status("cannot read", path);
  if (!S_ISREG(info.st_mode)) {
    return not_accessible(path + ": " + kind_of(info) +
                          ", not a regular file that can be mapped into memory");
  }
  if (info.st_size == 0) return MappedFile{};
  const auto bytes = static_cast<size_t>(info.st_size);
  void* const address = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) return errno_status("cannot map", path);
  MappedFile mapped;
  mapped.bytes = {static_cast<const std::byte*>(address), bytes};
  mapped.owner = std::make_shared<Mapping>(address, bytes);
  return mapped;
}

void release_pages(std::span<const std::byte> bytes) {
  constexpr size_t kWorthIt = 256 << 10;
  if (bytes.size() < kWorthIt) return;
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t end = begin + bytes.size();
  // Held to the end: the mapping must not go meanwhile.
  const std::lock_guard lock(mappings().mutex);
  const auto after = mappings().ranges.upper_bound(begin);
  if (after == mappings().ranges.begin()) return;
  const auto [first, size] = *std::prev(after);
  if (end > first + size) return;
  const uintptr_t from = (begin + page - 1) / page * page, to = end / page * page;
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
}

Result<AtomicFile> AtomicFile::create(const std::string& given) {
  if (writing_guard) MNN_RETURN_IF_ERROR(writing_guard(given));
  std::string path = given;
  // A link keeps pointing at the file it names: that file is replaced, not the link.
  std::error_code error;
  if (std::filesystem::is_symlink(path, error)) {
    const auto target = std::filesystem::canonical(path, error);
    if (!error) path = target.string();
  }
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return not_accessible(given + ": " + kind_of(info) +
                          ", not a regular file that can be replaced");
  }
  const size_t slash = path.rfind('/') + 1;  // npos + 1 is 0
  for (int attempt = 0; attempt < 100; ++attempt) {
    // Hidden, so that a folder read while we write does not show it. A long name is cut: file
    // systems take NAME_MAX bytes.
    const std::string ending =
        "." + std::to_string(getpid()) + "." + std::to_string(attempt) + ".tmp";
    const std::string name = path.substr(slash, NAME_MAX - ending.size() - 1);
    char* const temporary = strdup((path.substr(0, slash) + "." + name + ending).c_str());
    if (temporary == nullptr) return limit_exceeded("out of memory");
    if (!remember(temporary)) {
      std::free(temporary);
      return limit_exceeded(given + ": too many files are being written at once");
    }
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return AtomicFile(std::move(path), temporary, fd);
    const int error = errno;
    forget(temporary);
    if (error != EEXIST) return errno_status("cannot write", given, error);
  }
  return not_accessible(given + ": cannot write: too many temporary files beside it");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(other.temporary_), fd_(other.fd_) {
  other.temporary_ = nullptr;
  other.fd_ = -1;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    close(fd_);
    unlink(temporary_);
  }
  if (temporary_ != nullptr) forget(temporary_);
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
  if (close(fd) != 0 || rename(temporary_, path_.c_str()) != 0) {
    const Status status = errno_status("cannot write", path_);
    unlink(temporary_);
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
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) abort();
  constexpr size_t kStep = 16 << 20;
  while (!bytes.empty()) {
    const auto step = bytes.first(std::min(bytes.size(), kStep));
    if (EVP_DigestUpdate(context.get(), step.data(), step.size()) != 1) abort();
    release_pages(step);
    bytes = bytes.subspan(step.size());
  }
  if (EVP_DigestFinal_ex(context.get(), digest, &size) != 1) abort();
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  return hex;
}

}  // namespace mnn
