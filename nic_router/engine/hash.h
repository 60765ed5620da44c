// Keyed hashing of small things: seeded, so that a client cannot choose ports
// that all fall into one place, and as check value of what lies in state
// memory. Not a signature: who can write that memory is the router itself.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_HASH_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace bulkhead::nic_router {

// A 128-bit product, folded: every bit of either side reaches every bit.
inline uint64_t MixWords(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

class Hasher {
 public:
  explicit constexpr Hasher(uint64_t seed) : hash_(seed ^ kOdd) {}
  void Add(uint64_t word) { hash_ = MixWords(hash_ ^ word, kOdd2) + kOdd; }
  void AddBytes(const void* bytes, size_t count) {
    const auto* at = static_cast<const uint8_t*>(bytes);
    for (; count >= 8; count -= 8, at += 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      Add(word);
    }
    uint64_t last = 0;
    std::memcpy(&last, at, count);
    Add(last ^ static_cast<uint64_t>(count) << 56);
  }
  uint64_t value() const { return MixWords(hash_, kOdd3); }

 private:
  static constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  static constexpr uint64_t kOdd2 = 0xd6e8feb86659fd93;
  static constexpr uint64_t kOdd3 = 0xa0761d6478bd642f;
  uint64_t hash_;
};

// Of a name; never 0, which means none.
inline uint64_t HashName(std::string_view name) {
  Hasher hasher(0x62756c6b68656164);
  hasher.AddBytes(name.data(), name.size());
  return hasher.value() | 1;
}

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_HASH_H_
