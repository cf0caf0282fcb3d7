// How many CPUs this process may use: its affinity mask and the CPU quotas of its cgroups.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "libruntime/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace mnn {
namespace {

int cpus_in_mask() {
#if defined(__linux__)
  // The kernel refuses a set smaller than its own: grow until it fits.
  for (size_t count = 1024; count <= (size_t{1} << 20); count *= 2) {
    std::vector<cpu_set_t> set(count / CPU_SETSIZE);
    const size_t bytes = set.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, set.data()) == 0) {
      return std::max(1, CPU_COUNT_S(bytes, set.data()));
    }
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// The first line of a small file; empty when there is none.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<int64_t> parse_int(const std::string& text) {
  std::istringstream stream(text);
  int64_t value = 0;
  if (stream >> value) return value;
  return std::nullopt;
}

// Whole CPUs for `quota` microseconds in every `period`, rounded up.
std::optional<int64_t> cpus_of(std::optional<int64_t> quota, std::optional<int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return std::max<int64_t>(1, *quota / *period + (*quota % *period != 0));
}

// cgroup v2: "MAX PERIOD", where MAX may be "max".
std::optional<int64_t> quota_v2(const std::string& folder) {
  std::istringstream line(first_line(folder + "/cpu.max"));
  std::string quota, period;
  line >> quota >> period;
  return cpus_of(parse_int(quota), parse_int(period));
}

std::optional<int64_t> quota_v1(const std::string& folder) {
  return cpus_of(parse_int(first_line(folder + "/cpu.cfs_quota_us")),
                 parse_int(first_line(folder + "/cpu.cfs_period_us")));
}

// The least quota of the group and of all groups above it. Inside a container the path of the host
// often does not exist; then only the mount point answers.
template <typename Quota>
void apply_groups(const std::string& mount, std::string path, Quota quota, int64_t& cpus) {
  for (;;) {
    if (const auto q = quota(mount + path)) cpus = std::min(cpus, *q);
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return;
    path.resize(slash);
  }
}

bool lists_cpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

int usable_cpus(const char* root) {
  int64_t cpus = cpus_in_mask();
  const std::string base = std::string(root) + "/sys/fs/cgroup";
  // Lines "id:controllers:path"; v2 has id 0 and no controllers.
  std::ifstream groups(std::string(root) + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers.empty()) {
      apply_groups(base, path, quota_v2, cpus);
      apply_groups(base + "/unified", path, quota_v2, cpus);
    } else if (lists_cpu(controllers)) {
      apply_groups(base + "/cpu", path, quota_v1, cpus);
      if (controllers != "cpu") apply_groups(base + "/" + controllers, path, quota_v1, cpus);
    }
  }
  return static_cast<int>(cpus);
}

}  // namespace mnn
