#include "tests/bench/router/test_flows.h"

#include <algorithm>
#include <cstring>

namespace bulkhead::bench {
namespace {

constexpr size_t kIp = 14;
constexpr size_t kUdp = kIp + 20;
constexpr size_t kPayload = kUdp + 8;
constexpr uint32_t kSource = 0x0a000102;        // 10.0.1.2
constexpr uint32_t kDestinations = 0x0a090001;  // 10.9.0.1 and on.
constexpr uint16_t kFirstPort = 10'000;
constexpr uint16_t kDiscard = 9;

void Store16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
void Store32(uint8_t* at, uint32_t value) {
  Store16(at, value >> 16);
  Store16(at + 2, value);
}
uint32_t Sum(const uint8_t* at, size_t bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) sum += at[i] << 8 | at[i + 1];
  if (bytes % 2 != 0) sum += at[bytes - 1] << 8;
  return sum;
}
uint16_t Folded(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

TestFlows::TestFlows(const Mac& from, const Mac& to, uint32_t first,
                     uint32_t count, Mix mix)
    : first_(first), count_(count) {
  switch (mix) {
    case Mix::k64:
      templates_ = {Make(from, to, 60)};
      cycle_ = {0};
      break;
    case Mix::k1518:
      templates_ = {Make(from, to, kMaxFrameBytes)};
      cycle_ = {0};
      break;
    case Mix::kImix:
      templates_ = {Make(from, to, 60), Make(from, to, 590),
                    Make(from, to, kMaxFrameBytes)};
      cycle_ = {0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 0, 1};
      break;
  }
}

TestFlows::Template TestFlows::Make(const Mac& from, const Mac& to,
                                    size_t bytes) {
  Template made;
  made.bytes.resize(bytes);
  uint8_t* const at = made.bytes.data();
  std::copy(to.begin(), to.end(), at);
  std::copy(from.begin(), from.end(), at + 6);
  Store16(at + 12, 0x0800);
  at[kIp] = 0x45;
  Store16(at + kIp + 2, static_cast<uint32_t>(bytes - kIp));
  at[kIp + 8] = 64;
  at[kIp + 9] = 17;
  Store32(at + kIp + 12, kSource);
  Store16(at + kUdp + 2, kDiscard);
  Store16(at + kUdp + 4, static_cast<uint32_t>(bytes - kUdp));
  for (size_t i = kPayload; i < bytes; ++i) at[i] = static_cast<uint8_t>(i * 7);
  made.ip_sum = Sum(at + kIp, 20);
  made.udp_sum = Sum(at + kUdp, bytes - kUdp) + Sum(at + kIp + 12, 4) + 17 +
                 static_cast<uint32_t>(bytes - kUdp);
  return made;
}

size_t TestFlows::Next(uint8_t* out) {
  const Template& from = templates_[cycle_[at_]];
  if (++at_ == cycle_.size()) at_ = 0;
  std::memcpy(out, from.bytes.data(), from.bytes.size());
  const uint32_t flow = first_ + flow_;
  if (++flow_ == count_) flow_ = 0;
  const uint32_t destination = kDestinations + flow / kFlowsPerDestination;
  const uint32_t port = kFirstPort + flow % kFlowsPerDestination;
  const uint32_t difference = (destination >> 16) + (destination & 0xffff);
  Store32(out + kIp + 16, destination);
  Store16(out + kIp + 10, Folded(from.ip_sum + difference));
  Store16(out + kUdp, port);
  Store16(out + kUdp + 6, Folded(from.udp_sum + difference + port));
  return from.bytes.size();
}

}  // namespace bulkhead::bench
