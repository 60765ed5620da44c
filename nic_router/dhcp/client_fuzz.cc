// A server that answers anything, a link that flaps, a router that restarts:
// the client never sends without waiting, and what it believes is an identity
// that a host can have (S7).
#include <optional>

#include "nic_router/dhcp/client.h"
#include "packet_stream/fuzz_input.h"

namespace {

using namespace bulkhead::nic_router;        // NOLINT
using namespace bulkhead::nic_router::dhcp;  // NOLINT
using bulkhead::packet_stream::FuzzCheck;
using bulkhead::packet_stream::FuzzInput;

constexpr MacAddress kMac = {2, 0, 0, 0, 0, 7};
constexpr Ipv4Address kServer = 0x0a000201;

class Network {
 public:
  void Step(FuzzInput& input) {
    const uint8_t what = input.Byte();
    switch (what % 16) {
      case 0:
        return client_->LinkUp(kMac, now_ns_);
      case 1:
        return client_->LinkDown();
      case 2:
        client_.emplace("uplink", slot_, what, now_ns_);
        return FuzzCheck(!client_->dropped_stored());
      case 3:
      case 4:
        now_ns_ += uint64_t{input.Byte()} << 32;
        break;
      case 5:
        if (client_->NextDeadline()) {
          now_ns_ = std::max(now_ns_, *client_->NextDeadline());
        }
        break;
      default:
        Answer(input);
    }
    Send();
  }
  void Check() const {
    if (!client_->identity()) return;
    const IpIdentity& identity = *client_->identity();
    const uint8_t first = identity.interface.address >> 24;
    FuzzCheck(first != 0 && first != 127 && first < 224);
    FuzzCheck(identity.interface.bits >= 1 && identity.interface.bits <= 32);
    FuzzCheck(identity.renew_ns <= identity.rebind_ns &&
              identity.rebind_ns <= identity.expire_ns);
    FuzzCheck(identity.expire_ns > now_ns_);
  }

 private:
  void Send() {
    ClientMessage out;
    if (!client_->Poll(now_ns_, out)) return;
    FuzzCheck(ParseMessage({out.bytes.data(), out.size}, sent_) ==
              ParseError::kNone);
    FuzzCheck(!client_->Poll(now_ns_, out));
  }
  void Answer(FuzzInput& input) {
    const uint8_t fields = input.Byte();
    Message message;
    message.reply = true;
    message.type = fields % 4 == 0   ? MessageType::kNak
                   : fields % 4 == 1 ? MessageType::kOffer
                                     : MessageType::kAck;
    message.transaction = sent_.transaction;
    message.hardware = kMac;
    message.your_address = (fields & 4) != 0 ? input.Word() : kServer + 20;
    message.netmask = (fields & 8) != 0 ? input.Word() : 0xffffff00;
    message.lease_s = (fields & 16) != 0 ? input.Word() : 600;
    message.routers.Add((fields & 32) != 0 ? input.Word() : kServer);
    message.server_identifier = (fields & 64) != 0 ? input.Word() : kServer;
    if ((fields & 128) != 0) {
      message.renewal_s = input.Word();
      message.rebinding_s = input.Word();
    }
    std::array<uint8_t, kMaxMessageBytes> bytes;
    const size_t size = BuildMessage(message, bytes);
    client_->Handle({bytes.data(), size}, kMac, now_ns_);
  }

  std::byte slot_[sizeof(IdentityEntry)] = {};
  uint64_t now_ns_ = 1;
  std::optional<DhcpClient> client_{std::in_place, "uplink", slot_, 1, now_ns_};
  Message sent_;
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
