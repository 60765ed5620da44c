// Tells, on standard error, which system call the sandbox refused.
#ifndef BULKHEAD_SUPERVISOR_REFUSED_CALL_H_
#define BULKHEAD_SUPERVISOR_REFUSED_CALL_H_

namespace bulkhead::supervisor {

// From now on a call that the seccomp allow-list does not know writes one line
// that names it, and then ends the process by SIGSYS, as without this.
void ReportRefusedCalls();

// "openat", or nullptr for a call that nobody is expected to try.
const char* SystemCallName(int number);

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_REFUSED_CALL_H_
