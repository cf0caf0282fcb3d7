#include "libruntime/core/io/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace mnn {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "mnn_file_test";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string content(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  size_t count() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_F(FileTest, WritesAndMaps) {
  ASSERT_TRUE(write_file(path("a"), "hello").ok());
  const Result<MappedFile> file = map_file(path("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(as_text(file->bytes), "hello");
  ASSERT_TRUE(write_file(path("a"), "").ok());
  // The mapping still shows the file it was made from.
  EXPECT_EQ(as_text(file->bytes), "hello");
  EXPECT_TRUE(map_file(path("a"))->bytes.empty());
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, OldFileStaysUntilCommit) {
  ASSERT_TRUE(write_file(path("a"), "old").ok());
  {
    Result<AtomicFile> file = AtomicFile::create(path("a"));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->append(std::as_bytes(std::span(std::string_view("new")))).ok());
    EXPECT_EQ(content("a"), "old");
    EXPECT_EQ(count(), 2u);
  }
  EXPECT_EQ(content("a"), "old");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, TwoWritersDoNotMix) {
  Result<AtomicFile> one = AtomicFile::create(path("a")), two = AtomicFile::create(path("a"));
  ASSERT_TRUE(one.ok() && two.ok());
  ASSERT_TRUE(one->append(std::as_bytes(std::span(std::string_view("one")))).ok());
  ASSERT_TRUE(two->append(std::as_bytes(std::span(std::string_view("two")))).ok());
  ASSERT_TRUE(one->commit().ok());
  EXPECT_EQ(content("a"), "one");
  ASSERT_TRUE(two->commit().ok());
  EXPECT_EQ(content("a"), "two");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, LinksKeepPointingAtTheirFile) {
  ASSERT_TRUE(write_file(path("real"), "old").ok());
  fs::create_symlink("real", path("link"));
  ASSERT_TRUE(write_file(path("link"), "new").ok());
  EXPECT_EQ(content("real"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
}

TEST_F(FileTest, SaysWhyNot) {
  EXPECT_EQ(map_file(path("none")).status().message(),
            path("none") + ": cannot open: No such file or directory");
  EXPECT_EQ(map_file(path("none")).status().code(), Code::kNotAccessible);
  EXPECT_EQ(map_file(path("")).status().message(),
            path("") + ": is a folder, not a regular file that can be mapped into memory");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(map_file(path("pipe")).status().message(),
            path("pipe") + ": is a pipe, not a regular file that can be mapped into memory");
  EXPECT_EQ(write_file(path("pipe"), "x").message(),
            path("pipe") + ": is a pipe, not a regular file that can be replaced");
  EXPECT_EQ(write_file(path("no/such"), "x").message(),
            path("no/such") + ": cannot write: No such file or directory");
  EXPECT_EQ(write_file("/dev/null", "x").message(),
            "/dev/null: is a device, not a regular file that can be replaced");
}

TEST_F(FileTest, ReleasedPagesComeBackAndOtherMemoryStays) {
  std::string text(1 << 20, 'a');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 4096);
  ASSERT_TRUE(write_file(path("large"), text).ok());
  const auto mapped = map_file(path("large"));
  ASSERT_TRUE(mapped.ok());
  release_pages(mapped->bytes);
  EXPECT_TRUE(std::ranges::equal(mapped->bytes, std::as_bytes(std::span(text))));
  const std::string before = text;
  release_pages(std::as_bytes(std::span(text)));
  EXPECT_EQ(text, before);
}

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(std::string_view("abc")))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace mnn
