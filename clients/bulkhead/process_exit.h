// Waiting for another process to end.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_PROCESS_EXIT_H_
#define BULKHEAD_CLIENTS_BULKHEAD_PROCESS_EXIT_H_

namespace bulkhead::cli {

// Waits until the process of `pidfd` has ended, at most `timeout_ms`; returns
// whether it has. A child of ours is reaped.
bool AwaitExit(int pidfd, int timeout_ms);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_PROCESS_EXIT_H_
