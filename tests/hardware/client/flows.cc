#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

#include "base/clock.h"
#include "tests/hardware/client/client.h"

namespace bulkhead::hardware_tests {
namespace {

using packet_stream::Descriptor;
using packet_stream::kMore;
using packet_stream::RxPiece;
using packet_stream::Session;
using packet_stream::TxBuffer;

constexpr int kWaitMs = 20;

// Polls under load, and sleeps after many looks in vain: what is measured is a
// driver, not how fast an emulated machine wakes up.
class Idleness {
 public:
  explicit Idleness(int looks = kLooks) : most_looks_(looks) {}
  void Worked() { looks_ = 0; }
  void Idle(Session& session) {
    if (++looks_ >= most_looks_) session.Wait(kWaitMs);
  }

 private:
  static constexpr int kLooks = 50;
  const int most_looks_;
  int looks_ = 0;
};

// Frames a second from the first to the last one.
class Rate {
 public:
  void Add(uint64_t frames) {
    last_ns_ = MonotonicNs();
    if (first_ns_ == 0) first_ns_ = last_ns_;
    frames_ += frames;
  }
  void Print(const char* what) const {
    const double seconds = static_cast<double>(last_ns_ - first_ns_) / 1e9;
    std::printf("{\"%s\": %llu, \"per_second\": %.0f}\n", what,
                static_cast<unsigned long long>(frames_),
                seconds > 0 ? static_cast<double>(frames_) / seconds : 0);
  }

 private:
  uint64_t frames_ = 0;
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
};

// All or none of `wanted`; waits for them.
bool AllocAll(Session& session, std::span<TxBuffer> wanted) {
  while (!ended) {
    const size_t got = session.AllocTx(wanted);
    if (got == wanted.size()) return true;
    session.ReturnTx(wanted.first(got));
    session.Flush();
    session.Wait(kWaitMs);
  }
  return false;
}

// Sends whole frames back. Their pieces need not be as long as tx buffers are.
class Forwarder {
 public:
  explicit Forwarder(Session& session)
      : session_(session), mac_(session.status().mac) {}

  void Piece(const RxPiece& piece) {
    const bool more = (piece.flags & kMore) != 0;
    frame_.insert(frame_.end(), piece.data, piece.data + piece.length);
    if (!more) {
      SendFrame();
      frame_.clear();
    }
  }
  uint64_t frames() const { return frames_; }

 private:
  void SendFrame() {
    if (frame_.size() < 12) return;
    std::memcpy(frame_.data(), frame_.data() + 6, 6);
    std::memcpy(frame_.data() + 6, mac_.data(), 6);
    std::array<TxBuffer, packet_stream::kMaxFramePieces> buffers;
    std::array<Descriptor, packet_stream::kMaxFramePieces> pieces;
    size_t count = 0;
    for (size_t sent = 0; sent < frame_.size() && count < buffers.size();) {
      TxBuffer& buffer = buffers[count];
      if (!AllocAll(session_, {&buffer, 1})) return;
      const size_t bytes =
          std::min<size_t>(buffer.capacity, frame_.size() - sent);
      std::memcpy(buffer.data, frame_.data() + sent, bytes);
      sent += bytes;
      pieces[count] = {};
      pieces[count].offset = buffer.offset;
      pieces[count].length = static_cast<uint16_t>(bytes);
      pieces[count].flags = sent < frame_.size() ? kMore : 0;
      ++count;
    }
    session_.SubmitTx({pieces.data(), count});
    ++frames_;
  }

  Session& session_;
  const std::array<uint8_t, 6> mac_;
  std::vector<uint8_t> frame_;
  uint64_t frames_ = 0;
};

}  // namespace

int Forward(Session& session) {
  Forwarder forwarder(session);
  Rate rate;
  Idleness idleness;
  std::array<RxPiece, kBatch> pieces;
  while (!ended) {
    const uint64_t before = forwarder.frames();
    const size_t count = session.Receive(pieces);
    for (size_t i = 0; i < count; ++i) forwarder.Piece(pieces[i]);
    session.Release({pieces.data(), count});
    session.Flush();
    if (count == 0) {
      idleness.Idle(session);
      continue;
    }
    idleness.Worked();
    rate.Add(forwarder.frames() - before);
  }
  rate.Print("forwarded");
  return 0;
}

int Send(Session& session, const nic_traffic::MacAddress& to,
         size_t frame_bytes) {
  const nic_traffic::MacAddress from = session.status().mac;
  std::array<TxBuffer, kBatch> buffers;
  std::array<Descriptor, kBatch> pieces = {};
  // A frame is written once for each buffer: what is measured is the way out.
  std::vector<uint8_t> frame(frame_bytes);
  nic_traffic::WriteTestFrame({.stream = 1, .sequence = 0, .sent_ns = 0}, to,
                              from, frame);
  const uint64_t start_ns = MonotonicNs();
  const uint64_t done_before = session.counters().tx_done;
  // As testpmd does, it sends without a sleep: nobody else wants its CPU.
  constexpr int kLooksForBuffers = 5000;
  Idleness idleness(kLooksForBuffers);
  while (!ended) {
    const size_t count = session.AllocTx(buffers);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(buffers[i].data, frame.data(), frame_bytes);
      pieces[i].offset = buffers[i].offset;
      pieces[i].length = static_cast<uint16_t>(frame_bytes);
    }
    session.SubmitTx({pieces.data(), count});
    session.Flush();
    if (count == 0) {
      idleness.Idle(session);
    } else {
      idleness.Worked();
    }
  }
  const double seconds = static_cast<double>(MonotonicNs() - start_ns) / 1e9;
  const uint64_t done = session.counters().tx_done - done_before;
  std::printf("{\"sent\": %llu, \"per_second\": %.0f}\n",
              static_cast<unsigned long long>(done),
              static_cast<double>(done) / seconds);
  return 0;
}

int Receive(Session& session) {
  std::array<RxPiece, kBatch> pieces;
  Rate rate;
  Idleness idleness;
  while (!ended) {
    const size_t count = session.Receive(pieces);
    uint64_t frames = 0;
    for (size_t i = 0; i < count; ++i) {
      if ((pieces[i].flags & kMore) == 0) ++frames;
    }
    session.Release({pieces.data(), count});
    session.Flush();
    if (count == 0) {
      idleness.Idle(session);
      continue;
    }
    idleness.Worked();
    rate.Add(frames);
  }
  rate.Print("received");
  return 0;
}

}  // namespace bulkhead::hardware_tests
