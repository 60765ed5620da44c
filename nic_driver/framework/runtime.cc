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
#include "nic_driver/framework/thread_confinement.h"
#include "nic_driver/framework/vfio_device.h"
#include "nic_driver/framework/vfio_user_device.h"

namespace bulkhead::nic_driver {
namespace {

// The size of a session's buffers before the first session says its own; any
// does, since no buffer is brought.
constexpr uint32_t kDefaultBufferBytes = 2048;
// The device's statistics are read at most ten times a second, and so seldom
// when nothing asks for it that 64 idle NICs cost nothing to speak of.
constexpr std::chrono::milliseconds kStatisticsDelay{100};
constexpr std::chrono::seconds kStatisticsInterval{5};
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
  // Held for good: they end with their objects, after the servers.
  HoldQueues();
  for (const EventLoop::WatchId watch : watches_) loop_.Unwatch(watch);
  loop_.Cancel(statistics_timer_);
  queues_.clear();
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
  if (grant.queues > 1) RETURN_IF_ERROR(MakeThreads(grant.queues));
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
                             .queues = grant.queues,
                             .interface = interface_.get()}));
  return WatchDevice();
}

// Before any device or client is listened to.
absl::Status Runtime::MakeThreads(uint32_t queues) {
  ASSIGN_OR_RETURN(calls_, CallQueue::Create(loop_));
  while (threads_.size() + 1 < queues) {
    ASSIGN_OR_RETURN(std::unique_ptr<QueueThread> thread,
                     QueueThread::Create());
    threads_.push_back(std::move(thread));
  }
  return ForbidThreads();
}

absl::Status Runtime::WatchDevice() {
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
  return absl::OkStatus();
}

Task<absl::Status> Runtime::BringUp() {
  CO_RETURN_IF_ERROR(driver_->Probe());
  absl::StatusOr<NicFacts> facts = co_await driver_->Attach();
  if (!facts.ok()) co_return facts.status();
  facts_ = *facts;
  HoldQueues();
  CO_RETURN_IF_ERROR(ServeQueues());
  attached_ = true;
  CO_RETURN_IF_ERROR(Configure(config_));
  // Of a NIC that had more queues before: the platform service closes it, once
  // it has heard how many there are.
  std::erase_if(granted_sessions_, [this](const SessionGrant& session) {
    return session.provider.geometry.lanes > facts_.queues;
  });
  const uint32_t bytes =
      granted_sessions_.empty()
          ? kDefaultBufferBytes
          : granted_sessions_.front().provider.geometry.buffer_bytes;
  if (interface_ != nullptr && !granted_sessions_.empty()) {
    interface_->Offer(std::move(granted_sessions_.front().sockets));
  }
  CO_RETURN_IF_ERROR(co_await StartTraffic(
      bytes, granted_sessions_.empty()
                 ? 1
                 : granted_sessions_.front().provider.geometry.lanes));
  if (!granted_sessions_.empty()) {
    for (SessionGrant& session : granted_sessions_) {
      BindSession(std::move(session));
    }
    granted_sessions_.clear();
    CO_RETURN_IF_ERROR(co_await LetGoOfRefused());
  }
  ReleaseQueues();
  // Clients have waited long enough: their frames first, the news afterwards.
  (void)queues_[0].server->Poll();
  platform_->SayAttached(facts_);
  SayLink();
  platform_->FreeUnusedPrepared();
  events_.started();
  announced_ = true;
  co_return absl::OkStatus();
}

absl::Status Runtime::ServeQueues() {
  facts_.queues = std::clamp<uint32_t>(
      facts_.queues, 1, static_cast<uint32_t>(threads_.size()) + 1);
  // The NIC may have fewer than there could have been.
  threads_.resize(facts_.queues - 1);
  for (uint32_t i = 0; i < facts_.queues; ++i) RETURN_IF_ERROR(ServeQueue(i));
  for (uint32_t vector = 0; vector < irqs_.size(); ++vector) {
    const uint32_t queue = driver_->QueueOf(vector);
    if (queue < queues_.size()) {
      RETURN_IF_ERROR(
          queues_[queue].server->ServeVector(vector, irqs_[vector].get()));
    } else {
      RETURN_IF_ERROR(WatchControlVector(vector));
    }
  }
  return absl::OkStatus();
}

absl::Status Runtime::ServeQueue(uint32_t index) {
  QueueSlot slot;
  if (index > 0) slot.thread = threads_[index - 1].get();
  auto& counters = *counters_page_.As<DriverCounters>(
      std::min<size_t>(index, kMaxCounterBlocks - 1) * kCounterBlockBytes);
  slot.server = std::make_unique<LaneServer>(
      slot.thread == nullptr ? loop_ : slot.thread->loop(),
      driver_->queue(index), *device_, counters, NewsOf(slot.thread));
  queues_.push_back(std::move(slot));
  return absl::OkStatus();
}

// What a queue's thread has to say is said on ours.
LaneNews Runtime::NewsOf(QueueThread* thread) {
  const auto here = [this, thread](std::function<void()> act) {
    if (thread == nullptr) return act;
    return std::function<void()>(
        [this, act = std::move(act)] { calls_->Post(act); });
  };
  return {.broken = here([this] { NoteBroken(); }),
          .failed =
              [this, thread](absl::Status status) {
                if (thread == nullptr) return Fail(std::move(status));
                calls_->Post([this, status] { Fail(status); });
              },
          .first_frame = here([this] { NoteFirstFrame(); }),
          .link = here([this] { SetLink(driver_->Link()); }),
          .statistics =
              [this, later = here([this] { ReadStatisticsSoon(); })] {
                if (!statistics_wanted_.exchange(true)) later();
              }};
}

absl::Status Runtime::WatchControlVector(uint32_t vector) {
  // As in LaneServer::ServeVector.
  uint64_t earlier;
  [[maybe_unused]] const ssize_t drained =
      ::read(irqs_[vector].get(), &earlier, sizeof(earlier));
  ASSIGN_OR_RETURN(
      const EventLoop::WatchId watch,
      loop_.Watch(irqs_[vector].get(), EPOLLIN,
                  [this, vector](uint32_t) { HandleControlIrq(vector); }));
  watches_.push_back(watch);
  return absl::OkStatus();
}

void Runtime::HoldQueues() {
  if (holds_++ > 0) return;
  for (const auto& thread : threads_) thread->Hold();
}

void Runtime::ReleaseQueues() {
  if (--holds_ > 0) return;
  for (const auto& thread : threads_) thread->Release();
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
  HoldQueues();
  // Also when the buffers' size stays: the device's FIFO may hold frames of the
  // time before, which are none of this client's business.
  if (session() == nullptr) {
    CO_RETURN_IF_ERROR(co_await StopTraffic());
    if (interface_ != nullptr) interface_->Offer(std::move(grant.sockets));
    CO_RETURN_IF_ERROR(co_await StartTraffic(
        grant.provider.geometry.buffer_bytes, grant.provider.geometry.lanes));
  }
  BindSession(std::move(grant));
  CO_RETURN_IF_ERROR(co_await LetGoOfRefused());
  ReleaseQueues();
  co_return absl::OkStatus();
}

// The sockets of a session that was not bound would keep the interface's queues
// from the next one's.
Task<absl::Status> Runtime::LetGoOfRefused() {
  if (interface_ == nullptr || session() != nullptr) co_return absl::OkStatus();
  CO_RETURN_IF_ERROR(co_await StopTraffic());
  co_return co_await StartTraffic(rx_buffer_bytes_, 1);
}

const packet_stream::ProviderEnd* Runtime::session() const {
  return queues_[0].server->lane();
}

// Serves the session from now on, or tells why not. The queues are held.
void Runtime::BindSession(SessionGrant grant) {
  const uint64_t id = grant.provider.session_id;
  if (session() != nullptr && session()->session_id() == id) {
    return;  // A platform service that was restarted offers it once more.
  }
  if (session() != nullptr) {
    platform_->SaySessionBroken(
        id,
        "the driver serves one session, and one is open; use nic_router for "
        "more clients");
    return;
  }
  const packet_stream::SessionGeometry geometry = grant.provider.geometry;
  if (geometry.lanes > lanes_) {
    platform_->SaySessionBroken(
        id, absl::StrCat("it has ", geometry.lanes, " lanes, and the NIC ",
                         facts_.queues, " queues; open it again"));
    return;
  }
  auto lanes =
      packet_stream::ProviderEnd::CreateLanes(std::move(grant.provider));
  if (!lanes.ok()) {
    platform_->SaySessionBroken(id, lanes.status().message());
    return;
  }
  for (uint32_t i = 0; i < geometry.lanes; ++i) {
    const absl::Status opened = queues_[i].server->Open(
        std::move((*lanes)[i]), grant.tx_iova + i * geometry.LaneTxDataBytes(),
        grant.rx_iova + i * geometry.LaneRxDataBytes());
    if (!opened.ok()) return Fail(opened);
  }
}

// The one way in which a session ends: queues off, idle, rings reset (S4).
Task<absl::Status> Runtime::CloseSession(uint64_t session_id) {
  if (session() != nullptr && session()->session_id() == session_id) {
    breaking_ = false;
    HoldQueues();
    CO_RETURN_IF_ERROR(co_await StopTraffic());
    platform_->SaySessionClosed(session_id);
    CO_RETURN_IF_ERROR(co_await StartTraffic(rx_buffer_bytes_, 1));
    ReleaseQueues();
    co_return absl::OkStatus();
  }
  // Closed before, broken before or never opened: no DMA to it either way.
  platform_->SaySessionClosed(session_id);
  co_return absl::OkStatus();
}

// S7: the client lied, in one lane or several. Only its session ends.
Task<absl::Status> Runtime::BreakSession() {
  breaking_ = false;
  if (session() == nullptr) co_return absl::OkStatus();
  HoldQueues();
  const uint64_t id = session()->session_id();
  std::string breach;
  for (const QueueSlot& queue : queues_) {
    const packet_stream::ProviderEnd* const lane = queue.server->lane();
    if (lane != nullptr && lane->broken() && breach.empty()) {
      breach = lane->breach();
    }
  }
  // The session that it was about has ended since.
  if (breach.empty()) {
    ReleaseQueues();
    co_return absl::OkStatus();
  }
  LogWarning(absl::StrCat("session ", id, ": ", breach));
  CO_RETURN_IF_ERROR(co_await StopTraffic());
  platform_->SaySessionBroken(id, breach);
  CO_RETURN_IF_ERROR(co_await StartTraffic(rx_buffer_bytes_, 1));
  ReleaseQueues();
  co_return absl::OkStatus();
}

// The queues are held from here until traffic has been started again, or for
// good: a failure ends the process.
Task<absl::Status> Runtime::StopTraffic() {
  traffic_ = false;
  for (const QueueSlot& queue : queues_) queue.server->Stop();
  absl::StatusOr<StopReport> report = co_await driver_->Stop();
  if (!report.ok()) co_return report.status();
  // The report is of all queues together.
  for (const QueueSlot& queue : queues_) {
    queue.server->Close(std::exchange(*report, {}));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Runtime::StartTraffic(uint32_t rx_buffer_bytes,
                                         uint32_t lanes) {
  rx_buffer_bytes_ = rx_buffer_bytes;
  lanes_ = std::min(lanes, facts_.queues);
  absl::StatusOr<LinkStatus> link =
      co_await driver_->Start(rx_buffer_bytes, lanes_);
  if (!link.ok()) co_return link.status();
  traffic_ = true;
  for (const QueueSlot& queue : queues_) queue.server->Start();
  if (statistics_timer_ == 0) {
    statistics_timer_ =
        loop_.After(kStatisticsInterval, [this] { ReadStatistics(); });
  }
  SetLink(*link);
  co_return absl::OkStatus();
}

Task<absl::Status> Runtime::Leave() {
  if (attached_) {
    HoldQueues();
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
  HoldQueues();
  const absl::Status configured = driver_->Configure(config);
  ReleaseQueues();
  RETURN_IF_ERROR(configured);
  config_ = config;
  ApplyLimits();
  return absl::OkStatus();
}

void Runtime::NoteBroken() {
  if (std::exchange(breaking_, true)) return;
  loop_.Post([this] { RunNextControl(); });
}

void Runtime::NoteFirstFrame() {
  if (std::exchange(first_frame_said_, true)) return;
  platform_->SayFirstFrame(MonotonicNs());
}

void Runtime::HandleControlIrq(uint32_t vector) {
  uint64_t count;
  if (::read(irqs_[vector].get(), &count, sizeof(count)) != sizeof(count)) {
    return;
  }
  Bump(counters_->interrupts);
  const IrqResult result = driver_->HandleIrq(vector);
  if (result.failure != nullptr) {
    Fail(absl::UnavailableError(result.failure));
    return;
  }
  if (result.statistics) ReadStatisticsSoon();
  if (result.link) SetLink(driver_->Link());
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
  const TxLimits limits = {
      .min_frame_bytes = facts_.min_tx_frame_bytes,
      .max_frame_bytes =
          std::min(config_.mtu, facts_.max_mtu) + kFrameOverheadBytes,
      .max_checksum_position = facts_.max_checksum_position,
      .only_tcp_udp_checksums = facts_.only_tcp_udp_checksums,
      .max_segment_header_bytes = facts_.max_segment_header_bytes,
      .max_pieces = facts_.max_tx_pieces,
      .checksum = config_.tx_checksum,
      .link_up = link_.up};
  HoldQueues();
  for (const QueueSlot& queue : queues_) queue.server->SetLimits(limits);
  ReleaseQueues();
}

void Runtime::ReadStatisticsSoon() {
  if (std::exchange(statistics_soon_, true)) return;
  loop_.Cancel(statistics_timer_);
  statistics_timer_ =
      loop_.After(kStatisticsDelay, [this] { ReadStatistics(); });
}

void Runtime::ReadStatistics() {
  // Before they are read: what comes is new.
  statistics_wanted_ = statistics_soon_ = false;
  if (traffic_) CountStatistics(driver_->ReadStatistics(), *counters_);
  statistics_timer_ =
      loop_.After(kStatisticsInterval, [this] { ReadStatistics(); });
}

Runtime::Progress Runtime::TakeProgress() {
  bool waiting = false, stuck = false;
  uint64_t moved = 0;
  for (QueueSlot& queue : queues_) {
    const uint64_t frames = queue.server->frames_moved();
    // The kernel keeps what cannot leave until the interface is up again.
    const bool waits = traffic_ && queue.server->tx_pending() &&
                       (interface_ == nullptr || link_.up);
    const bool hangs = queue.thread != nullptr && !queue.thread->IsAlive();
    waiting |= waits || hangs;
    // A frame that has only just come is none that does not move.
    stuck |= hangs || (waits && queue.waited && frames == queue.frames_seen);
    queue.waited = waits;
    queue.frames_seen = frames;
    moved += frames;
  }
  // The supervisor looks for a change.
  if (!stuck) work_done_ = moved + steps_done_;
  return {work_done_, waiting};
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
