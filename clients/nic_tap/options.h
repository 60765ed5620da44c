// The command line of nic_tap.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_OPTIONS_H_
#define BULKHEAD_CLIENTS_NIC_TAP_OPTIONS_H_

#include <optional>
#include <string>

#include "packet_stream/client.h"

namespace bulkhead::nic_tap {

struct Options {
  packet_stream::OpenOptions open;
  std::string tap;    // Empty was given: the instance's name.
  std::string netns;  // Empty: the caller's.
  bool up = false;
  bool json = false;
};

// Parses argv. Without a value the program is to end with `exit_code` (0 after
// --help, 2 for bad usage); what the user has to read was printed.
std::optional<Options> ParseOptions(int argc, const char* const* argv,
                                    int& exit_code);

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_OPTIONS_H_
