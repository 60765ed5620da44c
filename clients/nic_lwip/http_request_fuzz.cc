// Any bytes as a request: what is found good lies inside them.
#include "clients/nic_lwip/http_request.h"
#include "packet_stream/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulkhead::nic_lwip::HttpRequest;
  using bulkhead::nic_lwip::RequestState;
  using bulkhead::packet_stream::FuzzCheck;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  HttpRequest request;
  if (ParseRequest(text, &request) != RequestState::kGood) return 0;
  FuzzCheck(!request.method.empty() && !request.path.empty());
  FuzzCheck(request.path.front() == '/');
  FuzzCheck(request.path.data() > text.data() &&
            request.path.data() + request.path.size() < text.data() + size);
  return 0;
}
