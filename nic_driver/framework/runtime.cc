#include "nic_driver/framework/runtime.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "nic_driver/framework/socket_confinement.h"
#include "nic_driver/framework/task_status.h"
#include "nic_driver/framework/vfio_device.h"
#include "nic_driver/framework/vfio_user_device.h"

namespace bulkhead::nic_driver {
namespace {

// The size of a session's buffers before the first session says its own; any
// does, since no buffer is brought.
constexpr uint32_t kDefaultBufferBytes = 2048;
// The device's statistics are read at most ten times a second.
constexpr std::chrono::milliseconds kStatisticsDelay{100};
// When the device has no room for more frames, its interrupt wakes us; this is
// for the acknowledgements of the client, whose doorbell is off meanwhile.
constexpr std::chrono::milliseconds kBlockedDelay{1};
// Ethernet header and one VLAN tag around the mtu's payload.
constexpr uint32_t kFrameOverheadBytes = 14 + 4;

// In place of the registers that a Linux interface has not.
class NoRegisters final : public PciDevice {
 public:
  uint32_t Read32(int, uint32_t) override { return ~uint32_t{0}; }
  void Write32(int, uint32_t, uint32_t) override {}
  uint32_t Read(int, uint32_t, int) override { return ~uint32_t{0}; }
  void Write(int, uint32_t, int, uint32_t) override {}
  absl::StatusOr<uint32_t> ReadConfig(uint32_t, int) override {
    return absl::UnimplementedError("a Linux interface has no config space");
  }
  bool gone() const override { return false; }
};

absl::StatusOr<std::unique_ptr<PciDevice>> OpenDevice(DeviceGrant& grant) {
  if (std::holds_alternative<InterfaceGrant>(grant.bus)) {
    return std::make_unique<NoRegisters>();
  }
  if (auto* vfio = std::get_if<VfioGrant>(&grant.bus)) {
    return VfioDevice::Create(std::move(*vfio));
  }
  VfioUserGrant& bus = std::get<VfioUserGrant>(grant.bus);
  if (!bus.negotiated) return VfioUserDevice::Create(std::move(bus.connection));
  return VfioUserDevice::Adopt(std::move(bus.connection),
                               std::move(bus.doorbells));
}

}  // namespace

Runtime::~Runtime() {
  UnwatchDoorbell();
  for (const EventLoop::WatchId watch : watches_) loop_.Unwatch(watch);
  if (poller_ != 0) loop_.RemovePoller(poller_);
  loop_.Cancel(statistics_timer_);
  loop_.Cancel(blocked_timer_);
}

void Runtime::Begin(DeviceGrant grant) {
  if (absl::Status status = Connect(grant); !status.ok()) {
    Fail(std::move(status));
    return;
  }
  RunControl(BringUp());
}

absl::Status Runtime::Connect(DeviceGrant& grant) {
  ASSIGN_OR_RETURN(
      counters_page_,
      Mapping::MapSealed(grant.counters.get(), kPageBytes, Access::kReadWrite));
  counters_ = counters_page_.As<DriverCounters>();
  ASSIGN_OR_RETURN(device_, OpenDevice(grant));
  if (const auto* bus = std::get_if<InterfaceGrant>(&grant.bus)) {
    interface_ = std::make_unique<LinuxInterface>(bus->mac, bus->state);
    RETURN_IF_ERROR(ConfineSockets());
  }
  PciDevice* device = device_.get();
  if (grant.trace_registers) {
    trace_ = std::make_unique<TracingDevice>(*device_);
    device = trace_.get();
  }
  ASSIGN_OR_RETURN(
      platform_,
      PlatformChannel::Create(
          loop_, std::move(grant.platform), std::move(grant.prepared),
          {.request =
               [this](platform::ToDriver message, std::vector<UniqueFd> fds) {
                 requests_.push_back({std::move(message), std::move(fds)});
                 RunNextControl();
               },
           .lost =
               [](absl::Status why) {
                 // Frames go on; a platform service that comes back finds the
                 // old channel, so that this is the end of the system.
                 LogWarning(absl::StrCat("platform channel: ", why.message()));
               }}));
  irqs_ = std::move(grant.irqs);
  config_ = std::move(grant.config);
  granted_sessions_ = std::move(grant.sessions);
  driver_ = std::make_unique<CheckedDriver>(
      factory_(DriverContext{.loop = loop_,
                             .device = *device,
                             .platform = *platform_,
                             .identity = grant.identity,
                             .irq_vectors = static_cast<uint32_t>(irqs_.size()),
                             .interface = interface_.get()}));
  return WatchDescriptors();
}

absl::Status Runtime::WatchDescriptors() {
  for (uint32_t vector = 0; vector < irqs_.size(); ++vector) {
    ASSIGN_OR_RETURN(
        const EventLoop::WatchId watch,
        loop_.Watch(irqs_[vector].get(), EPOLLIN,
                    [this, vector](uint32_t) { HandleIrq(vector); }));
    watches_.push_back(watch);
  }
  // Replies are taken where they are awaited; what comes here is the end.
  if (device_->closed_fd() >= 0) {
    ASSIGN_OR_RETURN(
        const EventLoop::WatchId watch,
        loop_.Watch(device_->closed_fd(), EPOLLIN | EPOLLRDHUP,
                    [this](uint32_t) {
                      Fail(absl::UnavailableError(
                          "the NIC is gone: its bus connection closed"));
                    }));
    watches_.push_back(watch);
  }
  poller_ = loop_.AddPoller([this] { return Poll(); });
  return absl::OkStatus();
}

Task<absl::Status> Runtime::BringUp() {
  CO_RETURN_IF_ERROR(driver_->Probe());
  absl::StatusOr<NicFacts> facts = co_await driver_->Attach();
  if (!facts.ok()) co_return facts.status();
  facts_ = *facts;
  data_path_ = std::make_unique<DataPath>(driver_->queue(0), *counters_);
  attached_ = true;
  CO_RETURN_IF_ERROR(Configure(config_));
  const uint32_t bytes =
      granted_sessions_.empty()
          ? kDefaultBufferBytes
          : granted_sessions_.front().provider.geometry.buffer_bytes;
  if (interface_ != nullptr && !granted_sessions_.empty()) {
    interface_->Offer(std::move(granted_sessions_.front().socket));
  }
  CO_RETURN_IF_ERROR(co_await StartTraffic(bytes));
  for (SessionGrant& session : granted_sessions_) {
    BindSession(std::move(session));
  }
  granted_sessions_.clear();
  // Clients have waited long enough: their frames first, the news afterwards.
  (void)Poll();
  platform_->SayAttached(facts_);
  SayLink();
  platform_->FreeUnusedPrepared();
  events_.started();
  announced_ = true;
  co_return absl::OkStatus();
}

void Runtime::Finish(std::function<void()> done) {
  finish_ = std::move(done);
  RunNextControl();
}

void Runtime::RunControl(Task<absl::Status> task) {
  control_.emplace(std::move(task));
  control_->Start([this](absl::Status status) {
    // On a later turn, since the task's frame is still in use.
    loop_.Post([this, status = std::move(status)] {
      control_.reset();
      ++steps_done_;
      if (!status.ok()) {
        Fail(status);
        return;
      }
      RunNextControl();
    });
  });
}

void Runtime::RunNextControl() {
  if (control_.has_value()) return;
  if (finish_) {
    RunControl(Leave());
    return;
  }
  if (breaking_) {
    RunControl(BreakSession());
    return;
  }
  if (requests_.empty()) return;
  request_ = std::move(requests_.front());
  requests_.pop_front();
  RunControl(Control());
}

Task<absl::Status> Runtime::Control() {
  ControlRequest& request = request_;
  switch (request.message.message_case()) {
    case platform::ToDriver::kOpenSession: {
      const platform::SessionGrant& message =
          request.message.open_session().session();
      absl::StatusOr<SessionGrant> grant =
          ParseSessionGrant(message, std::move(request.fds));
      if (!grant.ok()) {
        platform_->SaySessionBroken(message.session_id(),
                                    grant.status().message());
        co_return absl::OkStatus();
      }
      co_return co_await OpenSession(*grant);
    }
    case platform::ToDriver::kCloseSession:
      co_return co_await CloseSession(
          request.message.close_session().session_id());
    case platform::ToDriver::kConfigure: {
      absl::StatusOr<NicConfig> config =
          ParseNicConfig(request.message.configure().config());
      absl::Status status = config.ok() ? Configure(*config) : config.status();
      // The NIC stays as it was; the platform checked before it asked.
      if (!status.ok()) LogError(status.message());
      co_return absl::OkStatus();
    }
    case platform::ToDriver::kInterfaceState:
      OnInterfaceState(ParseInterfaceState(request.message.interface_state()));
      co_return absl::OkStatus();
    default:
      LogWarning("platform channel: a message that this driver does not know");
      co_return absl::OkStatus();
  }
}

Task<absl::Status> Runtime::OpenSession(SessionGrant& grant) {
  // Also when the buffers' size stays: the device's FIFO may hold frames of the
  // time before, which are none of this client's business.
  if (data_path_->session() == nullptr) {
    CO_RETURN_IF_ERROR(co_await StopTraffic());
    if (interface_ != nullptr) interface_->Offer(std::move(grant.socket));
    CO_RETURN_IF_ERROR(
        co_await StartTraffic(grant.provider.geometry.buffer_bytes));
  }
  BindSession(std::move(grant));
  co_return absl::OkStatus();
}

// Serves the session from now on, or tells why not.
void Runtime::BindSession(SessionGrant grant) {
  const uint64_t id = grant.provider.session_id;
  if (data_path_->session() != nullptr &&
      data_path_->session()->session_id() == id) {
    return;  // A platform service that was restarted offers it once more.
  }
  if (data_path_->session() != nullptr) {
    platform_->SaySessionBroken(
        id,
        "the driver serves one session, and one is open; use nic_router for "
        "more clients");
    return;
  }
  absl::StatusOr<std::unique_ptr<packet_stream::ProviderEnd>> session =
      packet_stream::ProviderEnd::Create(std::move(grant.provider));
  if (!session.ok()) {
    platform_->SaySessionBroken(id, session.status().message());
    return;
  }
  data_path_->Open(*std::move(session), grant.tx_iova, grant.rx_iova);
  doorbell_armed_ = false;
  WatchDoorbell();
}

// The one way in which a session ends: queues off, idle, rings reset (S4).
Task<absl::Status> Runtime::CloseSession(uint64_t session_id) {
  packet_stream::ProviderEnd* session = data_path_->session();
  if (session != nullptr && session->session_id() == session_id) {
    breaking_ = false;
    CO_RETURN_IF_ERROR(co_await StopTraffic());
    platform_->SaySessionClosed(session_id);
    co_return co_await StartTraffic(rx_buffer_bytes_);
  }
  // Closed before, broken before or never opened: no DMA to it either way.
  platform_->SaySessionClosed(session_id);
  co_return absl::OkStatus();
}

// S7: the client lied. Only its session ends.
Task<absl::Status> Runtime::BreakSession() {
  breaking_ = false;
  packet_stream::ProviderEnd* session = data_path_->session();
  if (session == nullptr) co_return absl::OkStatus();
  const uint64_t id = session->session_id();
  const std::string breach = session->breach();
  LogWarning(absl::StrCat("session ", id, ": ", breach));
  CO_RETURN_IF_ERROR(co_await StopTraffic());
  platform_->SaySessionBroken(id, breach);
  co_return co_await StartTraffic(rx_buffer_bytes_);
}

Task<absl::Status> Runtime::StopTraffic() {
  traffic_ = false;
  UnwatchDoorbell();
  absl::StatusOr<StopReport> report = co_await driver_->Stop();
  if (!report.ok()) co_return report.status();
  data_path_->Close(*report);
  co_return absl::OkStatus();
}

Task<absl::Status> Runtime::StartTraffic(uint32_t rx_buffer_bytes) {
  rx_buffer_bytes_ = rx_buffer_bytes;
  absl::StatusOr<LinkStatus> link = co_await driver_->Start(rx_buffer_bytes, 1);
  if (!link.ok()) co_return link.status();
  traffic_ = true;
  irqs_armed_ = true;
  SetLink(*link);
  co_return absl::OkStatus();
}

Task<absl::Status> Runtime::Leave() {
  if (attached_) {
    if (traffic_) CO_RETURN_IF_ERROR(co_await StopTraffic());
    attached_ = false;
    CO_RETURN_IF_ERROR(co_await driver_->Detach());
  }
  finish_();
  co_return absl::OkStatus();
}

void Runtime::OnInterfaceState(const LinuxInterface::State& state) {
  if (interface_ == nullptr) return;
  interface_->set_state(state);
  if (!attached_) return;  // Attach will find it.
  facts_.max_mtu = state.mtu;
  ApplyLimits();
  SetLink(driver_->Link());
}

absl::Status Runtime::Configure(const NicConfig& config) {
  // An interface's MTU is its owner's affair, and may change at any time.
  if (config.mtu > facts_.max_mtu && interface_ == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("configure: an mtu of ", config.mtu,
                     "; this NIC takes at most ", facts_.max_mtu));
  }
  RETURN_IF_ERROR(driver_->Configure(config));
  config_ = config;
  ApplyLimits();
  return absl::OkStatus();
}

bool Runtime::Poll() {
  if (!traffic_ || data_path_->session() == nullptr) return false;
  const bool moved = data_path_->Poll();
  if (device_->gone()) {
    Fail(absl::UnavailableError("the NIC is gone: it does not answer"));
    return false;
  }
  if (driver_->queue(0).contract().breach().has_value()) {
    Fail(absl::InternalError(driver_->queue(0).contract().Text()));
    return false;
  }
  if (data_path_->session()->broken()) {
    if (!breaking_) {
      breaking_ = true;
      loop_.Post([this] { RunNextControl(); });
    }
    return false;
  }
  if (!moved) return !Sleep();
  if (doorbell_armed_) {
    doorbell_armed_ = false;
    data_path_->session()->DisarmDoorbell();
  }
  if (!first_frame_said_ && data_path_->frames_moved() > 0) {
    first_frame_said_ = true;
    platform_->SayFirstFrame(MonotonicNs());
  }
  return true;
}

// Process, arm, re-check. True: a descriptor will wake us.
bool Runtime::Sleep() {
  if (!irqs_armed_) {
    irqs_armed_ = true;
    driver_->queue(0).ArmIrqs();
    return false;  // Looks again.
  }
  if (data_path_->tx_blocked()) {
    if (blocked_timer_ == 0) {
      blocked_timer_ =
          loop_.After(kBlockedDelay, [this] { blocked_timer_ = 0; });
    }
    return true;
  }
  if (!doorbell_armed_) {
    if (!data_path_->session()->ArmDoorbell()) return false;
    doorbell_armed_ = true;
  }
  return true;
}

void Runtime::HandleIrq(uint32_t vector) {
  uint64_t count;
  if (::read(irqs_[vector].get(), &count, sizeof(count)) != sizeof(count)) {
    return;
  }
  Bump(counters_->interrupts);
  // Before Attach is done, an interrupt is one of an earlier generation.
  if (!attached_) return;
  const IrqResult result = driver_->queue(0).HandleIrq(vector);
  irqs_armed_ = false;
  if (result.failure != nullptr) {
    Fail(absl::UnavailableError(result.failure));
    return;
  }
  if (result.statistics) ReadStatisticsLater();
  if (result.link) SetLink(driver_->Link());
  // With a session the poller arms, once there is no more work.
  if (!traffic_ || data_path_->session() == nullptr) {
    irqs_armed_ = true;
    driver_->queue(0).ArmIrqs();
  }
}

void Runtime::HandleDoorbell() {
  Bump(counters_->wakeups);
  doorbell_armed_ = false;
  data_path_->session()->DisarmDoorbell();
}

void Runtime::WatchDoorbell() {
  absl::StatusOr<EventLoop::WatchId> watch =
      loop_.Watch(data_path_->session()->doorbell_fd(), EPOLLIN,
                  [this](uint32_t) { HandleDoorbell(); });
  if (!watch.ok()) {
    Fail(watch.status());
    return;
  }
  doorbell_watch_ = *watch;
  const int wake_fd = driver_->queue(0).wake_fd();
  if (wake_fd < 0) return;
  // What there is to do, the poller finds; edges, so that a socket whose frames
  // have no buffers to go to does not keep the loop awake.
  watch = loop_.Watch(wake_fd, EPOLLIN | EPOLLOUT | EPOLLET, [this](uint32_t) {
    Bump(counters_->interrupts);
    ReadStatisticsLater();
  });
  if (!watch.ok()) {
    Fail(watch.status());
    return;
  }
  wake_watch_ = *watch;
}

void Runtime::UnwatchDoorbell() {
  if (doorbell_watch_ == 0) return;
  loop_.Unwatch(doorbell_watch_);
  doorbell_watch_ = 0;
  doorbell_armed_ = false;
  if (wake_watch_ != 0) loop_.Unwatch(std::exchange(wake_watch_, 0));
}

void Runtime::SetLink(LinkStatus link) {
  if (link == link_) return;
  link_ = link;
  ApplyLimits();
  if (announced_) SayLink();
}

void Runtime::SayLink() {
  LogInfo(link_.up
              ? absl::StrCat("link up, ", link_.speed_mbps, " Mb/s, ",
                             link_.full_duplex ? "full" : "half", " duplex")
              : "link down");
  platform_->SayLink(link_);
}

void Runtime::ApplyLimits() {
  data_path_->SetLimits(
      {.min_frame_bytes = facts_.min_tx_frame_bytes,
       .max_frame_bytes =
           std::min(config_.mtu, facts_.max_mtu) + kFrameOverheadBytes,
       .max_checksum_position = facts_.max_checksum_position,
       .only_tcp_udp_checksums = facts_.only_tcp_udp_checksums,
       .max_segment_header_bytes = facts_.max_segment_header_bytes,
       .max_pieces = facts_.max_tx_pieces,
       .checksum = config_.tx_checksum,
       .link_up = link_.up});
}

void Runtime::ReadStatisticsLater() {
  if (statistics_timer_ != 0) return;
  statistics_timer_ = loop_.After(kStatisticsDelay, [this] {
    statistics_timer_ = 0;
    if (!traffic_) return;
    Bump(counters_->rx_missed_errors, driver_->ReadStatistics().rx_missed);
  });
}

uint64_t Runtime::work_done() const {
  return steps_done_ + (data_path_ ? data_path_->frames_moved() : 0);
}

bool Runtime::work_waiting() const {
  // The kernel keeps what cannot leave until the interface is up again.
  return traffic_ && data_path_->tx_pending() &&
         (interface_ == nullptr || link_.up);
}

void Runtime::Fail(absl::Status status) {
  traffic_ = false;
  if (trace_) {
    LogError("last register accesses, oldest first:");
    LogError(trace_->Text());
  }
  if (driver_ && attached_) driver_->Shutdown();
  events_.failed(std::move(status));
}

}  // namespace bulkhead::nic_driver
