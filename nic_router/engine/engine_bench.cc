// How many 64-byte frames a second one core forwards with NAT: the engine
// alone, between ports that only lend and take buffers.
//   engine_bench [FLOWS] [SECONDS]
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "nic_router/engine/engine.h"
#include "nic_router/packet/arp.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

constexpr uint32_t kBufferBytes = 2048;
constexpr uint32_t kBuffers = 1024;
constexpr MacAddress kClient = {2, 0, 0, 0, 1, 2};
constexpr MacAddress kNic = {2, 0, 0, 0, 9, 0};
constexpr MacAddress kGateway = {2, 0, 0, 0, 9, 0xfe};
constexpr Ipv4Address kGatewayIp = 0x0a0900fe;
constexpr Ipv4Address kRouterIp = 0x0a090001;

double CpuSeconds() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) / 1e9;
}

// Lends the same frames over and over, and throws away what is sent.
class BenchPort final : public Port {
 public:
  explicit BenchPort(const MacAddress& mac)
      : mac_(mac), memory_(kBuffers * size_t{kBufferBytes}) {}

  void SetFrames(std::vector<std::vector<uint8_t>> frames) {
    frames_ = std::move(frames);
  }
  uint64_t sent() const { return sent_; }
  // Of the last frame that was sent.
  const uint8_t* last() const { return last_; }

  size_t Receive(std::span<RxPiece> out) override {
    if (frames_.empty()) return 0;
    for (RxPiece& piece : out) {
      const auto& frame = frames_[next_];
      if (++next_ == frames_.size()) next_ = 0;
      piece = {.data = frame.data(),
               .length = static_cast<uint16_t>(frame.size())};
    }
    return out.size();
  }
  void Release(std::span<const RxPiece>) override {}
  size_t Alloc(std::span<TxBuffer> out) override {
    for (TxBuffer& buffer : out) {
      buffer = {.data = &memory_[size_t{buffer_} * kBufferBytes],
                .buffer = buffer_,
                .capacity = kBufferBytes};
      if (++buffer_ == kBuffers) buffer_ = 0;
    }
    return out.size();
  }
  void Return(std::span<const TxBuffer>) override {}
  void Send(std::span<const TxPiece> pieces) override {
    sent_ += pieces.size();
    last_ = &memory_[size_t{pieces.back().buffer} * kBufferBytes];
  }
  void Flush() override {}
  void Pause(bool) override {}
  bool link_up() const override { return true; }
  MacAddress mac() const override { return mac_; }
  uint32_t mtu() const override { return 1500; }

 private:
  MacAddress mac_;
  std::vector<uint8_t> memory_;
  std::vector<std::vector<uint8_t>> frames_;
  size_t next_ = 0;
  uint32_t buffer_ = 0;
  uint64_t sent_ = 0;
  const uint8_t* last_ = nullptr;
};

std::vector<uint8_t> UdpFrame(const MacAddress& to, uint32_t flow) {
  std::vector<uint8_t> frame(60);
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(to);
  ethernet->set_source(kClient);
  ethernet->set_type(kEtherTypeIpv4);
  // 64 peers, so that 100,000 flows find ports.
  WriteIpv4(std::span(frame).subspan(14),
            {.source = 0x0a000102,
             .destination = 0xc0000200 + flow % 64,
             .protocol = kProtocolUdp},
            26);
  Store16(&frame[34], static_cast<uint16_t>(1024 + flow / 64));
  Store16(&frame[36], 53);
  Store16(&frame[38], 26);
  ChecksumSum sum = PseudoHeader4(0x0a000102, 0xc0000200 + flow % 64, 17, 26);
  sum.Add(std::span(frame).subspan(34, 26));
  Store16(&frame[40], sum.NonZeroChecksum());
  return frame;
}

RouterConfig BenchConfig() {
  RouterConfig config;
  DomainConfig guests;
  guests.name = "guests";
  guests.interface = Ipv4Prefix{0x0a000101, 24};
  guests.udp = {{.to = {}, .permit_any = "uplink", .permit = {}}};
  DomainConfig uplink;
  uplink.name = "uplink";
  uplink.interface = Ipv4Prefix{kRouterIp, 24};
  uplink.gateway = kGatewayIp;
  uplink.nat = {{.domain = "guests",
                 .tcp_ports = 0,
                 .udp_ports = 1'000'000,
                 .icmp_ids = 0}};
  config.domains = {guests, uplink};
  config.uplinks = {{.instances = {"nic0"}, .domain = "uplink", .vlans = {}}};
  config.policies = {{.label = "", .domain = "guests"}};
  return config;
}

int Run(uint32_t flows, double seconds) {
  const RouterConfig config = BenchConfig();
  const size_t bytes = Engine::StateBytes(config);
  std::unique_ptr<uint8_t, void (*)(void*)> memory(
      static_cast<uint8_t*>(std::aligned_alloc(4096, bytes)), &std::free);
  std::memset(memory.get(), 0, bytes);
  auto engine = Engine::Create(config, {memory.get(), bytes}, MonotonicNs());
  if (!engine.ok()) return 1;
  BenchPort client(kClient);
  BenchPort nic(kNic);
  if (!(*engine)->AddClient("bench", kClient, &client, MonotonicNs()).ok() ||
      !(*engine)->AddUplink(0, 0, &nic, MonotonicNs()).ok()) {
    return 1;
  }
  // The gateway makes itself known.
  std::vector<uint8_t> arp(42);
  auto ethernet = EthernetWriter::In(arp);
  ethernet->set_destination(kNic);
  ethernet->set_source(kGateway);
  ethernet->set_type(kEtherTypeArp);
  WriteArp(std::span(arp).subspan(14), {.sender_mac = kGateway,
                                        .sender_ip = kGatewayIp,
                                        .target_mac = {},
                                        .target_ip = kRouterIp});
  nic.SetFrames({arp});
  (*engine)->Turn(MonotonicNs());
  nic.SetFrames({});
  std::vector<std::vector<uint8_t>> frames;
  for (uint32_t i = 0; i < flows; ++i) {
    frames.push_back(UdpFrame((*engine)->RouterMac("guests", kEveryMember), i));
  }
  client.SetFrames(std::move(frames));
  // New connections first: each frame opens one.
  const uint64_t opened = nic.sent();
  double began = CpuSeconds();
  while (nic.sent() - opened < flows) (*engine)->Turn(MonotonicNs());
  const double opening = CpuSeconds() - began;
  const uint64_t before = nic.sent();
  began = CpuSeconds();
  double elapsed = 0;
  while (elapsed < seconds) {
    for (int i = 0; i < 100; ++i) (*engine)->Turn(MonotonicNs());
    elapsed = CpuSeconds() - began;
  }
  const auto count = static_cast<double>(nic.sent() - before);
  std::printf("flows %u: %.2f Mpps, %.0f ns a frame; %.0f new links a second\n",
              flows, count / elapsed / 1e6, elapsed * 1e9 / count,
              flows / opening);
  return 0;
}

}  // namespace
}  // namespace bulkhead::nic_router

int main(int argc, char** argv) {
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1;
  if (argc > 1) {
    return bulkhead::nic_router::Run(static_cast<uint32_t>(std::atoi(argv[1])),
                                     seconds);
  }
  for (const uint32_t flows : {1u, 1000u, 100000u}) {
    if (bulkhead::nic_router::Run(flows, seconds) != 0) return 1;
  }
  return 0;
}
