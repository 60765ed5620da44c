// The far end of a NIC's wire where that is an interface of Linux: a packet
// socket, a frame a packet, and, if it is to be an echo, a thread that sends
// everything back to where it came from, in order.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FAR_END_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FAR_END_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "nic_model/counters.h"

namespace bulkhead::nic_driver::testing {

class FarEnd {
 public:
  // Local experimental ethertype (IEEE 802), of the suite's frames: what Linux
  // itself may say there is none of them.
  static constexpr uint16_t kOwnType = 0x88b5;

  struct Options {
    // The first interface in it.
    std::string network_namespace;
    // Of the frames that it takes; ETH_P_ALL: any.
    uint16_t type = kOwnType;
    bool echo = false;
    // How often an echo that finds the interface's queue full tries, a
    // millisecond apart.
    int tries = 1;
  };

  static absl::StatusOr<std::unique_ptr<FarEnd>> Create(const Options& options);
  ~FarEnd();

  int wire() const { return socket_.get(); }
  // Of the port's counters those that an echo sees: frames sent and received.
  nic_model::PortCounters& port() { return port_; }

 private:
  explicit FarEnd(const Options& options) : options_(options) {}

  absl::Status Open();
  void Echo();
  void SendBack(const uint8_t* frame, size_t bytes);

  const Options options_;
  UniqueFd socket_;
  UniqueFd stop_;
  nic_model::PortCounters port_ = {};
  std::thread echo_;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FAR_END_H_
