// One driver instance: a NIC (S1), the process that drives it, and the session
// that uses it. The process's life is a ProcessLife; it is begun while the
// device is up.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_INSTANCE_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_INSTANCE_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/devices/nic.h"
#include "platform_service/instances/counter_totals.h"
#include "platform_service/instances/device_grant.h"
#include "platform_service/instances/driver_channel.h"
#include "platform_service/instances/progress_check.h"
#include "platform_service/instances/ring_memory.h"
#include "platform_service/instances/traffic_watch.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/pci/device.h"
#include "platform_service/policy/scenario.h"
#include "platform_service/process_life.h"
#include "platform_service/sessions/session.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

struct InstanceSpec {
  std::string name;     // "nic0"
  std::string program;  // Of the driver.
  policy::DriverRule rule;
  pci::PciDeviceInfo device;
};

// What the running generation said of its NIC.
struct NicFacts {
  bool attached = false;
  std::array<uint8_t, 6> mac = {};
  uint32_t max_mtu = 0;  // Of the NIC.
  uint32_t mtu = 0;      // In use.
  uint32_t offloads = 0;
  bool link_up = false;
  uint32_t speed_mbps = 0;
  bool full_duplex = false;
};

// Guarantees:
//   - S4: no ring or session memory of a dead generation is given to anybody
//     before the device's reset was verified, or the device was gone.
//   - S6: the session outlives any number of generations and devices.
//   - A hostile driver reaches nothing but this object's own state, and only
//     through messages that are checked here; what it may not do ends in a
//     Breach with the reason.
// Threading: the loop's thread.
class Instance : private ProcessLife::Owner {
 public:
  using Phase = ProcessLife::Phase;

  // How long a driver may take to answer CloseSession.
  static constexpr int kCloseSeconds = 1;

  static absl::StatusOr<std::unique_ptr<Instance>> Create(EventLoop& loop,
                                                          SupervisorLink& link,
                                                          InstanceSpec spec,
                                                          Nic& nic);
  // From a parked "instance/NAME". What the supervisor says of the process
  // follows by OnState.
  static absl::StatusOr<std::unique_ptr<Instance>> Restore(EventLoop& loop,
                                                           SupervisorLink& link,
                                                           InstanceSpec spec,
                                                           Nic& nic,
                                                           ParkedEntry entry);
  ~Instance();

  // Defines the process; it begins when the device is there.
  void Define();
  // Ends sessions and process; `OnRemoved` follows, after which the object can
  // be destroyed.
  void Remove();
  // Another driver or other process limits: the process is removed and defined
  // afresh, the session stays (S6).
  void Redefine(InstanceSpec spec);
  // Only the NIC's configuration differs: no restart.
  void Reconfigure(const policy::DriverRule& rule);

  void OnDeviceUp(const pci::PciDeviceInfo& device);
  void OnDeviceDown(const std::string& reason);
  // Nic::interface_state() is another one.
  void OnInterfaceChanged();
  // The IOMMU blocked an access of the device: its driver gave it an address
  // that it has not (S3).
  void OnDmaFault(const std::string& text);
  // The device told the bus of an error.
  void OnBusError(const std::string& text) { Record("aer", text); }
  void OnState(const supervisor::ProcessState& state) { life_.OnState(state); }
  void OnDied(const supervisor::FromSupervisor::Died& died) {
    life_.OnDied(died);
  }
  void OnRefused(const std::string& reason) { life_.OnRefused(reason); }
  // An operator asks again for one that could not even be defined. False: it
  // is defined, the supervisor restarts it.
  bool DefineAgain();
  // True: the process was removed for good.
  bool OnRemoved();
  bool redefining() const { return redefining_; }

  // Takes the session in; it is granted to the driver as soon as there is one.
  // Requires: !busy().
  absl::Status OpenSession(std::unique_ptr<Session> session);
  // One direct client for each instance.
  bool busy() const { return session_ != nullptr; }
  const Session* session() const { return session_.get(); }
  // The most lanes of a session: as many as there are queues, as the last
  // generation said; one, until any has.
  uint32_t lanes() const { return std::min(queues_, spec_.rule.limits.queues); }
  // A session that was parked; before OnState.
  void AdoptSession(std::unique_ptr<Session> session);
  // The client has vanished, or an operator wants it (`reason` goes to the
  // client).
  void CloseSession(const std::string& reason);

  const InstanceSpec& spec() const { return spec_; }
  Phase phase() const { return life_.phase(); }
  const NicFacts& facts() const { return facts_; }
  const CounterTotals& counters() const { return counters_; }
  // Why it does not run; empty when it does.
  const std::string& reason() const { return life_.reason(); }
  void set_reason(const std::string& reason) { life_.set_reason(reason); }
  // How frames get to the NIC and from it, for people; may be empty.
  std::string mode() const { return nic_.Mode(); }

 private:
  Instance(EventLoop& loop, SupervisorLink& link, InstanceSpec spec, Nic& nic,
           CounterTotals counters);

  supervisor::ProcessSpec MakeProcessSpec() const;
  void Record(absl::string_view kind, absl::string_view text) {
    life_.Record(kind, text);
  }
  void Breach(const std::string& reason) { life_.Breach(reason); }
  void HearClientOf(Session& session);

  // A device that came up: interrupts armed, session mapped.
  absl::Status SetUpDevice(DeviceOwner& device);
  absl::Status MakeIrqs(DeviceOwner& device);

  // ProcessLife::Owner:
  bool IsReady() const override { return device_ready_; }
  void BeginGeneration() override;
  void DropChannel() override;
  void EndGeneration() override;
  void Recover() override;
  void ShowParked() override;

  void RecoverSession();
  absl::Status Begin(DeviceOwner& device);
  absl::Status MakeNext();
  void TellConfig();
  void PrepareNext();
  void UnmapOldRings();

  void HandleMessage(const FromDriver& message);
  void HandleAllocDma(const FromDriver::AllocDma& request);
  void HandleFreeDma(const FromDriver::FreeDma& request);
  void HandleEnableDma(const FromDriver::EnableDma& request);
  void HandleAttached(const FromDriver::Attached& attached);
  void HandleLink(const FromDriver::Link& link);
  void HandleSessionBroken(const FromDriver::SessionBroken& broken);
  void HandleSessionClosed(uint64_t session_id);
  void HandleFirstFrame(const FromDriver::FirstFrame& frame);
  void Refuse(uint32_t request, const absl::Status& why);
  // An error that is the device's fault takes the device out; true then.
  bool FailDevice(const absl::Status& status);

  // `again`: a driver that has it is to take no notice.
  void OfferSession(bool again = false);
  // The device was not ready for it: asks again, as Begin or OfferSession does.
  void OfferLater();
  void ShowStatus();
  // The session may have work for the driver: see progress_check.h.
  void WatchProgress();
  void StopProgress();
  void CheckProgress();
  void LookLater(std::chrono::milliseconds interval);
  void RestartProgress();
  bool StillQuiet() const;
  bool Listen();
  // Keeps the session until the driver, which has it, has stopped its DMA.
  void AskToClose(std::unique_ptr<Session> session);
  void AdoptClosed(std::unique_ptr<Session> session);
  // Frees the closing sessions of a generation that is dead.
  void FreeClosing();
  // Frees a session that no driver has.
  void FreeSession(std::unique_ptr<Session> session);
  void ParkLater();
  void Park();

  EventLoop& loop_;
  SupervisorLink& link_;
  InstanceSpec spec_;
  Nic& nic_;

  ProcessLife life_{loop_, link_, spec_.name, *this};
  // The one that an earlier platform service began: it answers what that one
  // asked, too.
  uint32_t adopted_generation_ = 0;
  int stray_answers_ = 0;
  bool redefining_ = false;
  uint64_t begin_ns_ = 0;
  uint64_t dma_on_ns_ = 0;  // When this generation got it; 0: not yet.
  policy::NicConfigSpec told_config_;  // What this generation was told last.

  NicFacts facts_;
  uint32_t queues_ = 1;
  CounterTotals counters_;
  RingMemory rings_;
  std::vector<UniqueFd> irqs_;
  bool device_ready_ = false;  // SetUpDevice was done for the present device.
  std::unique_ptr<DriverChannel> channel_;
  // Made ahead for the next generation.
  struct Next {
    std::unique_ptr<DriverBus> bus;
    std::unique_ptr<DriverChannel> channel;
    UniqueFd driver_end;  // Of `channel`.
  };
  Next next_;

  std::unique_ptr<Session> session_;
  bool session_offered_ = false;   // This generation has it.
  bool first_frame_seen_ = false;  // Of this generation.
  // Sessions whose DMA the driver has still to stop.
  struct Closing {
    std::unique_ptr<Session> session;
    EventLoop::TimerId deadline = 0;
  };
  std::vector<Closing> closing_;
  std::array<ProgressCheck, packet_stream::kMaxLanes> progress_;  // Of lanes.
  TrafficWatch traffic_watch_{loop_, [this] { WatchProgress(); }};
  EventLoop::TimerId progress_timer_ = 0;

  EventLoop::TimerId offer_timer_ = 0;
  EventLoop::TimerId prepare_timer_ = 0;
  EventLoop::TimerId park_timer_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_INSTANCE_H_
