// Any bytes as a stream of requests, at both roles: no access may leave its
// region, and no answer its buffer. The fake device aborts where one does.
#include <cstring>
#include <utility>

#include "base/shared_memory.h"
#include "nic_model/vfio_user/fake_device.h"
#include "nic_model/vfio_user/message_handler.h"

using bulkhead::UniqueFd;
using namespace bulkhead::vfio_user;

namespace {

void Serve(Role role, const uint8_t* data, size_t size) {
  static auto* device = new FakeDevice;
  static const int memory =
      bulkhead::CreateSealedMemory("fuzz", bulkhead::kPageBytes)->Release();
  static auto* reply = new Reply;
  MessageHandler handler(*device, role);
  const Version version = {kMajorVersion, kMinorVersion};
  handler.Handle({0, 1, 20, 0, 0},
                 {reinterpret_cast<const uint8_t*>(&version), sizeof(version)},
                 {}, reply);
  while (size >= sizeof(Header)) {
    Header header;
    std::memcpy(&header, data, sizeof(header));
    const size_t bytes = std::min<size_t>(
        size, sizeof(header) + header.bytes % kServerMaxMessage);
    std::vector<UniqueFd> fds;
    // As many descriptors as the error field says, which a request leaves free.
    for (uint32_t i = 0; i < header.error % 8; ++i) {
      fds.emplace_back(::dup(memory));
    }
    handler.Handle(header, {data + sizeof(header), bytes - sizeof(header)},
                   std::move(fds), reply);
    if (reply->body_bytes > reply->body.size()) std::abort();
    data += bytes;
    size -= bytes;
  }
  device->UnmapAllDma();
  device->DisarmIrqs(kMsixIrqIndex);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Serve(Role::kOwner, data, size);
  Serve(Role::kDriver, data, size);
  return 0;
}
