#include "nic_model/network/pcap_replay.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_model {
namespace {

constexpr int kBurst = 64;
constexpr size_t kReadBytes = 64 * 1024;

absl::StatusOr<std::vector<uint8_t>> ReadAll(int fd) {
  std::vector<uint8_t> bytes;
  for (;;) {
    const size_t have = bytes.size();
    if (have > PcapReplay::kMaxFileBytes) {
      return absl::InvalidArgumentError(
          "replay a capture: it is larger than 64 MiB; cut it with 'editcap'");
    }
    bytes.resize(have + kReadBytes);
    // At its own offset: the descriptor's may be anywhere after a restart.
    const ssize_t got =
        ::pread(fd, bytes.data() + have, kReadBytes, static_cast<off_t>(have));
    if (got < 0 && errno != EINTR) return ErrnoStatus("read a capture");
    bytes.resize(have + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return bytes;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<PcapReplay>> PcapReplay::Create(EventLoop& loop,
                                                               Port& port,
                                                               UniqueFd file,
                                                               bool repeat) {
  ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, ReadAll(file.get()));
  ASSIGN_OR_RETURN(PcapFile capture, PcapFile::Open(bytes));
  if (capture.Next().empty()) {
    return absl::InvalidArgumentError(
        "replay a capture: it holds no whole Ethernet frame");
  }
  capture.Rewind();
  return std::unique_ptr<PcapReplay>(
      new PcapReplay(loop, port, std::move(bytes), capture, repeat));
}

// Moving a vector keeps its bytes where they are, so `file` stays valid.
PcapReplay::PcapReplay(EventLoop& loop, Port& port, std::vector<uint8_t> bytes,
                       PcapFile file, bool repeat)
    : loop_(loop),
      port_(port),
      bytes_(std::move(bytes)),
      file_(file),
      repeat_(repeat) {
  poller_ = loop_.AddPoller([this] { return bursting_ && Burst(); });
}

PcapReplay::~PcapReplay() { loop_.RemovePoller(poller_); }

bool PcapReplay::Burst() {
  for (int i = 0; i < kBurst && !ended_ && port_.CanReceive(); ++i) {
    std::span<const uint8_t> frame = file_.Next();
    if (frame.empty()) {
      file_.Rewind();
      ended_ = !repeat_;
      continue;
    }
    port_.Receive(frame);
  }
  port_.EndReceive();
  bursting_ = !ended_ && port_.CanReceive();
  return bursting_;
}

}  // namespace bulkhead::nic_model
