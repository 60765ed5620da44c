// The state of the system in the words of bulkhead.platform.v1.
#ifndef BULKHEAD_PLATFORM_SERVICE_DESCRIBE_H_
#define BULKHEAD_PLATFORM_SERVICE_DESCRIBE_H_

#include <vector>

#include "platform_service/api/platform.pb.h"
#include "platform_service/instances/instance.h"
#include "platform_service/models/sim_port.h"
#include "platform_service/policy/matcher.h"
#include "platform_service/router/router_host.h"
#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::platform {

// `instance`: the one that drives the device, or null.
v1::Device DescribeDevice(const policy::PlanEntry& entry,
                          const Instance* instance);

// `process` and `port` may be null.
v1::Instance DescribeInstance(const Instance& instance,
                              const supervisor::ProcessState* process,
                              const SimPort* port);

// `process`: what the supervisor says of it, may be null.
v1::Router DescribeRouter(const RouterHost& router,
                          const supervisor::ProcessState* process);
v1::RouterTable DescribeTable(const RouterAnswer& answer);
v1::Session DescribeSession(const Session& session);

v1::Process DescribeProcess(const supervisor::ProcessState& process,
                            const char* kind);

// What the simulated NIC counted.
std::vector<v1::Counter> DescribeCounters(const nic_model::PortCounters& port);

// "waiting", "starting", …
const char* PhaseWord(supervisor::ProcessState::Phase phase);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DESCRIBE_H_
