// The command line of nic_traffic.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_OPTIONS_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_OPTIONS_H_

#include <optional>
#include <string>

#include "clients/nic_traffic/traffic_run.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_traffic {

struct Options {
  packet_stream::OpenOptions open;
  TrafficOptions traffic;
  bool json = false;
  bool expect_lossless = false;
  int progress_fd = -1;
};

// Parses argv. Without a value the program is to end with `exit_code` (0 after
// --help, 2 for bad usage); what the user has to read was printed.
std::optional<Options> ParseOptions(int argc, const char* const* argv,
                                    int& exit_code);

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_OPTIONS_H_
