// Sends back every frame that it receives, until SIGTERM.
//
//   reflector session INSTANCE      over a Bulkhead session
//   reflector socket INTERFACE      over a packet socket: what a program does
//                                   that speaks sockets
//
// A session's two areas have one writer each, so that the frame is copied once.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "packet_stream/client.h"
#include "tests/bench/linux/frame_socket.h"

namespace bulkhead::bench {
namespace {

using packet_stream::Descriptor;
using packet_stream::RxPiece;
using packet_stream::Session;
using packet_stream::TxBuffer;

constexpr size_t kBatch = 64;
constexpr int kLookMs = 100;  // For the stop signal.
constexpr uint32_t kTurnsPerLook = 1024;
constexpr size_t kMostBytes = 2048;

class SessionReflector {
 public:
  explicit SessionReflector(std::unique_ptr<Session> session)
      : session_(std::move(session)) {}

  void Run(const StopSignal& stop) {
    for (uint32_t turn = 0;; ++turn) {
      const size_t count = Turn();
      session_->Flush();
      if (count == 0) session_->Wait(kLookMs);
      if ((count == 0 || turn % kTurnsPerLook == 0) && stop.Came()) return;
    }
  }

 private:
  // No frame is taken that there is no buffer to send from: what is too much is
  // the NIC's to drop, and to count.
  size_t Turn() {
    held_ += session_->AllocTx({buffers_.data() + held_, kBatch - held_});
    std::array<RxPiece, kBatch> received;
    const size_t count = session_->Receive({received.data(), held_});
    if (count == 0) return 0;
    std::array<Descriptor, kBatch> pieces;
    for (size_t i = 0; i < count; ++i) {
      const TxBuffer& buffer = buffers_[held_ - count + i];
      std::memcpy(buffer.data, received[i].data, received[i].length);
      pieces[i] = {.offset = buffer.offset,
                   .length = received[i].length,
                   .flags = static_cast<uint16_t>(received[i].flags &
                                                  packet_stream::kMore)};
    }
    held_ -= count;
    session_->Release({received.data(), count});
    session_->SubmitTx({pieces.data(), count});
    return count;
  }

  std::unique_ptr<Session> session_;
  std::array<TxBuffer, kBatch> buffers_;
  size_t held_ = 0;  // Of buffers_.
};

void ReflectOnSocket(int socket, const StopSignal& stop) {
  std::array<std::array<uint8_t, kMostBytes>, kBatch> frames;
  std::array<iovec, kBatch> bytes;
  std::array<mmsghdr, kBatch> batch = {};
  for (size_t i = 0; i < kBatch; ++i) {
    batch[i].msg_hdr.msg_iov = &bytes[i];
    batch[i].msg_hdr.msg_iovlen = 1;
  }
  for (uint32_t turn = 0;; ++turn) {
    for (size_t i = 0; i < kBatch; ++i)
      bytes[i] = {frames[i].data(), kMostBytes};
    const int count =
        ::recvmmsg(socket, batch.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count <= 0) {
      pollfd watched[] = {{.fd = socket, .events = POLLIN, .revents = 0},
                          {.fd = stop.fd(), .events = POLLIN, .revents = 0}};
      ::poll(watched, 2, -1);
    }
    for (int i = 0; i < count; ++i) bytes[i].iov_len = batch[i].msg_len;
    if (count > 0) {
      ::sendmmsg(socket, batch.data(), static_cast<unsigned>(count), 0);
    }
    if ((count <= 0 || turn % kTurnsPerLook == 0) && stop.Came()) return;
  }
}

absl::Status Run(const std::string& how, const std::string& name) {
  const StopSignal stop;
  if (how == "socket") {
    ASSIGN_OR_RETURN(const UniqueFd socket, OpenFrameSocket(name));
    ReflectOnSocket(socket.get(), stop);
    return absl::OkStatus();
  }
  packet_stream::OpenOptions options;
  options.label = "reflector";
  options.instance = name;
  // As many as testpmd has in its rings: what a burst finds room in.
  options.geometry.rx_buffers = options.geometry.tx_buffers = 2048;
  ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Open(options));
  SessionReflector(std::move(session)).Run(stop);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr,
                 "usage: reflector session INSTANCE | socket INTERFACE\n");
    return 2;
  }
  bulkhead::SetLogName("reflector");
  const absl::Status status = bulkhead::bench::Run(argv[1], argv[2]);
  if (status.ok()) return 0;
  bulkhead::LogError(status.message());
  return 1;
}
