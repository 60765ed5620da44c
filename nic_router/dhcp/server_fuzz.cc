// A handful of clients that say anything, and a router that restarts in
// between: no address has two clients, no client two addresses, and what lies
// in memory is what the server believes (S7).
#include <map>
#include <memory>

#include "nic_router/dhcp/server.h"
#include "packet_stream/fuzz_input.h"

namespace {

using namespace bulkhead::nic_router;        // NOLINT
using namespace bulkhead::nic_router::dhcp;  // NOLINT
using bulkhead::packet_stream::FuzzCheck;
using bulkhead::packet_stream::FuzzInput;

constexpr Ipv4Address kRouter = 0x0a000104;
constexpr Ipv4Address kFirst = 0x0a000102;
constexpr uint32_t kAddresses = 6;  // One of them the router's own.

class Network {
 public:
  void Step(FuzzInput& input) {
    const uint8_t what = input.Byte();
    if (what == 0xff) return Restart();
    if (what >= 0xf0) {
      now_ns_ += uint64_t{input.Byte()} << 32;
      return server_->Expire(now_ns_);
    }
    Message message;
    message.type = static_cast<MessageType>(1 + what % 8);
    message.hardware = {2, 0, 0, 0, 0, static_cast<uint8_t>(input.Byte() % 8)};
    const uint8_t fields = input.Byte();
    const Ipv4Address address = kFirst - 1 + input.Byte() % (kAddresses + 2);
    if ((fields & 1) != 0) message.client_address = address;
    if ((fields & 2) != 0) message.requested_address = address;
    if ((fields & 4) != 0) message.server_identifier = kRouter;
    if ((fields & 8) != 0) message.server_identifier = kRouter + 1;
    message.broadcast = (fields & 16) != 0;
    std::array<uint8_t, kMaxMessageBytes> bytes;
    const size_t size = BuildMessage(message, bytes);
    // Now and then damaged.
    if ((fields & 0xe0) == 0xe0) bytes[input.Word() % size] ^= input.Byte();
    ServerReply reply;
    if (server_->Handle({bytes.data(), size}, message.hardware, now_ns_,
                        reply) == ServerVerdict::kAnswered) {
      FuzzCheck(reply.size >= kMinMessageBytes);
      FuzzCheck(reply.to_mac == message.hardware || reply.to == 0xffffffff);
    }
  }

  void Check() const {
    std::map<MacAddress, int> owners;
    std::map<Ipv4Address, int> addresses;
    server_->pool().ForEach([&](const LeaseEntry& entry) {
      FuzzCheck(entry.address != kRouter);
      FuzzCheck(entry.address - kFirst < kAddresses);
      FuzzCheck(++addresses[entry.address] == 1);
      FuzzCheck(entry.state == LeaseState::kDeclined ||
                ++owners[entry.mac] == 1);
    });
  }

 private:
  static DhcpServer::Settings Settings() {
    DhcpServerConfig config;
    config.first = kFirst;
    config.last = kFirst + kAddresses - 1;
    return {"guests", {kRouter, 24}, config};
  }
  size_t Leases() const {
    size_t leases = 0;
    server_->pool().ForEach([&leases](const LeaseEntry&) { ++leases; });
    return leases;
  }
  void Restart() {
    server_->Expire(now_ns_);
    const size_t before = Leases();
    server_.reset();
    memory_ = std::make_unique<LeaseMemory>(std::span<std::byte>(region_));
    server_ = std::make_unique<DhcpServer>(Settings(), *memory_, now_ns_);
    FuzzCheck(memory_->dropped() == 0 && server_->pool().dropped() == 0);
    FuzzCheck(Leases() == before);
  }

  alignas(8) std::byte region_[(kAddresses - 2) * sizeof(LeaseEntry)] = {};
  uint64_t now_ns_ = 1;
  std::unique_ptr<LeaseMemory> memory_ =
      std::make_unique<LeaseMemory>(std::span<std::byte>(region_));
  std::unique_ptr<DhcpServer> server_ =
      std::make_unique<DhcpServer>(Settings(), *memory_, now_ns_);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  Network network;
  while (!input.empty()) {
    network.Step(input);
    network.Check();
  }
  return 0;
}
