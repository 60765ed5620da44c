#include "nic_driver/framework/lane_server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_driver {
namespace {

// When the device has no room for more frames, its interrupt wakes us; this is
// for the acknowledgements of the client, whose doorbell is off meanwhile.
constexpr std::chrono::milliseconds kBlockedDelay{1};

}  // namespace

LaneServer::LaneServer(EventLoop& loop, CheckedQueue& queue, PciDevice& device,
                       DriverCounters& counters, LaneNews news)
    : loop_(loop),
      queue_(queue),
      device_(device),
      counters_(counters),
      news_(std::move(news)),
      data_path_(queue, counters) {
  poller_ = loop_.AddPoller([this] { return Poll(); });
}

LaneServer::~LaneServer() {
  Unwatch();
  for (const EventLoop::WatchId watch : vector_watches_) loop_.Unwatch(watch);
  loop_.RemovePoller(poller_);
  loop_.Cancel(blocked_timer_);
}

absl::Status LaneServer::ServeVector(uint32_t vector, int event) {
  // One that is there already is of an earlier generation.
  uint64_t earlier;
  [[maybe_unused]] const ssize_t drained =
      ::read(event, &earlier, sizeof(earlier));
  ASSIGN_OR_RETURN(const EventLoop::WatchId watch,
                   loop_.Watch(event, EPOLLIN, [this, vector, event](uint32_t) {
                     HandleIrq(vector, event);
                   }));
  vector_watches_.push_back(watch);
  return absl::OkStatus();
}

void LaneServer::Start() {
  traffic_ = true;
  irqs_armed_ = true;
}

void LaneServer::Stop() {
  traffic_ = false;
  Unwatch();
}

void LaneServer::Close(const StopReport& report) { data_path_.Close(report); }

absl::Status LaneServer::Open(std::unique_ptr<packet_stream::ProviderEnd> lane,
                              uint64_t tx_iova, uint64_t rx_iova) {
  data_path_.Open(std::move(lane), tx_iova, rx_iova);
  doorbell_armed_ = false;
  broken_said_ = false;
  ASSIGN_OR_RETURN(doorbell_watch_,
                   loop_.Watch(data_path_.session()->doorbell_fd(), EPOLLIN,
                               [this](uint32_t) { HandleDoorbell(); }));
  // What there is to do, the poller finds; edges, so that a socket whose frames
  // have no buffers to go to does not keep the loop awake.
  for (const int wake_fd : queue_.wake_fds()) {
    ASSIGN_OR_RETURN(
        const EventLoop::WatchId watch,
        loop_.Watch(wake_fd, EPOLLIN | EPOLLOUT | EPOLLET, [this](uint32_t) {
          Bump(counters_.interrupts);
          news_.statistics();
        }));
    wake_watches_.push_back(watch);
  }
  return absl::OkStatus();
}

void LaneServer::Unwatch() {
  if (doorbell_watch_ != 0) loop_.Unwatch(std::exchange(doorbell_watch_, 0));
  for (const EventLoop::WatchId watch : wake_watches_) loop_.Unwatch(watch);
  wake_watches_.clear();
  doorbell_armed_ = false;
}

bool LaneServer::Poll() {
  if (!traffic_ || data_path_.session() == nullptr) return false;
  const bool moved = data_path_.Poll();
  if (device_.gone()) {
    Fail(absl::UnavailableError("the NIC is gone: it does not answer"));
    return false;
  }
  if (queue_.contract().breach().has_value()) {
    Fail(absl::InternalError(queue_.contract().Text()));
    return false;
  }
  if (data_path_.session()->broken()) {
    if (!std::exchange(broken_said_, true)) news_.broken();
    return false;
  }
  if (!moved) return !Sleep();
  if (doorbell_armed_) {
    doorbell_armed_ = false;
    data_path_.session()->DisarmDoorbell();
  }
  if (!first_frame_said_ && data_path_.frames_moved() > 0) {
    first_frame_said_ = true;
    news_.first_frame();
  }
  return true;
}

// Process, arm, re-check. True: a descriptor will wake us.
bool LaneServer::Sleep() {
  if (!irqs_armed_) {
    irqs_armed_ = true;
    queue_.ArmIrqs();
    return false;  // Looks again.
  }
  if (data_path_.tx_blocked()) {
    if (blocked_timer_ == 0) {
      blocked_timer_ =
          loop_.After(kBlockedDelay, [this] { blocked_timer_ = 0; });
    }
    return true;
  }
  if (!doorbell_armed_) {
    if (!data_path_.session()->ArmDoorbell()) return false;
    doorbell_armed_ = true;
  }
  return true;
}

void LaneServer::HandleIrq(uint32_t vector, int event) {
  uint64_t count;
  if (::read(event, &count, sizeof(count)) != sizeof(count)) return;
  Bump(counters_.interrupts);
  const IrqResult result = queue_.HandleIrq(vector);
  irqs_armed_ = false;
  if (result.failure != nullptr) {
    Fail(absl::UnavailableError(result.failure));
    return;
  }
  if (result.statistics) news_.statistics();
  if (result.link) news_.link();
  // With a session the poller arms, once there is no more work.
  if (!traffic_ || data_path_.session() == nullptr) {
    irqs_armed_ = true;
    queue_.ArmIrqs();
  }
}

void LaneServer::HandleDoorbell() {
  Bump(counters_.wakeups);
  doorbell_armed_ = false;
  data_path_.session()->DisarmDoorbell();
}

void LaneServer::Fail(absl::Status status) {
  traffic_ = false;
  news_.failed(std::move(status));
}

}  // namespace bulkhead::nic_driver
