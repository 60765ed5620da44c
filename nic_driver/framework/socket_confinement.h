// What a process may still do with the sockets that it was handed.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_SOCKET_CONFINEMENT_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_SOCKET_CONFINEMENT_H_

#include "absl/status/status.h"

namespace bulkhead::nic_driver {

// A packet socket is bound to one interface, and yet sends through any other of
// its network namespace when it is given an address to send to. From here on no
// address can be given and no option set, by any thread of this process or by
// whoever breaks into it: sendto without address is left, and what the
// supervisor's filter allows besides (S3).
//
// A second filter, which the supervisor's does not have: other processes send
// descriptors, and need sendmsg.
absl::Status ConfineSockets();

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_SOCKET_CONFINEMENT_H_
