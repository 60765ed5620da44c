// This program as a capture plug-in of Wireshark and tshark (extcap): a link to
// it in their extcap folder makes every instance one of their interfaces.
//
// Wireshark asks with options of its own (doc/extcap.4); they are told apart
// from an operator's by their names.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_EXTCAP_H_
#define BULKHEAD_CLIENTS_BULKHEAD_EXTCAP_H_

namespace bulkhead::cli {

// Whether Wireshark asks.
bool IsExtcapCall(int argc, const char* const* argv);

// Answers. Returns the exit status.
int RunExtcap(int argc, const char* const* argv);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_EXTCAP_H_
