// Drives an instance with a played supervisor, a played driver and a fake
// device: the order of a recovery, what a session lives through, and what
// becomes of a driver that asks for what it may not have.
#include "platform_service/instances/instance.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <utility>

#include "packet_stream/session.pb.h"
#include "platform_service/parking/state.pb.h"
#include "platform_service/testing/fake_device.h"
#include "platform_service/testing/fake_supervisor.h"

namespace bulkhead::platform {
namespace {

using packet_stream::SessionState;
using supervisor::FromSupervisor;
using supervisor::ProcessState;

constexpr char kName[] = "nic0";

// The driver's side of one generation.
struct PlayedDriver {
  DeviceGrant grant;
  std::vector<UniqueFd> fds;
  SeqpacketChannel channel;

  void Say(const FromDriver& message) { (void)channel.Send(message); }
  // The next message from the platform; an empty one if none waits.
  ToDriver Hear(std::vector<UniqueFd>* got = nullptr) {
    ToDriver message;
    std::vector<UniqueFd> ignored;
    (void)channel.Receive(&message, got == nullptr ? &ignored : got);
    return message;
  }
};

class InstanceTest : public testing::Test {
 protected:
  InstanceTest() : loop_(*EventLoop::Create()), supervisor_(*loop_) {
    SupervisorLink::Handlers handlers;
    handlers.died = [this](const auto& died) { instance_->OnDied(died); };
    handlers.state = [this](const auto& state) { instance_->OnState(state); };
    handlers.removed = [this](const auto&) { gone_ = instance_->OnRemoved(); };
    handlers.event = [](const auto&) {};
    handlers.parked = [](auto, auto, auto) {};
    handlers.restored = [](auto) {};
    handlers.refused = [](const auto&, const auto&) {};
    handlers.lost = [] {};
    link_ = *SupervisorLink::Create(*loop_, supervisor_.TakeChannel(),
                                    std::move(handlers));
    supervisor_.flush_events = [this] { link_->FlushEvents(); };
    nic_.Plug();
    nic_.down = [this](const std::string& reason) {
      instance_->OnDeviceDown(reason);
    };
    InstanceSpec spec;
    spec.name = kName;
    spec.program = "/bin/driver";
    spec.rule.driver = "driver";
    spec.rule.limits.queues = 4;
    spec.device.address = "1000:01:00.0";
    spec.device.name = "port0";
    instance_ = *Instance::Create(*loop_, *link_, spec, nic_);
  }

  // Definition, grant, Attached: the running state most tests start from.
  PlayedDriver Bring() {
    instance_->Define();
    instance_->OnDeviceUp(instance_->spec().device);
    supervisor_.Turn();
    return Attach();
  }

  PlayedDriver TakeGrant() {
    PlayedDriver driver;
    FakeSupervisor::Order begin = supervisor_.TakeBegin();
    EXPECT_TRUE(begin.message.has_begin());
    EXPECT_TRUE(driver.grant.ParseFromString(begin.message.begin().payload()));
    driver.fds = std::move(begin.fds);
    if (driver.grant.platform_fd() < driver.fds.size()) {
      driver.channel =
          SeqpacketChannel(std::move(driver.fds[driver.grant.platform_fd()]));
    }
    return driver;
  }

  PlayedDriver Attach() {
    PlayedDriver driver = TakeGrant();
    ++generation_;
    Tell(ProcessState::RUNNING);
    FromDriver enable;
    enable.mutable_enable_dma()->set_request(1);
    driver.Say(enable);
    FromDriver attached;
    attached.mutable_attached()->set_mac(std::string("\x02\0\0\0\0\1", 6));
    attached.mutable_attached()->set_max_mtu(9000);
    attached.mutable_attached()->set_queues(queues_);
    driver.Say(attached);
    FromDriver link;
    link.mutable_link()->set_up(true);
    link.mutable_link()->set_speed_mbps(1000);
    driver.Say(link);
    supervisor_.Turn();
    EXPECT_TRUE(driver.Hear().has_dma_enabled());
    EXPECT_EQ(instance_->phase(), Instance::Phase::kAttached);
    return driver;
  }

  void Tell(ProcessState::Phase phase) {
    FromSupervisor message;
    message.mutable_state()->set_name(kName);
    message.mutable_state()->set_phase(phase);
    message.mutable_state()->set_generation(generation_);
    supervisor_.Say(message);
  }

  void Die(bool parked = false) {
    FromSupervisor message;
    message.mutable_died()->set_name(kName);
    message.mutable_died()->set_generation(generation_);
    message.mutable_died()->set_cause("killed by signal 9");
    message.mutable_died()->set_parked(parked);
    if (parked) message.mutable_died()->set_reason("failed 10 times in a row");
    supervisor_.Say(message);
  }

  // A session as SessionServer would hand it over; `client_` is its client.
  Session* Open(uint32_t buffers = 16, uint32_t lanes = 1) {
    auto pair = SeqpacketChannel::CreatePair();
    client_ = std::move(pair->first);
    SessionIdentity identity;
    identity.id = next_session_++;
    identity.label = "probe";
    identity.instance = kName;
    identity.geometry = {buffers, buffers, 2048, lanes};
    auto session = Session::Create(*loop_, *link_, identity,
                                   std::move(pair->second), {}, nullptr);
    EXPECT_TRUE(session.ok());
    Session* raw = session->get();
    EXPECT_TRUE(instance_->OpenSession(*std::move(session)).ok());
    supervisor_.Turn();
    return raw;
  }

  DmaArea AllocDma(PlayedDriver& driver, uint64_t bytes) {
    FromDriver message;
    message.mutable_alloc_dma()->set_request(7);
    message.mutable_alloc_dma()->set_bytes(bytes);
    driver.Say(message);
    supervisor_.Turn();
    std::vector<UniqueFd> fds;
    ToDriver reply = driver.Hear(&fds);
    EXPECT_TRUE(reply.has_dma_granted()) << reply.refused().reason();
    for (UniqueFd& fd : fds) driver.fds.push_back(std::move(fd));
    return reply.dma_granted().area();
  }

  FakeSupervisor::Order TakeParked(const std::string& key) {
    return std::move(supervisor_.parked[key]);
  }

  // Another platform service, with what this one has parked; the device and its
  // driver go on meanwhile.
  void TakeOver(FakeSupervisor::Order instance, FakeSupervisor::Order session) {
    const InstanceSpec spec = instance_->spec();
    nic_.down = nullptr;
    instance_.reset();
    const auto maps = nic_.state.maps;
    nic_.Plug();
    nic_.state.maps = maps;
    nic_.state.log.clear();
    auto restored = Instance::Restore(
        *loop_, *link_, spec, nic_,
        ParkedEntry(instance.message.park().state(), std::move(instance.fds)));
    ASSERT_TRUE(restored.ok()) << restored.status();
    instance_ = *std::move(restored);
    if (!session.message.has_park()) return;
    auto adopted = Session::Restore(
        *loop_, *link_,
        ParkedEntry(session.message.park().state(), std::move(session.fds)));
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    instance_->AdoptSession(*std::move(adopted));
  }

  std::unique_ptr<EventLoop> loop_;
  FakeSupervisor supervisor_;
  std::unique_ptr<SupervisorLink> link_;
  FakeNic nic_;
  SeqpacketChannel client_;
  std::unique_ptr<Instance> instance_;
  uint32_t generation_ = 0;
  uint32_t queues_ = 1;  // That drivers say they have.
  uint64_t next_session_ = 1;
  bool gone_ = false;
};

TEST_F(InstanceTest, GrantHoldsWhatTheDriverNeedsAndNoMore) {
  instance_->Define();
  supervisor_.Turn();
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());  // No device yet.
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  const PlayedDriver driver = TakeGrant();
  EXPECT_EQ(driver.grant.irq_fd_size(), 3);
  EXPECT_EQ(driver.grant.session_size(), 0);
  EXPECT_EQ(driver.grant.prepared_size(), 0);
  // Connection, channel, counters, three interrupts.
  EXPECT_EQ(driver.fds.size(), 6u);
  EXPECT_FALSE(nic_.state.bus_master());
}

TEST_F(InstanceTest, S3_BusMasteringIsOnOnlyWhenTheDriverAsks) {
  instance_->Define();
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  EXPECT_FALSE(nic_.state.bus_master());
  Attach();
  EXPECT_TRUE(nic_.state.bus_master());
}

TEST_F(InstanceTest, S4_DeviceIsSafeBeforeTheNextGenerationBegins) {
  PlayedDriver driver = Bring();
  const DmaArea old_ring = AllocDma(driver, 8192);
  nic_.state.log.clear();
  Die();
  const PlayedDriver next = TakeGrant();
  // Bus mastering off, reset, read back, and only then anything else.
  const int off = nic_.state.Find("bme_off");
  const int reset = nic_.state.Find("reset");
  const int verified = nic_.state.Find("read", reset);
  const int unmapped =
      nic_.state.Find("unmap " + std::to_string(old_ring.iova()));
  EXPECT_EQ(off, 0);
  EXPECT_LT(off, reset);
  EXPECT_LT(reset, verified);
  EXPECT_LT(verified, unmapped);
  EXPECT_FALSE(nic_.state.bus_master());
  // The new ring is another one, of the same size.
  ASSERT_EQ(next.grant.prepared_size(), 1);
  EXPECT_EQ(next.grant.prepared(0).bytes(), 8192u);
  EXPECT_NE(next.grant.prepared(0).iova(), old_ring.iova());
  EXPECT_EQ(nic_.state.maps.count(old_ring.iova()), 0u);
  EXPECT_GE(supervisor_.FindEvent("dma_off"), 0);
  EXPECT_LT(supervisor_.FindEvent("dma_off"), supervisor_.FindEvent("reset"));
}

TEST_F(InstanceTest, S4_PreparedRingsAreZeroedAfterTheReset) {
  PlayedDriver driver = Bring();
  AllocDma(driver, 4096);
  Die();
  // The second generation dies too, after its successor's memory was prepared
  // and the hostile NIC had time to write to it.
  PlayedDriver second = Attach();
  loop_->RunOnce(20);  // Past the delay after which it is prepared.
  supervisor_.Turn();
  FakeSupervisor::Order& parked = supervisor_.parked["instance/nic0"];
  for (const UniqueFd& fd : parked.fds) {
    auto view = Mapping::MapSealed(fd.get(), 4096, Access::kReadWrite);
    if (view.ok()) std::memset(view->data(), 0x5a, 64);
  }
  Die();
  PlayedDriver third = TakeGrant();
  ASSERT_EQ(third.grant.prepared_size(), 1);
  auto ring =
      Mapping::MapSealed(third.fds[third.grant.prepared(0).memory_fd()].get(),
                         4096, Access::kReadOnly);
  ASSERT_TRUE(ring.ok());
  for (size_t i = 0; i < ring->bytes(); ++i) ASSERT_EQ(ring->data()[i], 0);
}

TEST_F(InstanceTest, S4_DeviceThatDoesNotResetIsTakenOut) {
  Bring();
  nic_.state.fail = "reset";
  Die();
  ASSERT_EQ(nic_.failures.size(), 1u);
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
  EXPECT_EQ(instance_->phase(), Instance::Phase::kRecovering);
  EXPECT_NE(instance_->reason(), "");
  // It comes back, and so does the instance.
  nic_.state.fail.clear();
  nic_.Plug();
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  Attach();
}

TEST_F(InstanceTest, S6_SessionOutlivesDrivers) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  EXPECT_TRUE(driver.Hear().has_open_session());
  EXPECT_EQ(session->status().state, SessionState::kRunning);
  EXPECT_EQ(session->epoch(), 1u);
  Die();
  EXPECT_EQ(session->status().state, SessionState::kRecovering);
  EXPECT_EQ(session->epoch(), 2u);
  EXPECT_EQ(session->status().epoch, 2u);
  PlayedDriver next = Attach();
  ASSERT_EQ(next.grant.session_size(), 1);
  EXPECT_EQ(next.grant.session(0).session_id(), session->id());
  EXPECT_EQ(next.grant.session(0).epoch(), 2u);
  EXPECT_EQ(session->status().state, SessionState::kRunning);
  EXPECT_EQ(session->status().generation, 2u);
  EXPECT_TRUE(session->status().link_up);
}

TEST_F(InstanceTest, S6_SessionOutlivesTheDevice) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  nic_.Unplug("its model died");
  supervisor_.Turn();
  EXPECT_EQ(session->status().state, SessionState::kRecovering);
  EXPECT_FALSE(session->mapped());
  EXPECT_TRUE(supervisor_.Take([](const auto& m) { return m.has_restart(); })
                  .message.has_restart());
  Die();
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
  // What it waits for, not what its driver died of.
  EXPECT_EQ(instance_->reason(), "its model died");
  nic_.Plug();
  instance_->OnDeviceUp(instance_->spec().device);
  EXPECT_EQ(instance_->reason(), "");
  supervisor_.Turn();
  PlayedDriver next = Attach();
  EXPECT_EQ(next.grant.session_size(), 1);
  EXPECT_TRUE(session->mapped());
  EXPECT_EQ(session->status().state, SessionState::kRunning);
}

TEST_F(InstanceTest, S3_SessionMemoryIsMappedForTheNicAlone) {
  PlayedDriver driver = Bring();
  Open();
  EXPECT_GE(nic_.state.Find("map_ro"), 0);  // Frames to send.
  EXPECT_GE(nic_.state.Find("map_rw"), 0);  // Frames received.
  std::vector<UniqueFd> fds;
  const ToDriver message = driver.Hear(&fds);
  ASSERT_TRUE(message.has_open_session());
  EXPECT_EQ(fds.size(), 4u);  // Two control areas, two bells: no frame memory.
  const SessionGrant& grant = message.open_session().session();
  const uint64_t bytes = 16 * 2048;
  for (const UniqueFd& fd : fds) {
    EXPECT_FALSE(Mapping::MapSealed(fd.get(), bytes, Access::kReadOnly).ok());
  }
  // The client's control area cannot be written by the driver.
  EXPECT_FALSE(Mapping::MapAny(fds[grant.client_control_fd()].get(), 0, 4096,
                               Access::kReadWrite)
                   .ok());
}

TEST_F(InstanceTest, S4_SessionMemoryIsFreedAfterTheDriverLetGo) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  const uint64_t id = session->id();
  driver.Hear();
  client_.Close();  // The client vanishes.
  supervisor_.Turn();
  EXPECT_FALSE(instance_->busy());
  EXPECT_EQ(driver.Hear().close_session().session_id(), id);
  EXPECT_EQ(nic_.state.maps.size(), 2u);  // Still the NIC's.
  FromDriver closed;
  closed.mutable_session_closed()->set_session_id(id);
  driver.Say(closed);
  supervisor_.Turn();
  EXPECT_TRUE(nic_.state.maps.empty());
  EXPECT_EQ(supervisor_.parked.count("session/" + std::to_string(id)), 0u);
}

TEST_F(InstanceTest, S4_DriverThatDoesNotLetGoIsKilledFirst) {
  PlayedDriver driver = Bring();
  Open();
  supervisor_.orders.clear();
  client_.Close();
  for (int i = 0; i < 40 && supervisor_.orders.empty(); ++i) {
    loop_->RunOnce(100);
    supervisor_.Receive();
  }
  EXPECT_NE(supervisor_.TakeBreach().find("did not close session"),
            std::string::npos);
  EXPECT_EQ(nic_.state.maps.size(), 2u);
  Die();
  // Reset first, then unmapped.
  EXPECT_LT(nic_.state.Find("reset"), nic_.state.Find("unmap"));
  EXPECT_TRUE(nic_.state.maps.empty());
}

TEST_F(InstanceTest, NextClientWaitsUntilTheLastSessionIsClosed) {
  PlayedDriver driver = Bring();
  Session* first = Open();
  const uint64_t first_id = first->id();
  driver.Hear();
  client_.Close();
  supervisor_.Turn();
  Session* second = Open();
  EXPECT_TRUE(driver.Hear().has_close_session());
  EXPECT_EQ(driver.Hear().message_case(), ToDriver::MESSAGE_NOT_SET);
  EXPECT_EQ(second->status().state, SessionState::kRecovering);
  FromDriver closed;
  closed.mutable_session_closed()->set_session_id(first_id);
  driver.Say(closed);
  supervisor_.Turn();
  EXPECT_EQ(driver.Hear().open_session().session().session_id(), second->id());
  EXPECT_EQ(second->status().state, SessionState::kRunning);
}

TEST_F(InstanceTest, S5_ParkedInstanceTellsItsSessionAndComesBack) {
  Bring();
  Session* session = Open();
  Die(/*parked=*/true);
  EXPECT_EQ(instance_->phase(), Instance::Phase::kParked);
  EXPECT_EQ(session->status().state, SessionState::kParked);
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
  EXPECT_FALSE(nic_.state.bus_master());
  Tell(ProcessState::WAITING);  // An operator's restart.
  Attach();
  EXPECT_EQ(session->status().state, SessionState::kRunning);
}

TEST_F(InstanceTest, S5_BrokenSessionEndsAloneAndTheDriverGoesOn) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  driver.Hear();
  FromDriver broken;
  broken.mutable_session_broken()->set_session_id(session->id());
  broken.mutable_session_broken()->set_reason("tx tail jumped\nforged: line");
  driver.Say(broken);
  supervisor_.Turn();
  EXPECT_TRUE(driver.Hear().has_close_session());
  EXPECT_EQ(supervisor_.TakeBreach(), "");
  const int event = supervisor_.FindEvent("session_broken");
  ASSERT_GE(event, 0);
  EXPECT_EQ(supervisor_.events[event].text().find('\n'), std::string::npos);
}

TEST_F(InstanceTest, DriverOverItsQuotaIsRefusedWithNumbers) {
  PlayedDriver driver = Bring();
  FromDriver message;
  message.mutable_alloc_dma()->set_request(9);
  message.mutable_alloc_dma()->set_bytes(uint64_t{1} << 40);
  driver.Say(message);
  supervisor_.Turn();
  const ToDriver reply = driver.Hear();
  ASSERT_TRUE(reply.has_refused());
  EXPECT_EQ(reply.refused().request(), 9u);
  EXPECT_NE(reply.refused().reason().find("are left"), std::string::npos);
}

// Each message that no honest driver sends ends this generation, with a reason
// that names it.
TEST_F(InstanceTest, S3_HostileDriverIsAccused) {
  struct Case {
    const char* reason;
    FromDriver message;
  };
  std::vector<Case> cases(5);
  cases[0].reason = "says nothing";
  cases[1].reason = "Attached twice";
  cases[1].message.mutable_attached()->set_mac(std::string(6, '\2'));
  cases[2].reason = "SessionClosed";
  cases[2].message.mutable_session_closed()->set_session_id(99);
  cases[3].reason = "SessionBroken";
  cases[3].message.mutable_session_broken()->set_session_id(99);
  cases[4].reason = "free DMA memory";
  cases[4].message.mutable_free_dma()->set_iova(4096);
  for (Case& hostile : cases) {
    PlayedDriver driver = generation_ == 0 ? Bring() : Attach();
    driver.Say(hostile.message);
    supervisor_.Turn();
    EXPECT_NE(supervisor_.TakeBreach().find(hostile.reason), std::string::npos)
        << hostile.reason;
    Die();
  }
}

TEST_F(InstanceTest, FloodOfMessagesIsAccused) {
  PlayedDriver driver = Bring();
  FromDriver link;
  link.mutable_link()->set_up(true);
  for (int i = 0; i < 400; ++i) {
    driver.Say(link);
    if (i % 16 == 0) supervisor_.Turn();
  }
  supervisor_.Turn();
  EXPECT_NE(supervisor_.TakeBreach().find("messages a second"),
            std::string::npos);
}

TEST_F(InstanceTest, DescriptorsFromADriverAreAccused) {
  PlayedDriver driver = Bring();
  FromDriver link;
  link.mutable_link()->set_up(true);
  const int fd = 0;
  (void)driver.channel.Send(link, {&fd, 1});
  supervisor_.Turn();
  EXPECT_NE(supervisor_.TakeBreach().find("descriptors"), std::string::npos);
}

TEST_F(InstanceTest, MessageOfADeadGenerationReachesNobody) {
  PlayedDriver old = Bring();
  Die();
  TakeGrant();
  FromDriver enable;
  enable.mutable_enable_dma()->set_request(1);
  old.Say(enable);
  supervisor_.Turn();
  EXPECT_FALSE(nic_.state.bus_master());
}

TEST_F(InstanceTest, S10_RemovalGivesEverythingBack) {
  PlayedDriver driver = Bring();
  AllocDma(driver, 4096);
  Open();
  instance_->Remove();
  supervisor_.Turn();
  FromSupervisor removed;
  removed.mutable_removed()->set_name(kName);
  supervisor_.Say(removed);
  EXPECT_TRUE(gone_);
  instance_.reset();
  supervisor_.Turn();
  EXPECT_FALSE(nic_.state.bus_master());
  EXPECT_TRUE(supervisor_.parked.empty());
}

TEST_F(InstanceTest, S6_SessionStaysOverAChangeOfDriver) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  InstanceSpec spec = instance_->spec();
  spec.program = "/bin/other_driver";
  instance_->Redefine(spec);
  FromSupervisor removed;
  removed.mutable_removed()->set_name(kName);
  supervisor_.Say(removed);
  EXPECT_FALSE(gone_);
  EXPECT_EQ(supervisor_.Take([](const auto& m) { return m.has_define(); })
                .message.define()
                .spec()
                .program(),
            "/bin/other_driver");
  generation_ = 0;
  Attach();
  EXPECT_EQ(session->status().state, SessionState::kRunning);
  EXPECT_EQ(session->epoch(), 2u);
}

// Shows that a driver which cannot even be defined parks its instance, also
// where another one ran before, and that it is tried again on request.
TEST_F(InstanceTest, S5_ANextDriverThatIsRefusedParksTheInstance) {
  Bring();
  instance_->Redefine(instance_->spec());
  FromSupervisor removed;
  removed.mutable_removed()->set_name(kName);
  supervisor_.Say(removed);
  instance_->OnRefused("define nic0: no such program");
  // What followed the definition.
  instance_->OnRefused("begin nic0: no such process is defined");
  EXPECT_EQ(instance_->phase(), Instance::Phase::kParked);
  EXPECT_EQ(instance_->reason(), "define nic0: no such program");
  EXPECT_TRUE(instance_->DefineAgain());
  EXPECT_FALSE(instance_->DefineAgain());
  supervisor_.Turn();
  generation_ = 0;
  Attach();
}

TEST_F(InstanceTest, ReconfigurationIsToldToTheRunningDriver) {
  PlayedDriver driver = Bring();
  policy::DriverRule rule = instance_->spec().rule;
  rule.config.mtu = 9000;
  instance_->Reconfigure(rule);
  EXPECT_EQ(driver.Hear().configure().config().mtu(), 9000u);
  EXPECT_EQ(instance_->facts().mtu, 9000u);
}

TEST_F(InstanceTest, ReconfigurationDuringTheStartIsToldOnceItHasAttached) {
  instance_->Define();
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  policy::DriverRule rule = instance_->spec().rule;
  rule.config.mtu = 9000;
  instance_->Reconfigure(rule);
  PlayedDriver driver = Attach();
  EXPECT_EQ(driver.Hear().configure().config().mtu(), 9000u);
  EXPECT_EQ(instance_->facts().mtu, 9000u);
}

// Every lane's doorbells and memory go to the driver, to each generation of it,
// and to the platform service that follows; each area is mapped once.
TEST_F(InstanceTest, S3_S6_AllLanesOutliveDriverAndPlatformService) {
  queues_ = 4;
  PlayedDriver driver = Bring();
  EXPECT_EQ(instance_->lanes(), 4u);
  Open(16, 3);
  std::vector<UniqueFd> fds;
  const ToDriver message = driver.Hear(&fds);
  ASSERT_TRUE(message.has_open_session());
  EXPECT_EQ(message.open_session().session().tx_doorbell_fd_size(), 3);
  EXPECT_EQ(message.open_session().session().rx_doorbell_fd_size(), 3);
  EXPECT_EQ(fds.size(), 2u + 2 * 3) << "two control areas, two bells a lane";
  const size_t maps = nic_.state.maps.size();
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), TakeParked("session/1")));
  Tell(ProcessState::RUNNING);
  EXPECT_EQ(instance_->lanes(), 4u);
  ASSERT_NE(instance_->session(), nullptr);
  EXPECT_EQ(instance_->session()->lanes(), 3u);
  EXPECT_EQ(nic_.state.maps.size(), maps);
  Die();
  PlayedDriver next = Attach();
  ASSERT_EQ(next.grant.session_size(), 1);
  EXPECT_EQ(next.grant.queues(), 4u);
  EXPECT_EQ(next.grant.session(0).tx_doorbell_fd_size(), 3);
  EXPECT_EQ(instance_->session()->epoch(), 2u);
}

// A driver that comes with fewer queues than the session has lanes cannot serve
// it: its client is told to open another.
TEST_F(InstanceTest, ASessionOfMoreLanesThanThereAreQueuesIsClosed) {
  queues_ = 4;
  PlayedDriver driver = Bring();
  Open(16, 4);
  queues_ = 2;
  Die();
  PlayedDriver next = Attach();
  EXPECT_FALSE(instance_->busy());
  EXPECT_EQ(instance_->lanes(), 2u);
  packet_stream::Closed closed;
  std::vector<UniqueFd> fds;
  ASSERT_TRUE(*client_.Receive(&closed, &fds));
  EXPECT_NE(closed.reason().find("4 lanes"), std::string::npos)
      << closed.reason();
}

// A device that has to wait for what the dead driver had is asked again, while
// the loop goes on; then the next generation gets the session.
TEST_F(InstanceTest, S6_ADeviceThatIsNotReadyForASessionIsAskedAgain) {
  PlayedDriver driver = Bring();
  Open();
  ASSERT_TRUE(driver.Hear().has_open_session());
  nic_.ready = false;
  Die();
  supervisor_.Turn();
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
  nic_.ready = true;
  FakeSupervisor::Order begin;
  while (!begin.message.has_begin()) {
    supervisor_.Turn();
    begin = supervisor_.TakeBegin();
  }
  ASSERT_TRUE(driver.grant.ParseFromString(begin.message.begin().payload()));
  ASSERT_EQ(driver.grant.session_size(), 1);
  EXPECT_EQ(driver.grant.session(0).epoch(), 2u);
}

// The same when a session is opened with a driver that runs; and the next
// platform service goes on asking.
TEST_F(InstanceTest, S5_S6_ASessionThatTheDeviceIsNotReadyForIsOfferedLater) {
  PlayedDriver driver = Bring();
  nic_.ready = false;
  Open();
  EXPECT_TRUE(instance_->busy());
  EXPECT_FALSE(driver.Hear().has_open_session());
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), TakeParked("session/1")));
  Tell(ProcessState::RUNNING);
  supervisor_.Turn();
  EXPECT_FALSE(driver.Hear().has_open_session());
  nic_.ready = true;
  ToDriver message;
  while (!message.has_open_session()) {
    supervisor_.Turn();
    message = driver.Hear();
  }
  EXPECT_EQ(message.open_session().session().session_id(), 1u);
}

TEST_F(InstanceTest, S7_ADriverHasNoMoreQueuesThanItWasGranted) {
  instance_->Define();
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  PlayedDriver driver = TakeGrant();
  ++generation_;
  Tell(ProcessState::RUNNING);
  FromDriver attached;
  attached.mutable_attached()->set_mac(std::string("\x02\0\0\0\0\1", 6));
  attached.mutable_attached()->set_max_mtu(9000);
  attached.mutable_attached()->set_queues(5);
  driver.Say(attached);
  supervisor_.Turn();
  EXPECT_NE(supervisor_.TakeBreach().find("5 queues"), std::string::npos);
  EXPECT_EQ(instance_->lanes(), 1u);
}

// What was parked, given to a new object, goes on with the running driver.
TEST_F(InstanceTest, S5_RestoredInstanceLeavesTheDriverAlone) {
  PlayedDriver driver = Bring();
  AllocDma(driver, 4096);
  Open();
  EXPECT_TRUE(driver.Hear().has_open_session());
  // The container is the same one: its mappings are adopted.
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), TakeParked("session/1")));
  Tell(ProcessState::RUNNING);
  EXPECT_EQ(nic_.state.Find("reset"), -1);
  EXPECT_EQ(nic_.state.Find("bme_off"), -1);
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
  EXPECT_EQ(instance_->session()->status().state, SessionState::kRunning);
  EXPECT_TRUE(driver.Hear().has_open_session());  // Once more.
  // The old channel still works, and so does a recovery.
  AllocDma(driver, 8192);
  Die();
  EXPECT_EQ(Attach().grant.session_size(), 1);
  EXPECT_EQ(instance_->session()->epoch(), 2u);
}

// Shows that an epoch never goes back: the platform service dies after it
// raised the epoch and parked the next generation, before it parked the
// session; client and driver, which agree, are left alone.
TEST_F(InstanceTest, S6_EpochThatWasRaisedAndNotParkedIsKept) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  ASSERT_TRUE(driver.Hear().has_open_session());
  FakeSupervisor::Order stale = TakeParked("session/1");
  Die();
  PlayedDriver next = TakeGrant();
  ASSERT_EQ(next.grant.session_size(), 1);
  const uint32_t epoch = next.grant.session(0).epoch();
  ASSERT_EQ(session->epoch(), epoch);
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), std::move(stale)));
  ++generation_;
  Tell(ProcessState::RUNNING);
  EXPECT_EQ(instance_->session()->epoch(), epoch);
  EXPECT_EQ(instance_->session()->status().epoch, epoch);
  // The next death raises it further.
  Die();
  EXPECT_EQ(instance_->session()->epoch(), epoch + 1);
}

// Shows that a driver is offered a session whose first offer may have been lost
// with the platform service.
TEST_F(InstanceTest, S6_SessionIsOfferedAgainAfterATakeover) {
  PlayedDriver driver = Bring();
  Open();
  ASSERT_TRUE(driver.Hear().has_open_session());
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), TakeParked("session/1")));
  Tell(ProcessState::RUNNING);
  const ToDriver again = driver.Hear();
  ASSERT_TRUE(again.has_open_session());
  EXPECT_EQ(again.open_session().session().session_id(), 1u);
  EXPECT_EQ(again.open_session().session().epoch(),
            instance_->session()->epoch());
}

TEST_F(InstanceTest, S5_DeathWithoutAPlatformServiceIsMadeGood) {
  PlayedDriver driver = Bring();
  supervisor_.Turn();
  FakeSupervisor::Order parked = std::move(supervisor_.parked["instance/nic0"]);
  const InstanceSpec spec = instance_->spec();
  instance_.reset();
  nic_.down = nullptr;
  nic_.Plug();
  auto restored = Instance::Restore(
      *loop_, *link_, spec, nic_,
      ParkedEntry(parked.message.park().state(), std::move(parked.fds)));
  ASSERT_TRUE(restored.ok()) << restored.status();
  instance_ = *std::move(restored);
  nic_.state.log.clear();
  Tell(ProcessState::WAITING);  // Generation 1 has died unseen.
  EXPECT_GE(nic_.state.Find("reset"), 0);
  Attach();
  // The supervisor's own word of it comes too late to matter.
  generation_ = 1;
  Die();
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
}

// A generation that the last platform service began and had no time to park:
// its DMA may be on, and its session at this epoch.
TEST_F(InstanceTest, S4_GenerationThatWasNeverParkedIsMadeSafe) {
  PlayedDriver driver = Bring();
  Open();
  FakeSupervisor::Order instance = TakeParked("instance/nic0");
  parking::InstanceState state;
  ASSERT_TRUE(state.ParseFromString(instance.message.park().state()));
  state.set_begun(false);
  state.set_attached(false);
  state.set_generation(0);
  instance.message.mutable_park()->set_state(state.SerializeAsString());
  FakeSupervisor::Order session = TakeParked("session/1");
  parking::SessionState shown;
  ASSERT_TRUE(shown.ParseFromString(session.message.park().state()));
  shown.set_granted(false);
  session.message.mutable_park()->set_state(shown.SerializeAsString());
  ASSERT_NO_FATAL_FAILURE(TakeOver(std::move(instance), std::move(session)));
  ASSERT_TRUE(nic_.state.bus_master());
  Tell(ProcessState::WAITING);
  EXPECT_FALSE(nic_.state.bus_master());
  EXPECT_GE(nic_.state.Find("reset"), 0);
  EXPECT_EQ(instance_->session()->epoch(), 2u);
  EXPECT_EQ(Attach().grant.session(0).epoch(), 2u);
}

// One that failed for the last time while there was no platform service.
TEST_F(InstanceTest, S5_ParkedWithoutAPlatformServiceComesBack) {
  Bring();
  ASSERT_NO_FATAL_FAILURE(TakeOver(TakeParked("instance/nic0"), {}));
  Tell(ProcessState::PARKED);
  EXPECT_FALSE(supervisor_.TakeBegin().message.has_begin());
  EXPECT_FALSE(nic_.state.bus_master());
  Tell(ProcessState::WAITING);
  Attach();
}

// The driver was asked by the last platform service, and by this one: neither
// the session comes back to life, nor is the driver accused of its two answers.
TEST_F(InstanceTest, S5_ClosingSessionOutlivesThePlatformServiceAsClosed) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  const uint64_t id = session->id();
  driver.Hear();
  client_.Close();
  supervisor_.Turn();
  EXPECT_TRUE(driver.Hear().has_close_session());
  FakeSupervisor::Order parked = TakeParked("session/1");
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), std::move(parked)));
  Tell(ProcessState::RUNNING);
  EXPECT_FALSE(instance_->busy());
  EXPECT_EQ(driver.Hear().close_session().session_id(), id);
  EXPECT_EQ(nic_.state.maps.size(), 2u);
  FromDriver closed;
  closed.mutable_session_closed()->set_session_id(id);
  driver.Say(closed);
  driver.Say(closed);
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(), "");
  EXPECT_TRUE(nic_.state.maps.empty());
  // Its indulgence has an end.
  for (int i = 0; i < 20; ++i) driver.Say(closed);
  supervisor_.Turn();
  EXPECT_NE(supervisor_.TakeBreach().find("SessionClosed"), std::string::npos);
}

// A session that was opened while the last one was closing is the one that is
// adopted.
TEST_F(InstanceTest, S6_NextSessionIsNotLostForAClosingOne) {
  PlayedDriver driver = Bring();
  next_session_ = 9;
  Open();
  driver.Hear();
  client_.Close();
  supervisor_.Turn();
  const uint64_t second = Open()->id();
  FakeSupervisor::Order closing = TakeParked("session/9");
  FakeSupervisor::Order next = TakeParked("session/10");
  ASSERT_NO_FATAL_FAILURE(
      TakeOver(TakeParked("instance/nic0"), std::move(next)));
  auto adopted = Session::Restore(
      *loop_, *link_,
      ParkedEntry(closing.message.park().state(), std::move(closing.fds)));
  ASSERT_TRUE(adopted.ok());
  instance_->AdoptSession(*std::move(adopted));
  ASSERT_TRUE(instance_->busy());
  EXPECT_EQ(instance_->session()->id(), second);
}

// Shows that a driver which answers pings and never attaches is found.
TEST_F(InstanceTest, S5_DriverThatNeverAttachesIsAccused) {
  instance_->Define();
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  const PlayedDriver driver = TakeGrant();
  generation_ = 1;
  Tell(ProcessState::RUNNING);
  supervisor_.orders.clear();
  for (int i = 0; i < 100 && supervisor_.orders.empty(); ++i) {
    loop_->RunOnce(100);
    supervisor_.Receive();
  }
  EXPECT_NE(supervisor_.TakeBreach().find("not Attached"), std::string::npos);
}

TEST_F(InstanceTest, FirstFrameComesOnce) {
  PlayedDriver driver = Bring();
  FromDriver frame;
  frame.mutable_first_frame()->set_time_ns(1);
  driver.Say(frame);
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(), "");
  driver.Say(frame);
  supervisor_.Turn();
  EXPECT_NE(supervisor_.TakeBreach().find("FirstFrame"), std::string::npos);
}

// A driver may speak before the supervisor says that it runs. If its NIC fails
// just then, the channel goes while its handler runs (seen by
// --config=asan).
TEST_F(InstanceTest, S5_DeviceThatFailsUnderADriversFirstWord) {
  instance_->Define();
  Tell(ProcessState::WAITING);
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  PlayedDriver driver = TakeGrant();
  nic_.state.fail = "map";
  FromDriver alloc;
  alloc.mutable_alloc_dma()->set_bytes(4096);
  driver.Say(alloc);
  driver.Say(alloc);
  supervisor_.Turn();
  EXPECT_EQ(nic_.failures.size(), 1u);
  EXPECT_EQ(instance_->phase(), Instance::Phase::kRecovering);
}

TEST_F(InstanceTest, S6_SessionOpenedOnAFailingDeviceWaitsForTheNext) {
  PlayedDriver driver = Bring();
  nic_.state.fail = "map";
  Session* session = Open();
  EXPECT_EQ(nic_.failures.size(), 1u);
  EXPECT_TRUE(instance_->busy());
  EXPECT_FALSE(session->mapped());
  nic_.state.fail.clear();
  Die();
  nic_.Plug();
  instance_->OnDeviceUp(instance_->spec().device);
  supervisor_.Turn();
  Attach();
  EXPECT_EQ(session->status().state, SessionState::kRunning);
}

// Shows that a client's report has the accused driver replaced and leaves the
// session open, that a report about an earlier epoch does nothing, and that a
// client that goes on accusing loses its session instead.
TEST_F(InstanceTest, S7_ReportedDriverIsReplacedAndTheSessionStays) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  driver.Hear();
  packet_stream::ClientReport report;
  report.set_epoch(session->epoch() + 1);
  report.set_breach("its rx submit tail went back");
  ASSERT_TRUE(client_.Send(report).ok());
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(), "");
  report.set_epoch(session->epoch());
  ASSERT_TRUE(client_.Send(report).ok());
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(),
            "the client reports: its rx submit tail went back");
  EXPECT_TRUE(instance_->busy());
  for (uint32_t i = 2; i <= Session::kMaxReports; ++i) {
    ASSERT_TRUE(client_.Send(report).ok());
  }
  supervisor_.Turn();
  EXPECT_FALSE(instance_->busy());
  EXPECT_TRUE(driver.Hear().has_close_session());
}

// Shows that lanes which all see the driver's lie accuse it once, and that
// their client is no more the one to go for it.
TEST_F(InstanceTest, S7_ReportsOfAllLanesAreOne) {
  queues_ = 4;
  PlayedDriver driver = Bring();
  Session* session = Open(16, 4);
  driver.Hear();
  packet_stream::ClientReport report;
  report.set_epoch(session->epoch());
  report.set_breach("its rx submit tail went back");
  for (int lane = 0; lane < 4; ++lane) ASSERT_TRUE(client_.Send(report).ok());
  supervisor_.Turn();
  EXPECT_NE(supervisor_.TakeBreach(), "");
  EXPECT_EQ(supervisor_.TakeBreach(), "");
  EXPECT_TRUE(instance_->busy());
}

// Shows that a report reaches the supervisor wherever it is cut: what is no
// text would end the platform service there.
TEST_F(InstanceTest, S7_AReportThatIsCutIsStillText) {
  PlayedDriver driver = Bring();
  Session* session = Open();
  driver.Hear();
  packet_stream::ClientReport report;
  report.set_epoch(session->epoch());
  report.set_breach(std::string(199, 'a') + "\u00e9");
  ASSERT_TRUE(client_.Send(report).ok());
  supervisor_.Turn();
  EXPECT_FALSE(supervisor_.garbled);
  EXPECT_NE(supervisor_.TakeBreach(), "");
}

// Shows that running out of descriptors in the middle of a session's opening
// refuses that session, and nothing else.
TEST_F(InstanceTest, S5_OutOfDescriptorsRefusesTheSession) {
  PlayedDriver driver = Bring();
  auto pair = SeqpacketChannel::CreatePair();
  SessionIdentity identity;
  identity.id = 1;
  identity.instance = kName;
  identity.geometry = {16, 16, 2048};
  auto session = Session::Create(*loop_, *link_, identity,
                                 std::move(pair->second), {}, nullptr);
  ASSERT_TRUE(session.ok());
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest = ::dup(0);
  ASSERT_GE(lowest, 0);
  ::close(lowest);
  rlimit tight = before;
  tight.rlim_cur = lowest + 2;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const absl::Status opened = instance_->OpenSession(*std::move(session));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(opened.ok());
  EXPECT_FALSE(instance_->busy());
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(), "");
  Open();
  EXPECT_EQ(instance_->session()->status().state, SessionState::kRunning);
}

// Shows that the supervisor is told of an instance that may get work: its
// process rests otherwise.
TEST_F(InstanceTest, SessionIsToldToTheSupervisor) {
  PlayedDriver driver = Bring();
  EXPECT_TRUE(supervisor_.attended.empty());
  Open();
  EXPECT_EQ(supervisor_.attended, std::vector<std::string>{kName});
}

}  // namespace
}  // namespace bulkhead::platform
