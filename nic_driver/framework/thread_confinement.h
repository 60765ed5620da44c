// A process that has all the threads it will ever need.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_THREAD_CONFINEMENT_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_THREAD_CONFINEMENT_H_

#include "absl/status/status.h"

namespace bulkhead::nic_driver {

// The supervisor's filter lets a driver of several queues start threads, since
// it cannot count them. From here on none of the threads that there are starts
// another, nor does whoever breaks into one of them (S5: threads without end
// would starve the machine). Call it before anybody is listened to whose words
// could break in: devices and clients.
absl::Status ForbidThreads();

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_THREAD_CONFINEMENT_H_
