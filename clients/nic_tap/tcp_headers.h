// The headers of a TCP segment that is larger than a frame on the wire, and how
// it is cut up without a NIC's help.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_TCP_HEADERS_H_
#define BULKHEAD_CLIENTS_NIC_TAP_TCP_HEADERS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_tap {

constexpr uint32_t kTcpChecksum = 16;  // RFC 9293 3.1

struct TcpHeaders {
  uint32_t ip_start = 0;
  uint32_t tcp_start = 0;
  uint32_t header_bytes = 0;  // To the end of TCP's options.
  bool ipv6 = false;
  bool vlan = false;
  bool ip_options = false;  // IPv6: extension headers.
};

// `frame` may be anything; `tcp_start` is where its TCP header is said to be.
// False: that is no TCP over IP over Ethernet, or `frame` ends before it does.
// IPv6 extension headers between are taken on trust.
[[nodiscard]] bool FindTcpHeaders(std::span<const uint8_t> frame,
                                  uint32_t tcp_start, TcpHeaders& out);

// From the form that Linux uses into the one that most NICs want:
// takes the length out of the pseudo header's sum, and zeroes IP's length and
// IPv4's checksum.
void ForgetLengths(std::span<uint8_t> head, const TcpHeaders& tcp,
                   uint32_t frame_bytes);

// Cuts a segment up, one part at a time. Its headers are in Linux's form.
//
// Requires: FindTcpHeaders(segment) was true, the headers do not fill it, and
// payload_bytes > 0.
class TcpCutter {
 public:
  TcpCutter(std::span<const uint8_t> segment, const TcpHeaders& tcp,
            uint32_t payload_bytes)
      : segment_(segment), tcp_(tcp), payload_bytes_(payload_bytes) {}

  bool done() const { return tcp_.header_bytes + at_ >= segment_.size(); }
  // Bytes of the next frame, at most header_bytes + payload_bytes.
  size_t next_bytes() const;
  // Writes the next frame, checksums and all, to the first next_bytes() of
  // `out`.
  void Next(std::span<uint8_t> out);

 private:
  void FixIp(std::span<uint8_t> out) const;
  void FixTcp(std::span<uint8_t> out, bool last) const;

  std::span<const uint8_t> segment_;
  TcpHeaders tcp_;
  uint32_t payload_bytes_;
  uint32_t at_ = 0;     // Payload cut so far.
  uint32_t index_ = 0;  // Frames cut so far.
};

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_TCP_HEADERS_H_
