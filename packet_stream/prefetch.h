// Asking the cache for a line before it is needed, so that many lines travel
// from the other core at the same time.
#ifndef BULKHEAD_PACKET_STREAM_PREFETCH_H_
#define BULKHEAD_PACKET_STREAM_PREFETCH_H_

namespace bulkhead::packet_stream {

inline void PrefetchForRead(const void* line) { __builtin_prefetch(line); }

// Takes the line away from the other core at once; __builtin_prefetch for
// writing would only fetch it for reading on plain x86-64.
inline void PrefetchForWrite(void* line) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_PREFETCH_H_
