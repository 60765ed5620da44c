// A port whose peer is a test: frames are put in and taken out by hand.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_FAKE_PORT_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_FAKE_PORT_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "nic_router/engine/port.h"

namespace bulkhead::nic_router {

class FakePort final : public Port {
 public:
  using Bytes = std::vector<uint8_t>;

  explicit FakePort(const MacAddress& mac = {2, 0, 0, 0, 0, 1},
                    uint32_t buffer_bytes = 2048)
      : mac_(mac), buffer_bytes_(buffer_bytes) {}

  // The peer sends a frame, in pieces of at most piece_bytes.
  void Put(Bytes frame, size_t piece_bytes = 65535) {
    Waiting waiting{std::move(frame), piece_bytes};
    rx_.push_back(std::move(waiting));
  }
  // What the peer received and has not taken yet: published frames alone.
  std::vector<Bytes> Take() {
    std::vector<Bytes> taken;
    taken.swap(published_);
    return taken;
  }

  // Buffers that Alloc has left; the peer never gives one back by itself.
  void set_tx_room(size_t buffers) { tx_room_ = buffers; }
  size_t tx_room() const { return tx_room_; }
  void set_link(bool up) { link_ = up; }
  void set_mtu(uint32_t mtu) { mtu_ = mtu; }
  size_t waiting() const { return rx_.size(); }
  // Pieces and buffers that the engine holds: none between turns.
  size_t lent() const { return lent_.size(); }
  size_t allocated() const { return allocated_; }
  size_t flushes() const { return flushes_; }

  size_t Receive(std::span<RxPiece> out) override {
    size_t count = 0;
    while (link_ && !rx_.empty()) {
      Waiting& frame = rx_.front();
      const size_t pieces =
          (frame.bytes.size() + frame.piece_bytes - 1) / frame.piece_bytes;
      if (pieces > kMaxFramePieces || count + pieces > out.size()) break;
      for (size_t at = 0; at < frame.bytes.size(); at += frame.piece_bytes) {
        const size_t length =
            std::min(frame.piece_bytes, frame.bytes.size() - at);
        // Of its exact size, so that the sanitizer sees a read beyond it.
        auto memory = std::make_unique<uint8_t[]>(length);
        std::copy_n(frame.bytes.begin() + at, length, memory.get());
        out[count++] = {.data = memory.get(),
                        .buffer = next_buffer_++,
                        .length = static_cast<uint16_t>(length),
                        .more = at + length < frame.bytes.size()};
        lent_.push_back(std::move(memory));
      }
      rx_.pop_front();
    }
    return count;
  }
  void Release(std::span<const RxPiece> pieces) override {
    for (const RxPiece& piece : pieces) {
      if (lent_.empty() || lent_.front().get() != piece.data) std::abort();
      lent_.pop_front();
    }
  }

  size_t Alloc(std::span<TxBuffer> out) override {
    size_t count = 0;
    for (; count < out.size() && tx_room_ > 0; ++count, --tx_room_) {
      tx_.push_back(std::make_unique<uint8_t[]>(buffer_bytes_));
      out[count] = {.data = tx_.back().get(),
                    .buffer = static_cast<uint32_t>(tx_.size() - 1),
                    .capacity = buffer_bytes_};
      ++allocated_;
    }
    return count;
  }
  void Return(std::span<const TxBuffer> buffers) override {
    for (const TxBuffer& buffer : buffers) tx_.at(buffer.buffer).reset();
    allocated_ -= buffers.size();
    tx_room_ += buffers.size();
  }
  void Send(std::span<const TxPiece> pieces) override {
    for (const TxPiece& piece : pieces) {
      auto memory = std::move(tx_.at(piece.buffer));
      if (memory == nullptr || piece.length == 0 ||
          piece.length > buffer_bytes_) {
        std::abort();
      }
      open_.insert(open_.end(), memory.get(), memory.get() + piece.length);
      --allocated_;
      if (!piece.more) {
        queued_.push_back(std::move(open_));
        open_.clear();
      }
    }
  }
  void Pause(bool paused) override { paused_ = paused; }
  bool paused() const { return paused_; }
  void Flush() override {
    ++flushes_;
    for (Bytes& frame : queued_) published_.push_back(std::move(frame));
    queued_.clear();
  }

  bool link_up() const override { return link_; }
  MacAddress mac() const override { return mac_; }
  uint32_t mtu() const override { return mtu_; }

 private:
  struct Waiting {
    Bytes bytes;
    size_t piece_bytes;
  };

  MacAddress mac_;
  uint32_t buffer_bytes_;
  uint32_t mtu_ = 1500;
  bool paused_ = false;
  bool link_ = true;
  size_t tx_room_ = 4096;
  size_t allocated_ = 0;
  size_t flushes_ = 0;
  uint32_t next_buffer_ = 0;
  std::deque<Waiting> rx_;
  std::deque<std::unique_ptr<uint8_t[]>> lent_;
  std::vector<std::unique_ptr<uint8_t[]>> tx_;
  Bytes open_;
  std::vector<Bytes> queued_;
  std::vector<Bytes> published_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_FAKE_PORT_H_
