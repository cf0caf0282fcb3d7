#include "apps/flows/junit.h"

#include <gtest/gtest.h>

namespace mnn::flows {
namespace {

TEST(JUnit, CountsAndEscapes) {
  const std::string xml =
      junit_xml("mnn \"x\"", {{"layers", "a<b>&\"c\"", {}, {}, {}},
                              {"layers", "bad", "SNR 3 dB\nis low", {}, "unused"},
                              {"layers", "gone", {}, "fused into a", {}}});
  EXPECT_NE(xml.find("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), std::string::npos);
  EXPECT_NE(xml.find("name=\"a&lt;b&gt;&amp;&quot;c&quot;\"/>"), std::string::npos);
  EXPECT_NE(xml.find("<failure message=\"SNR 3 dB&#10;is low\">"), std::string::npos);
  EXPECT_NE(xml.find("<skipped message=\"fused into a\"/>"), std::string::npos);
  EXPECT_EQ(xml.find("unused"), std::string::npos);
}

TEST(JUnit, ReplacesWhatXmlCannotHold) {
  const std::string bad[] = {std::string("\x01"), std::string("\0", 1), "\xff",
                             "\xc0\x80",          "\xed\xa0\x80",       "\xe2\x82",
                             "\xef\xbf\xbf",      "\xf5\x80\x80\x80"};
  for (const std::string& text : bad) {
    const std::string xml = junit_xml("s", {{"g", "[" + text + "]", {}, {}, {}}});
    EXPECT_NE(xml.find("[\xEF\xBF\xBD"), std::string::npos);
    EXPECT_EQ(xml.find("[" + text), std::string::npos);
  }
  for (const std::string text : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    EXPECT_NE(junit_xml("s", {{"g", text, {}, {}, {}}}).find(text), std::string::npos);
  }
}

TEST(JUnit, EmptySuite) {
  EXPECT_NE(junit_xml("s", {}, 1.5).find(" time=\"1.500\""), std::string::npos);
  EXPECT_NE(junit_xml("s", {}).find("tests=\"0\" failures=\"0\""), std::string::npos);
}

}  // namespace
}  // namespace mnn::flows
