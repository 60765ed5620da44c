// A simulated NIC on the bench: a model in a process of its own, over
// vfio-user.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_MODEL_BENCH_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_MODEL_BENCH_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_driver/conformance/testing/child_process.h"
#include "nic_driver/conformance/testing/device_bench.h"
#include "nic_model/vfio_user/client.h"

namespace bulkhead::nic_driver::testing {

class ModelBench final : public DeviceBench {
 public:
  // Spawns the model and takes hold of the device.
  static absl::StatusOr<std::unique_ptr<DeviceBench>> Create(
      const DeviceOptions& options);
  ~ModelBench() override;

  absl::Status AddToGrant(platform::DeviceGrant* grant,
                          platform::FdList* fds) override;
  absl::Status SetBusMaster(bool on) override;
  absl::Status Reset() override { return owner_->Reset(); }
  absl::Status MapDma(uint64_t iova, uint64_t bytes, int memory_fd,
                      bool writable) override {
    return owner_->MapDma(iova, bytes, memory_fd, 0, writable);
  }
  absl::Status UnmapDma(uint64_t iova, uint64_t bytes) override {
    return owner_->UnmapDma(iova, bytes);
  }
  absl::Status AddToSession(const packet_stream::SessionAreas&,
                            platform::SessionGrant*,
                            platform::FdList*) override {
    return absl::OkStatus();
  }
  absl::Status SetLink(bool up, platform::ToDriver*) override {
    return options_.set_link(*owner_, up);
  }
  int wire() const override { return wire_.get(); }
  const nic_model::PortCounters& port() const override { return *port_; }
  void Unplug() override { model_->Kill(); }
  size_t OpenDescriptors() const override { return model_->OpenDescriptors(); }

 private:
  explicit ModelBench(DeviceOptions options) : options_(std::move(options)) {}

  absl::Status StartModel();
  absl::Status ArmIrqs();
  absl::StatusOr<UniqueFd> ConnectModel(const std::string& name);

  const DeviceOptions options_;
  std::string directory_;
  UniqueFd wire_;
  Mapping port_page_;
  const nic_model::PortCounters* port_ = nullptr;
  std::unique_ptr<ChildProcess> model_;
  std::unique_ptr<vfio_user::Client> owner_;
  std::vector<UniqueFd> irqs_;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_MODEL_BENCH_H_
