#include "clients/nic_lwip/http_request.h"

#include <gtest/gtest.h>

#include <string>

namespace bulkhead::nic_lwip {
namespace {

// A request that arrives byte by byte is one when its last byte is there.
TEST(HttpRequest, IsWholeAtItsEnd) {
  const std::string text =
      "GET /file?x=1 HTTP/1.1\r\nHost: 192.0.2.2\r\nAccept: */*\r\n\r\n";
  HttpRequest request;
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ParseRequest(text.substr(0, size), &request),
              RequestState::kIncomplete);
  }
  ASSERT_EQ(ParseRequest(text, &request), RequestState::kGood);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/file");
}

TEST(HttpRequest, MistakesAreSeen) {
  HttpRequest request;
  for (const char* text :
       {"\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET file HTTP/1.1\r\n\r\n",
        "GET / x HTTP/1.1\r\n\r\n", "GET / HTTP/2\r\n\r\n",
        " / HTTP/1.1\r\n\r\n", "GET  HTTP/1.1\r\n\r\n"}) {
    EXPECT_EQ(ParseRequest(text, &request), RequestState::kMalformed) << text;
  }
  EXPECT_EQ(ParseRequest(std::string(kMaxRequestBytes, 'a'), &request),
            RequestState::kMalformed);
}

}  // namespace
}  // namespace bulkhead::nic_lwip
