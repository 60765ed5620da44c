// The head of an HTTP/1.1 request (RFC 9112), as far as a server of two pages
// needs it.
#ifndef BULKHEAD_CLIENTS_NIC_LWIP_HTTP_REQUEST_H_
#define BULKHEAD_CLIENTS_NIC_LWIP_HTTP_REQUEST_H_

#include "absl/strings/string_view.h"

namespace bulkhead::nic_lwip {

constexpr size_t kMaxRequestBytes = 4096;

enum class RequestState : uint8_t {
  kIncomplete,  // Its end has not come yet.
  kGood,
  kMalformed,
};

struct HttpRequest {
  absl::string_view method;  // "GET"
  absl::string_view path;    // "/file", without what follows a `?`.
};

// `text` is what has come so far, and may be anything. The views point into it.
RequestState ParseRequest(absl::string_view text, HttpRequest* request);

}  // namespace bulkhead::nic_lwip

#endif  // BULKHEAD_CLIENTS_NIC_LWIP_HTTP_REQUEST_H_
