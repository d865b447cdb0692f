/// \file
/// Seeding a fault: `proofs/mutate.cmake` changes a text in exactly one place or refuses.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <source_location>

namespace etalon {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// One run of the script on a small text.
class Mutate : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* self = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("etalon-mutate-") + self->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "source/reference");
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// True when the script wrote the mutant.
  bool mutate(const std::string& text, const std::string& find, const std::string& replace) {
    write(folder_ / "source/reference/text.hpp", text);
    const nlohmann::json list{
        {"text", "reference/text.hpp"},
        {"mutants",
         {{{"name", "other"}, {"what", ""}, {"find", "not this one"}, {"replace", ""}},
          {{"name", "planted-fault"}, {"what", ""}, {"find", find}, {"replace", replace}}}}};
    write(folder_ / "list.json", list.dump());
    const fs::path script =
        fs::path(std::source_location::current().file_name()).parent_path() / "../../proofs/mutate.cmake";
    const auto quoted = [](const fs::path& path) { return "'" + path.string() + "'"; };
    const std::string command = quoted(ETALON_CMAKE) + " -DLIST=" + quoted(folder_ / "list.json") +
                                " -DNUMBER=1 -DSOURCE=" + quoted(folder_ / "source") +
                                " -DFOLDER=" + quoted(folder_ / "mutant") + " -P " + quoted(script) + " 2> " +
                                quoted(folder_ / "errors");
    return std::system(command.c_str()) == 0;
  }

  std::string mutant() const { return contents(folder_ / "mutant/reference/text.hpp"); }
  /// The message, which CMake breaks into lines.
  std::string errors() const {
    std::string words;
    for (const char letter : contents(folder_ / "errors")) {
      const bool space = letter == ' ' || letter == '\n';
      if (!space || (!words.empty() && words.back() != ' ')) words += space ? ' ' : letter;
    }
    return words;
  }

 private:
  fs::path folder_;
};

TEST_F(Mutate, replaces_what_is_there_once) {
  ASSERT_TRUE(mutate("a = b;\nc = d;\n", "c = d", "c = -d")) << errors();
  EXPECT_EQ(mutant(), "a = b;\nc = -d;\n");
}

TEST_F(Mutate, leaves_every_other_character_alone) {
  const std::string text = "x[0]; y[1; \"${z}\" @w@ \\n \\\\ [[t]] // ;;\n\n  # %\n";
  ASSERT_TRUE(mutate(text + "here\n" + text, "here", "there; [i \\ ${j}")) << errors();
  EXPECT_EQ(mutant(), text + "there; [i \\ ${j}\n" + text);
}

TEST_F(Mutate, takes_the_pattern_by_its_letters) {
  ASSERT_TRUE(mutate("a.b axb\n", "a.b", "c")) << errors();
  EXPECT_EQ(mutant(), "c axb\n");
}

TEST_F(Mutate, matches_across_lines) {
  ASSERT_TRUE(mutate("x;\n  y;\nx;\n", "x;\n  y;", "z;")) << errors();
  EXPECT_EQ(mutant(), "z;\nx;\n");
}

TEST_F(Mutate, refuses_what_is_not_there) {
  EXPECT_FALSE(mutate("a = b;\n", "c = d", "c = -d"));
  EXPECT_NE(errors().find("mutant planted-fault: reference/text.hpp does not contain: c = d"),
            std::string::npos)
      << errors();
  EXPECT_EQ(mutant(), "");
}

TEST_F(Mutate, refuses_what_is_there_twice) {
  EXPECT_FALSE(mutate("a = b;\nc = d;\na = b;\n", "a = b", "a = -b"));
  EXPECT_NE(errors().find("mutant planted-fault: reference/text.hpp contains more than once: a = b"),
            std::string::npos)
      << errors();
  EXPECT_EQ(mutant(), "");
}

TEST_F(Mutate, refuses_matches_that_overlap) {
  EXPECT_FALSE(mutate("xaaax\n", "aa", "b"));
  EXPECT_EQ(mutant(), "");
}

}  // namespace
}  // namespace etalon
