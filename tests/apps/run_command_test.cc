// run_command: signals, and which files are inputs and outputs.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "apps/common/flags.h"
#include "apps/flows/file_roles.h"
#include "libruntime/core/io/file.h"

namespace mnn::cli {

using namespace flows;
namespace {

namespace fs = std::filesystem;

class InFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mnn_run_command_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void put(const std::string& name) const { std::ofstream(path(name)) << "x"; }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& e : fs::directory_iterator(folder_)) names.push_back(e.path().filename());
    return names;
  }
  std::string folder_;
};

using Signals = InFolder;

// What a command does when the signal comes while it writes two files.
[[noreturn]] void write_and_wait(const std::string& folder, int ready) {
  CLI::App app("Waits.", "mnn wait");
  CommonFlags flags;
  add_common_flags(app, flags, "mnn wait");
  const char* argv[] = {"mnn-wait"};
  run_command(app, flags, 1, const_cast<char**>(argv), [&]() -> Status {
    MNN_RETURN_IF_ERROR(write_file(folder + "/done", "whole"));
    MNN_ASSIGN_OR_RETURN(AtomicFile a, AtomicFile::create(folder + "/a"));
    MNN_ASSIGN_OR_RETURN(AtomicFile b, AtomicFile::create(folder + "/b"));
    MNN_RETURN_IF_ERROR(a.append(std::as_bytes(std::span("half", 4))));
    if (write(ready, "x", 1) != 1) return internal_error("no reader");
    for (;;) pause();
  });
  _exit(99);
}

TEST_F(Signals, LeaveNoTemporaryFile) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_and_wait(folder_, ends[1]);
    close(ends[1]);
    char byte = 0;
    ASSERT_EQ(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    EXPECT_EQ(entries().size(), 3U);  // one whole, two half written
    ASSERT_EQ(kill(child, signal), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_EQ(entries(), std::vector<std::string>{"done"});
  }
}

using Roles = InFolder;

TEST_F(Roles, OneFileUnderManyNames) {
  put("model");
  fs::create_symlink("model", path("link"));
  fs::create_hard_link(path("model"), path("hard"));
  fs::create_directory(path("sub"));
  for (const char* name : {"model", "link", "hard", "sub/../model"}) {
    FileRoles first;
    EXPECT_TRUE(first.reads("MODEL", path("model")).ok());
    EXPECT_EQ(first.writes("--output", path(name)).code(), Code::kUsage) << name;
    EXPECT_EQ(first.about_to_write(path(name)).code(), Code::kUsage) << name;
    FileRoles second;  // in the other order
    EXPECT_TRUE(second.writes("--output", path(name)).ok());
    EXPECT_EQ(second.about_to_read(path("model")).code(), Code::kUsage) << name;
  }
}

TEST_F(Roles, OutputsThatAreNotThereYet) {
  fs::create_directory(path("sub"));
  FileRoles roles;
  EXPECT_TRUE(roles.writes("--output", path("new")).ok());
  EXPECT_EQ(roles.writes("--report", path("sub/../new")).code(), Code::kUsage);
  EXPECT_TRUE(roles.writes("--netron", path("sub/new")).ok());
  EXPECT_TRUE(roles.writes("--log-file", "/dev/null").ok());
  EXPECT_TRUE(roles.writes("--profile", "/dev/null").ok());
  EXPECT_EQ(roles.writes("--output", "-").code(), Code::kUsage);
  EXPECT_EQ(roles.reads("MODEL", "-").code(), Code::kUsage);
}

TEST_F(Roles, WhatWasWrittenMayBeReadAndWrittenAgain) {
  put("old");
  FileRoles roles;
  EXPECT_TRUE(roles.writes("--output", path("old")).ok());
  EXPECT_FALSE(roles.was_written(path("old")));
  EXPECT_TRUE(roles.about_to_write(path("old")).ok());
  EXPECT_TRUE(roles.was_written(path("old")));
  EXPECT_TRUE(roles.about_to_read(path("old")).ok());
  EXPECT_TRUE(roles.about_to_write(path("old")).ok());
}

TEST_F(Roles, NamesAsLongAsTheFileSystemTakes) {
  const std::string name(255, 'n');
  ASSERT_TRUE(write_file(path(name), "text").ok());
  EXPECT_EQ(entries(), std::vector<std::string>{name});
  EXPECT_EQ(write_file(path(name + "n"), "text").code(), Code::kNotAccessible);
}

}  // namespace
}  // namespace mnn::cli
