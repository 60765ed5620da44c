#include "nic_driver/conformance/testing/fake_platform.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::nic_driver::testing {
absl::StatusOr<std::unique_ptr<FakePlatform>> FakePlatform::Create(
    FakePlatformOptions options) {
  std::unique_ptr<FakePlatform> fake(new FakePlatform(std::move(options)));
  ASSIGN_OR_RETURN(fake->device_, fake->options_.make_device(fake->options_));
  ASSIGN_OR_RETURN(fake->counters_memory_,
                   CreateSealedMemory("counters", kPageBytes));
  ASSIGN_OR_RETURN(fake->counters_page_,
                   Mapping::MapSealed(fake->counters_memory_.get(), kPageBytes,
                                      Access::kReadOnly));
  fake->counters_ = fake->counters_page_.As<const DriverCounters>();
  return fake;
}

absl::StatusOr<uint64_t> FakePlatform::AllocArea(uint64_t bytes) {
  const uint64_t iova = next_iova_;
  next_iova_ += RoundUpToPage(bytes) + kPageBytes;
  ASSIGN_OR_RETURN(UniqueFd memory, CreateSealedMemory("rings", bytes));
  RETURN_IF_ERROR(device_->MapDma(iova, bytes, memory.get(), true));
  dma_areas_[iova] = {bytes, std::move(memory)};
  return iova;
}

absl::Status FakePlatform::FreeArea(uint64_t iova) {
  const auto area = dma_areas_.find(iova);
  if (area == dma_areas_.end()) {
    return absl::InvalidArgumentError("the driver freed what it does not have");
  }
  RETURN_IF_ERROR(device_->UnmapDma(iova, area->second.bytes));
  dma_areas_.erase(area);
  return absl::OkStatus();
}

absl::Status FakePlatform::SpawnDriver() {
  ASSIGN_OR_RETURN(driver_, ChildProcess::Spawn(options_.driver_program));
  return absl::OkStatus();
}

absl::Status FakePlatform::AddSession(const packet_stream::SessionAreas& areas,
                                      uint64_t session_id,
                                      platform::SessionGrant* message,
                                      platform::FdList* fds) {
  ASSIGN_OR_RETURN(packet_stream::ProviderGrant grant,
                   areas.MakeProviderGrant(session_id, epoch_));
  const packet_stream::SessionGeometry& geometry = areas.geometry();
  message->set_session_id(session_id);
  message->set_epoch(epoch_);
  message->set_tx_buffers(geometry.tx_buffers);
  message->set_rx_buffers(geometry.rx_buffers);
  message->set_buffer_bytes(geometry.buffer_bytes);
  message->set_tx_iova(tx_iova_);
  message->set_rx_iova(rx_iova_);
  message->set_client_control_fd(fds->Own(std::move(grant.client_control)));
  message->set_provider_control_fd(fds->Own(std::move(grant.provider_control)));
  for (packet_stream::LaneBells& lane : grant.bells) {
    message->add_tx_doorbell_fd(fds->Own(std::move(lane.tx_doorbell)));
    message->add_rx_doorbell_fd(fds->Own(std::move(lane.rx_doorbell)));
  }
  return absl::OkStatus();
}

absl::Status FakePlatform::SendGrant() {
  news_ = {};
  platform::DeviceGrant grant;
  *grant.mutable_config() = options_.config;
  grant.set_queues(options_.queues);
  ASSIGN_OR_RETURN(auto ends, SeqpacketChannel::CreatePair());
  channel_ = std::move(ends.first);
  platform::FdList fds;
  grant.set_platform_fd(fds.Add(ends.second.fd()));
  grant.set_counters_fd(fds.Add(counters_memory_));
  RETURN_IF_ERROR(device_->AddToGrant(&grant, &fds));
  for (const uint64_t bytes : wanted_areas_) {
    ASSIGN_OR_RETURN(const uint64_t iova, AllocArea(bytes));
    platform::DmaArea* area = grant.add_prepared();
    area->set_iova(iova);
    area->set_bytes(bytes);
    area->set_memory_fd(fds.Add(dma_areas_[iova].memory));
  }
  if (areas_) {
    platform::SessionGrant* session = grant.add_session();
    RETURN_IF_ERROR(AddSession(*areas_, session_id_, session, &fds));
    RETURN_IF_ERROR(device_->AddToSession(*areas_, session, &fds));
  }
  granted_ns_ = MonotonicNs();
  return driver_->Start("nic0", ++generation_, grant.SerializeAsString(),
                        fds.fds());
}

absl::Status FakePlatform::BeginDriver() {
  RETURN_IF_ERROR(SendGrant());
  RETURN_IF_ERROR(ServeUntil([this] {
    return (news_.started && news_.attached.has_value()) ||
           !news_.failed.empty();
  }));
  if (news_.failed.empty()) return absl::OkStatus();
  return absl::InternalError(news_.failed);
}

absl::Status FakePlatform::StartDriver() {
  RETURN_IF_ERROR(SpawnDriver());
  return BeginDriver();
}

absl::Status FakePlatform::KillDriver() {
  driver_->Kill();
  // S4: nothing is reused before the device cannot reach it.
  RETURN_IF_ERROR(device_->SetBusMaster(false));
  RETURN_IF_ERROR(device_->Reset());
  while (!dma_areas_.empty()) {
    RETURN_IF_ERROR(FreeArea(dma_areas_.begin()->first));
  }
  if (areas_) {
    packet_stream::SessionStatus status = areas_->status().Current();
    status.epoch = ++epoch_;
    status.state = packet_stream::SessionState::kRecovering;
    areas_->status().Write(status);
    areas_->WakeClient();
  }
  driver_.reset();
  channel_.Close();
  return absl::OkStatus();
}

absl::Status FakePlatform::ForgetDriver() {
  driver_->Kill();
  driver_.reset();
  channel_.Close();
  while (!dma_areas_.empty()) {
    RETURN_IF_ERROR(FreeArea(dma_areas_.begin()->first));
  }
  return areas_ ? UnmapSession() : absl::OkStatus();
}

absl::StatusOr<int> FakePlatform::StopDriver() {
  RETURN_IF_ERROR(driver_->AskToStop());
  const uint64_t deadline_ns = MonotonicNs() + kPatienceNs;
  absl::StatusOr<int> exit = absl::DeadlineExceededError("not yet");
  while (!exit.ok() && MonotonicNs() < deadline_ns) {
    exit = driver_->WaitForExit(1);
    RETURN_IF_ERROR(ServeOnce(0));
  }
  RETURN_IF_ERROR(ServeOnce(0));
  wanted_areas_.clear();
  channel_.Close();
  return exit;
}

absl::Status FakePlatform::MapSession() {
  const packet_stream::SessionGeometry& geometry = areas_->geometry();
  tx_iova_ = next_iova_;
  rx_iova_ = tx_iova_ + geometry.TxDataBytes() + kPageBytes;
  next_iova_ = rx_iova_ + geometry.RxDataBytes() + kPageBytes;
  RETURN_IF_ERROR(device_->MapDma(tx_iova_, geometry.TxDataBytes(),
                                  areas_->tx_data_fd(), false));
  return device_->MapDma(rx_iova_, geometry.RxDataBytes(), areas_->rx_data_fd(),
                         true);
}

absl::Status FakePlatform::UnmapSession() {
  const packet_stream::SessionGeometry& geometry = areas_->geometry();
  RETURN_IF_ERROR(device_->UnmapDma(tx_iova_, geometry.TxDataBytes()));
  RETURN_IF_ERROR(device_->UnmapDma(rx_iova_, geometry.RxDataBytes()));
  areas_.reset();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<packet_stream::ClientEnd>>
FakePlatform::OpenSession(const packet_stream::SessionGeometry& geometry,
                          packet_stream::OnRestart on_restart) {
  ASSIGN_OR_RETURN(packet_stream::SessionAreas areas,
                   packet_stream::CreateSessionAreas(geometry));
  areas_ = std::make_unique<packet_stream::SessionAreas>(std::move(areas));
  ++session_id_;
  epoch_ = 1;
  packet_stream::SessionStatus status;
  status.epoch = epoch_;
  status.state = packet_stream::SessionState::kRunning;
  areas_->status().Write(status);
  RETURN_IF_ERROR(MapSession());
  ASSIGN_OR_RETURN(packet_stream::ClientGrant client,
                   areas_->MakeClientGrant(session_id_, epoch_));
  ASSIGN_OR_RETURN(auto end, packet_stream::ClientEnd::Create(
                                 std::move(client), on_restart, UniqueFd()));
  if (driver_ && channel_.valid()) {
    platform::ToDriver message;
    platform::FdList fds;
    platform::SessionGrant* session =
        message.mutable_open_session()->mutable_session();
    RETURN_IF_ERROR(AddSession(*areas_, session_id_, session, &fds));
    RETURN_IF_ERROR(device_->AddToSession(*areas_, session, &fds));
    RETURN_IF_ERROR(channel_.Send(message, fds.fds()));
  }
  return end;
}

absl::Status FakePlatform::CloseSession() {
  platform::ToDriver message;
  message.mutable_close_session()->set_session_id(session_id_);
  RETURN_IF_ERROR(channel_.Send(message));
  RETURN_IF_ERROR(ServeUntil([this] {
    return std::find(news_.closed.begin(), news_.closed.end(), session_id_) !=
           news_.closed.end();
  }));
  return UnmapSession();
}

absl::Status FakePlatform::DropSession() { return UnmapSession(); }

absl::Status FakePlatform::OfferAnotherSession(uint64_t session_id) {
  ASSIGN_OR_RETURN(const packet_stream::SessionAreas areas,
                   packet_stream::CreateSessionAreas({}));
  platform::ToDriver message;
  platform::FdList fds;
  RETURN_IF_ERROR(AddSession(areas, session_id,
                             message.mutable_open_session()->mutable_session(),
                             &fds));
  return channel_.Send(message, fds.fds());
}

absl::Status FakePlatform::OfferAgain() {
  platform::ToDriver message;
  platform::FdList fds;
  RETURN_IF_ERROR(AddSession(*areas_, session_id_,
                             message.mutable_open_session()->mutable_session(),
                             &fds));
  return channel_.Send(message, fds.fds());
}

void FakePlatform::RingTxDoorbell(const packet_stream::ClientGrant& grant) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      ::write(grant.bells[0].tx_doorbell.get(), &one, sizeof(one));
}

absl::Status FakePlatform::Configure(const platform::NicConfig& config) {
  options_.config = config;
  platform::ToDriver message;
  *message.mutable_configure()->mutable_config() = config;
  return channel_.Send(message);
}

absl::Status FakePlatform::SetLink(bool up) {
  platform::ToDriver message;
  RETURN_IF_ERROR(device_->SetLink(up, &message));
  if (message.message_case() == platform::ToDriver::MESSAGE_NOT_SET) {
    return absl::OkStatus();
  }
  return channel_.Send(message);
}

// A ping also shows that the driver handled all that was sent before it.
absl::Status FakePlatform::Ping() {
  news_.pong.reset();
  RETURN_IF_ERROR(driver_->Ping(1));
  return ServeUntil([this] { return news_.pong.has_value(); });
}

absl::Status FakePlatform::ServeUntil(const std::function<bool()>& done,
                                      int timeout_ms) {
  const uint64_t deadline_ns =
      MonotonicNs() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  while (!done()) {
    if (MonotonicNs() > deadline_ns) {
      return absl::DeadlineExceededError(absl::StrCat(
          "serve the driver: what was awaited did not come within ", timeout_ms,
          " ms; it said: ", news_.failed));
    }
    RETURN_IF_ERROR(ServeOnce(10));
  }
  return absl::OkStatus();
}

absl::Status FakePlatform::ServeOnce(int timeout_ms) {
  pollfd waiting[] = {{channel_.fd(), POLLIN, 0},
                      {driver_ ? driver_->channel_fd() : -1, POLLIN, 0}};
  ::poll(waiting, 2, timeout_ms);
  while (channel_.valid()) {
    platform::FromDriver message;
    std::vector<UniqueFd> fds;
    const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
    // Its death is told by the other channel.
    if (!received.ok() || !*received) break;
    RETURN_IF_ERROR(HandleDriver(message));
  }
  while (driver_) {
    supervisor::FromChild message;
    const absl::StatusOr<bool> received = driver_->Receive(&message);
    if (!received.ok()) {
      if (news_.failed.empty()) news_.failed = "it ended without a word";
      break;
    }
    if (!*received) break;
    HandleChild(message);
  }
  return absl::OkStatus();
}

absl::Status FakePlatform::HandleDriver(const platform::FromDriver& message) {
  using Message = platform::FromDriver;
  platform::ToDriver answer;
  switch (message.message_case()) {
    case Message::kAllocDma: {
      ++news_.alloc_requests;
      const uint64_t bytes = message.alloc_dma().bytes();
      ASSIGN_OR_RETURN(const uint64_t iova, AllocArea(bytes));
      wanted_areas_.push_back(bytes);
      auto* granted = answer.mutable_dma_granted();
      granted->set_request(message.alloc_dma().request());
      granted->mutable_area()->set_iova(iova);
      granted->mutable_area()->set_bytes(bytes);
      const int fd = dma_areas_[iova].memory.get();
      return channel_.Send(answer, {&fd, 1});
    }
    case Message::kFreeDma:
      return FreeArea(message.free_dma().iova());
    case Message::kEnableDma:
      RETURN_IF_ERROR(device_->SetBusMaster(true));
      answer.mutable_dma_enabled()->set_request(message.enable_dma().request());
      return channel_.Send(answer);
    case Message::kAttached:
      news_.attached = message.attached();
      return absl::OkStatus();
    case Message::kLink:
      news_.link = message.link();
      return absl::OkStatus();
    case Message::kSessionBroken:
      news_.broken.push_back(message.session_broken());
      return absl::OkStatus();
    case Message::kSessionClosed:
      news_.closed.push_back(message.session_closed().session_id());
      return absl::OkStatus();
    case Message::kFirstFrame:
      news_.first_frame_ns = message.first_frame().time_ns();
      return absl::OkStatus();
    case Message::MESSAGE_NOT_SET:
      return absl::InternalError("the driver sent an empty message");
  }
  return absl::OkStatus();
}

void FakePlatform::HandleChild(const supervisor::FromChild& message) {
  if (message.has_started()) news_.started = true;
  if (message.has_failed()) news_.failed = message.failed().reason();
  if (message.has_pong()) news_.pong = message.pong();
}

}  // namespace bulkhead::nic_driver::testing
