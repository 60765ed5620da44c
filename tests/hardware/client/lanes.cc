#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "tests/hardware/client/client.h"

namespace bulkhead::hardware_tests {
namespace {

using packet_stream::Descriptor;
using packet_stream::Lane;
using packet_stream::RxPiece;
using packet_stream::TxBuffer;

constexpr int kWaitMs = 20;
constexpr uint16_t kPort = 9999;

uint32_t Big32(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

// Ethernet, IPv4 without options, UDP, and a number that counts up from 1.
struct Numbered {
  uint32_t source = 0;
  uint32_t number = 0;
};
std::optional<Numbered> Parse(const RxPiece& piece) {
  const uint8_t* const frame = piece.data;
  if (piece.length < 46 || frame[12] != 8 || frame[13] != 0 ||
      frame[14] != 0x45 || frame[23] != 17 ||
      (frame[36] << 8 | frame[37]) != kPort) {
    return std::nullopt;
  }
  return Numbered{Big32(frame + 26), Big32(frame + 42)};
}

// What one lane's thread saw, and did.
struct Seen {
  std::map<uint32_t, uint32_t> last;  // By source.
  uint64_t frames = 0;
  uint64_t out_of_order = 0;
  uint64_t echoed = 0;
};

// Sends a frame back by the lane that it came on: addresses and ports change
// places, so that its sums stay right.
void Echo(Lane& lane, const RxPiece& piece, Seen& seen) {
  TxBuffer buffer;
  if (lane.AllocTx({&buffer, 1}) == 0) return;
  uint8_t* const frame = buffer.data;
  std::memcpy(frame, piece.data, piece.length);
  std::swap_ranges(frame, frame + 6, frame + 6);
  std::swap_ranges(frame + 26, frame + 30, frame + 30);
  std::swap_ranges(frame + 34, frame + 36, frame + 36);
  const Descriptor whole = {.offset = buffer.offset, .length = piece.length};
  lane.SubmitTx({&whole, 1});
  ++seen.echoed;
}

void Watch(Lane& lane, Seen& seen, bool echo) {
  std::array<RxPiece, kBatch> pieces;
  while (!ended) {
    const size_t count = lane.Receive(pieces);
    for (size_t i = 0; i < count; ++i) {
      const std::optional<Numbered> frame = Parse(pieces[i]);
      if (!frame.has_value()) continue;
      uint32_t& last = seen.last[frame->source];
      if (frame->number <= last) ++seen.out_of_order;
      last = frame->number;
      ++seen.frames;
      if (echo) Echo(lane, pieces[i], seen);
    }
    lane.Release({pieces.data(), count});
    lane.Flush();
    if (count == 0) lane.Wait(kWaitMs);
  }
}

}  // namespace

int Lanes(packet_stream::Session& session, bool echo) {
  const uint32_t lanes = session.geometry().lanes;
  std::vector<Seen> seen(lanes);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < lanes; ++i) {
    threads.emplace_back([&lane = session.lane(i), &mine = seen[i], echo] {
      Watch(lane, mine, echo);
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t frames = 0, out_of_order = 0, on_several = 0, used = 0, echoed = 0;
  std::set<uint32_t> sources;
  for (const Seen& lane : seen) {
    frames += lane.frames;
    out_of_order += lane.out_of_order;
    used += lane.frames > 0;
    echoed += lane.echoed;
    for (const auto& [source, last] : lane.last) {
      on_several += !sources.insert(source).second;
    }
  }
  std::printf(
      "{\"lanes\": %u, \"used\": %llu, \"frames\": %llu, \"flows\": %zu, "
      "\"flows_on_several\": %llu, \"out_of_order\": %llu, "
      "\"echoed\": %llu}\n",
      lanes, static_cast<unsigned long long>(used),
      static_cast<unsigned long long>(frames), sources.size(),
      static_cast<unsigned long long>(on_several),
      static_cast<unsigned long long>(out_of_order),
      static_cast<unsigned long long>(echoed));
  return 0;
}

}  // namespace bulkhead::hardware_tests
