#include "clients/nic_lwip/http_request.h"

namespace bulkhead::nic_lwip {

RequestState ParseRequest(absl::string_view text, HttpRequest* request) {
  const size_t end = text.find("\r\n\r\n");
  if (end == absl::string_view::npos) {
    return text.size() < kMaxRequestBytes ? RequestState::kIncomplete
                                          : RequestState::kMalformed;
  }
  // Section 3: method SP request-target SP HTTP-version.
  const absl::string_view line = text.substr(0, text.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == absl::string_view::npos || first == 0 || last == first) {
    return RequestState::kMalformed;
  }
  const absl::string_view target = line.substr(first + 1, last - first - 1);
  if (target.empty() || target[0] != '/' ||
      target.find(' ') != absl::string_view::npos ||
      line.substr(last + 1).substr(0, 7) != "HTTP/1.") {
    return RequestState::kMalformed;
  }
  request->method = line.substr(0, first);
  request->path = target.substr(0, target.find('?'));
  return RequestState::kGood;
}

}  // namespace bulkhead::nic_lwip
