// The numbers of the buffers that nobody uses, last in first out: a buffer that
// came back a moment ago is still in the cache.
#ifndef BULKHEAD_PACKET_STREAM_FREE_BUFFERS_H_
#define BULKHEAD_PACKET_STREAM_FREE_BUFFERS_H_

#include <cstdint>
#include <memory>

namespace bulkhead::packet_stream {

// Requires: no number is in it twice; the owner's state array sees to it (S2).
class FreeBuffers {
 public:
  // Holds all of 0 … count - 1.
  explicit FreeBuffers(uint32_t count) : stack_(new uint32_t[count]) {
    for (uint32_t i = 0; i < count; ++i) stack_[i] = count - 1 - i;
    size_ = count;
  }

  uint32_t size() const { return size_; }
  // Takes `count` numbers off; they can be read there until the next Grow.
  // Requires: count <= size().
  const uint32_t* Take(uint32_t count) {
    size_ -= count;
    return &stack_[size_];
  }
  // Puts `count` numbers on, which the caller wrote to End().
  uint32_t* End() { return &stack_[size_]; }
  void Grow(uint32_t count) { size_ += count; }
  void Push(uint32_t buffer) { stack_[size_++] = buffer; }

 private:
  std::unique_ptr<uint32_t[]> stack_;
  uint32_t size_ = 0;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_FREE_BUFFERS_H_
