// Shows what the driver says to a device that cannot be driven safely, and that
// it touches none of the frames' memory: the whole driver against the whole
// model, without processes or sockets between them.
#include "nic_driver/virtio_net/virtio_net.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nic_driver/framework/fake_dma.h"
#include "nic_model/network/network.h"
#include "nic_model/virtio_net/device.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_driver {
namespace {

namespace model = nic_model::virtio_net;

// BARs and config space of the model; a test may answer reads in its place.
class ModelDevice final : public PciDevice {
 public:
  explicit ModelDevice(model::VirtioNet& nic) : nic_(nic) {}

  uint32_t Read32(int bar, uint32_t offset) override {
    return Read(bar, offset, 4);
  }
  void Write32(int bar, uint32_t offset, uint32_t value) override {
    Write(bar, offset, 4, value);
  }
  uint32_t Read(int bar, uint32_t offset, int width) override {
    ++reads;
    return Peek(bar, offset, width);
  }
  void ReadRun(int bar, uint32_t offset, int width,
               std::span<uint32_t> out) override {
    ++reads;
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = Peek(bar, offset + static_cast<uint32_t>(i) * width, width);
    }
  }
  void Write(int bar, uint32_t offset, int width, uint32_t value) override {
    if (swallow && swallow(offset)) return;
    uint8_t bytes[4];
    std::memcpy(bytes, &value, 4);
    EXPECT_EQ(nic_.WriteRegion(bar, offset, std::span(bytes).first(width)), 0);
  }
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, int width) override {
    uint32_t value = 0;
    auto* bytes = reinterpret_cast<uint8_t*>(&value);
    EXPECT_EQ(nic_.ReadRegion(vfio_user::kConfigRegion, offset,
                              std::span(bytes, width)),
              0);
    return value;
  }
  bool gone() const override { return false; }

  std::function<uint32_t(uint32_t offset, uint32_t value)> lie;
  std::function<bool(uint32_t offset)> swallow;  // A write gets lost.
  uint32_t reads = 0;

 private:
  uint32_t Peek(int bar, uint32_t offset, int width) {
    uint32_t value = 0;
    auto* bytes = reinterpret_cast<uint8_t*>(&value);
    EXPECT_EQ(nic_.ReadRegion(bar, offset, std::span(bytes, width)), 0);
    return lie ? lie(offset, value) : value;
  }

  model::VirtioNet& nic_;
};

class RecordingNetwork : public nic_model::Network {
 public:
  nic_model::SendResult Send(std::span<uint8_t> frame) override {
    sent.emplace_back(frame.begin(), frame.end());
    return nic_model::SendResult::kSent;
  }
  std::vector<std::vector<uint8_t>> sent;
};

// Gives the model what it gives the driver.
class MappingDma final : public DmaPlatform {
 public:
  explicit MappingDma(model::VirtioNet& nic) : nic_(nic) {}
  Task<absl::StatusOr<DmaMemory>> AllocDma(size_t bytes) override {
    auto fd = *CreateSealedMemory("rings", bytes);
    auto mapping = *Mapping::MapSealed(fd.get(), bytes, Access::kReadWrite);
    EXPECT_EQ(nic_.MapDma(kRings, bytes, std::move(fd), 0, true, true), 0);
    ring_bytes = bytes;
    co_return DmaMemory(std::move(mapping), kRings);
  }
  void FreeDma(DmaMemory memory) override {
    EXPECT_EQ(nic_.UnmapDma(memory.iova(), ring_bytes), 0);
    ring_bytes = 0;
  }
  void RequestDma() override {}
  Task<absl::Status> DmaEnabled() override { co_return absl::OkStatus(); }

  static constexpr uint64_t kRings = 0x4000'0000;
  size_t ring_bytes = 0;

 private:
  model::VirtioNet& nic_;
};

class VirtioNetTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kFrames = 0x8000'0000;
  static constexpr size_t kFramesBytes = 1 << 20;
  static constexpr uint32_t kBufferBytes = 2048;
  static constexpr nic_model::Mac kMac = {2, 0, 0, 0, 0, 7};

  void SetUp() override {
    nic_ = *model::VirtioNet::Create(*loop_, counters_, {kMac, 0, faults_, {}});
    nic_->PlugIn(&network_);
    auto fd = *CreateSealedMemory("frames", kFramesBytes);
    frames_ = *Mapping::MapSealed(fd.get(), kFramesBytes, Access::kReadWrite);
    ASSERT_EQ(nic_->MapDma(kFrames, kFramesBytes, std::move(fd), 0, true, true),
              0);
    const uint8_t bus_master[] = {0x06, 0x00};
    ASSERT_EQ(nic_->WriteRegion(vfio_user::kConfigRegion, 4, bus_master), 0);
    device_ = std::make_unique<ModelDevice>(*nic_);
    dma_ = std::make_unique<MappingDma>(*nic_);
    Make(1);
  }

  // For sessions of so many lanes.
  void Make(uint32_t queues) {
    driver_ = VirtioNet::Create(DriverContext{*loop_,
                                              *device_,
                                              *dma_,
                                              {"0000:01:00.0", 0x1af4, 0x1041},
                                              queues + 1,
                                              queues});
  }

  absl::StatusOr<NicFacts> Attach() {
    return RunToEnd(*loop_, driver_->Attach());
  }
  void Up(uint32_t queues = 1) {
    const auto facts = Attach();
    ASSERT_TRUE(facts.ok()) << facts.status();
    facts_ = *facts;
    const auto link = RunToEnd(*loop_, driver_->Start(kBufferBytes, queues));
    ASSERT_TRUE(link.ok()) << link.status();
    link_ = *link;
  }
  void GiveRxBuffers(uint32_t count) {
    std::vector<RxBuffer> buffers;
    for (uint32_t i = 0; i < count; ++i) {
      buffers.push_back({kFrames + i * kBufferBytes, i});
    }
    driver_->queue(0).RxRefill(buffers);
  }
  std::vector<uint8_t> ToUs(size_t bytes, uint8_t fill) {
    std::vector<uint8_t> frame(bytes, fill);
    std::copy(kMac.begin(), kMac.end(), frame.begin());
    return frame;
  }
  std::vector<RxPiece> Harvest() {
    std::vector<RxPiece> pieces(kBatchPieces);
    pieces.resize(driver_->queue(0).RxHarvest(pieces));
    return pieces;
  }
  std::vector<uint8_t> Buffer(uint32_t buffer, size_t bytes) {
    const uint8_t* data = frames_.data() + buffer * kBufferBytes;
    return {data, data + bytes};
  }

  nic_model::Faults faults_;
  nic_model::PortCounters counters_ = {};
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  RecordingNetwork network_;
  std::unique_ptr<model::VirtioNet> nic_;
  Mapping frames_;
  std::unique_ptr<ModelDevice> device_;
  std::unique_ptr<MappingDma> dma_;
  std::unique_ptr<VirtioNet> driver_;
  NicFacts facts_;
  LinkStatus link_;
};

TEST_F(VirtioNetTest, AttachAndStartTellTheNic) {
  Up();
  EXPECT_EQ(facts_.mac, kMac);
  EXPECT_EQ(facts_.max_mtu, 9000u);
  EXPECT_EQ(link_, (LinkStatus{true, 10'000, true}));
  // A recovery pays for each: status, features (2), queues (3), MAC, MTU;
  // status, queue, link (3).
  EXPECT_LE(device_->reads, 13u);
}

// What would let the device bring frames whose checksum is yet to be filled in,
// or that are yet to be cut up, is not accepted: no session can carry them.
TEST_F(VirtioNetTest, TakesWholeFramesOnly) {
  Up();
  device_->Write32(0, model::kDriverFeatureSelect, 0);
  const uint32_t accepted = device_->Read32(0, model::kDriverFeature);
  constexpr uint64_t kGuestTso4 = model::Feature(7);
  constexpr uint64_t kGuestTso6 = model::Feature(8);
  EXPECT_EQ(accepted & (model::kGuestCsum | kGuestTso4 | kGuestTso6), 0u);
  EXPECT_NE(accepted & model::kCsum, 0u);
}

// S3: a device that goes round the IOMMU is not driven.
TEST_F(VirtioNetTest, S3_RefusesADeviceWithoutAccessPlatform) {
  uint32_t select = 0;
  device_->lie = [&select](uint32_t offset, uint32_t value) {
    if (offset == model::kDeviceFeature && select++ == 1) {
      return value & ~uint32_t{1 << 1};
    }
    return value;
  };
  const auto facts = Attach();
  ASSERT_FALSE(facts.ok());
  EXPECT_NE(facts.status().message().find("iommu_platform=on"),
            std::string::npos)
      << facts.status();
  EXPECT_EQ(dma_->ring_bytes, 0u) << "it got no memory";
}

// The header never lies in the session's memory: a frame begins at its first
// byte, whatever its length.
TEST_F(VirtioNetTest, S3_FramesBeginWhereTheirBufferBegins) {
  Up();
  GiveRxBuffers(64);
  for (const size_t bytes : {60u, 1514u, 2048u}) {
    const std::vector<uint8_t> frame = ToUs(bytes, static_cast<uint8_t>(bytes));
    nic_->Receive(frame);
    nic_->EndReceive();
    const std::vector<RxPiece> pieces = Harvest();
    ASSERT_EQ(pieces.size(), 1u);
    EXPECT_EQ(pieces[0].length, bytes);
    EXPECT_EQ(Buffer(pieces[0].buffer, bytes), frame);
  }
}

// With a large MTU a chain holds several buffers; what a short frame does not
// fill serves the next frame, and nothing is lost on the way.
TEST_F(VirtioNetTest, S2_UnusedBuffersOfAChainServeAgain) {
  ASSERT_TRUE(driver_->Configure({.mtu = 9000, .multicast = {}}).ok());
  Up();
  GiveRxBuffers(10);
  std::vector<bool> seen(10, false);
  for (uint32_t i = 0; i < 6; ++i) {
    nic_->Receive(ToUs(60, static_cast<uint8_t>(i)));
    nic_->EndReceive();
    const std::vector<RxPiece> pieces = Harvest();
    ASSERT_EQ(pieces.size(), 1u) << i;
    ASSERT_LT(pieces[0].buffer, 10u);
    EXPECT_FALSE(seen[pieces[0].buffer]) << "a client still has it";
    seen[pieces[0].buffer] = true;
  }
  // Four are left: less than a jumbo frame needs, enough for one of 8,000.
  nic_->Receive(ToUs(8000, 0x55));
  nic_->EndReceive();
  EXPECT_EQ(Harvest().size(), 4u);
}

// Who goes to sleep arms and looks again. If that finds a frame of which the
// device told nothing, the next one is told nevertheless.
TEST_F(VirtioNetTest, StaysArmedAfterASecondLook) {
  for (const bool split : {false, true}) {
    SCOPED_TRACE(split ? "split" : "packed");
    faults_.split_rings = split;
    SetUp();
    std::vector<UniqueFd> events;
    for (int i = 0; i < 2; ++i) {
      events.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    }
    ASSERT_EQ(nic_->ArmIrqs(vfio_user::kMsixIrqIndex, 0, std::move(events)), 0);
    Up();
    GiveRxBuffers(64);
    Queue& queue = driver_->queue(0);
    for (uint8_t i = 0; i < 5; ++i) {
      static_cast<void>(queue.HandleIrq(0));
      nic_->Receive(ToUs(60, i));
      nic_->EndReceive();
      queue.ArmIrqs();
      ASSERT_EQ(Harvest().size(), 1u);
      const uint64_t before = counters_.interrupts;
      nic_->Receive(ToUs(60, i));
      nic_->EndReceive();
      EXPECT_EQ(counters_.interrupts, before + 1);
      ASSERT_EQ(Harvest().size(), 1u);
    }
  }
}

// A change of the MTU rebuilds the receive ring: what had arrived stays, in
// order, and the longer frame finds room at once.
TEST_F(VirtioNetTest, S8_TheMtuChangesWithoutLosingAFrame) {
  Up();
  GiveRxBuffers(64);
  for (uint8_t i = 0; i < 5; ++i) nic_->Receive(ToUs(100, i));
  nic_->EndReceive();
  ASSERT_TRUE(driver_->Configure({.mtu = 9000, .multicast = {}}).ok());
  nic_->Receive(ToUs(9000, 5));
  nic_->EndReceive();
  std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 5u);
  for (uint8_t i = 0; i < 5; ++i) {
    EXPECT_EQ(Buffer(pieces[i].buffer, 100)[50], i);
  }
  pieces = Harvest();
  ASSERT_EQ(pieces.size(), 5u);
  EXPECT_TRUE(pieces[3].more);
  EXPECT_FALSE(pieces[4].more);
  EXPECT_EQ(counters_.rx_oversize, 0u);
}

TEST_F(VirtioNetTest, SendsPiecesAsOneFrame) {
  Up();
  std::vector<TxPiece> pieces;
  for (uint32_t i = 0; i < 3; ++i) {
    std::memset(frames_.data() + i * kBufferBytes, static_cast<int>(i), 100);
    pieces.push_back({.iova = kFrames + i * kBufferBytes,
                      .buffer = i,
                      .length = 100,
                      .more = i < 2});
  }
  driver_->queue(0).TxSubmit(pieces);
  ASSERT_EQ(network_.sent.size(), 1u);
  EXPECT_EQ(network_.sent[0].size(), 300u);
  EXPECT_EQ(network_.sent[0][299], 2);
  std::vector<TxDone> done(kBatchPieces);
  EXPECT_EQ(driver_->queue(0).TxReap(done), 3u);
}

// As many pairs as are wanted and there; Start uses as many as it is asked for,
// and each sends by itself.
TEST_F(VirtioNetTest, UsesSeveralPairs) {
  Make(4);
  Up(3);
  EXPECT_EQ(facts_.queues, 4u);
  EXPECT_EQ(driver_->QueueOf(3), 3u);
  EXPECT_EQ(driver_->QueueOf(4), Driver::kControl);
  for (uint32_t i = 0; i < 3; ++i) {
    driver_->queue(i).TxSubmit({{{.iova = kFrames, .length = 100}}});
    EXPECT_EQ(network_.sent.size(), i + 1);
    std::vector<TxDone> done(kBatchPieces);
    EXPECT_EQ(driver_->queue(i).TxReap(done), 1u);
  }
  const auto report = RunToEnd(*loop_, driver_->Stop());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->tx_unsent_frames, 0u);
  // A session of one lane, and of all, over the same device.
  for (const uint32_t queues : {1u, 4u}) {
    const auto link = RunToEnd(*loop_, driver_->Start(kBufferBytes, queues));
    ASSERT_TRUE(link.ok()) << link.status();
    driver_->queue(queues - 1).TxSubmit({{{.iova = kFrames, .length = 100}}});
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
  }
  EXPECT_EQ(network_.sent.size(), 5u);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Detach()).ok());
  EXPECT_EQ(counters_.dma_faults, 0u);
}

// S7: how many pairs there are is the device's word. One that makes no sense is
// not used, and one pair serves.
TEST_F(VirtioNetTest, S7_PairsThatMakeNoSenseLeaveOne) {
  for (const uint32_t said : {0u, 1u, 0x8000u, 0xffffu}) {
    device_->lie = [said](uint32_t offset, uint32_t value) {
      return offset == model::kDeviceOffset + model::kConfigMaxPairs ? said
                                                                     : value;
    };
    Make(4);
    Up();
    EXPECT_EQ(facts_.queues, 1u) << said;
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Detach()).ok());
  }
}

// More than there are: queues without entries, which Attach names.
TEST_F(VirtioNetTest, S7_PairsThatAreNotThereAreNamed) {
  device_->lie = [](uint32_t offset, uint32_t value) {
    return offset == model::kDeviceOffset + model::kConfigMaxPairs ? 0x7fff
                                                                   : value;
  };
  Make(4);
  const auto facts = Attach();
  ASSERT_FALSE(facts.ok());
  EXPECT_NE(facts.status().message().find("has 0 entries"), std::string::npos)
      << facts.status();
  EXPECT_EQ(dma_->ring_bytes, 0u) << "it got no memory";
}

// S8: a device that does not use the pairs must not be given their lanes, where
// frames would wait for good.
TEST_F(VirtioNetTest, S8_PairsThatAreRefusedEndTheStart) {
  Make(2);
  ASSERT_TRUE(Attach().ok());
  uint32_t enabled = 0;
  device_->swallow = [&enabled](uint32_t offset) {
    return offset == model::kQueueEnable && enabled++ == 1;
  };
  const auto link = RunToEnd(*loop_, driver_->Start(kBufferBytes, 2));
  ASSERT_FALSE(link.ok());
  EXPECT_NE(link.status().message().find("refuses to use 2"), std::string::npos)
      << link.status();
}

// A segment's header says where it is to be cut; what the frame holds is the
// client's affair, and it is told what that must be.
TEST_F(VirtioNetTest, AsksForSegments) {
  Up();
  EXPECT_NE(facts_.offloads & packet_stream::kOffloadTxTcpSegmentation, 0u);
  EXPECT_NE(facts_.offloads & packet_stream::kOffloadTxWholeSegments, 0u);
  constexpr uint16_t kBytes = 54 + 1500;
  const uint8_t headers[] = {
      0x45, 0, (kBytes - 14) >> 8, (kBytes - 14) & 0xff, 0, 0, 0, 0, 64, 6};
  std::memset(frames_.data(), 0, kBytes);
  frames_.data()[12] = 0x08;
  std::copy(std::begin(headers), std::end(headers), frames_.data() + 14);
  frames_.data()[34 + 12] = 0x50;
  driver_->queue(0).TxSubmit({{{.iova = kFrames,
                                .length = kBytes,
                                .checksum = true,
                                .checksum_start = 34,
                                .checksum_position = 34 + 16,
                                .segment_bytes = 1000,
                                .header_bytes = 54,
                                .frame_bytes = kBytes}}});
  ASSERT_EQ(network_.sent.size(), 2u);
  EXPECT_EQ(network_.sent[0].size(), 54u + 1000);
  EXPECT_EQ(network_.sent[1].size(), 54u + 500);
  EXPECT_EQ(counters_.tx_bad, 0u);
}

// Stop leaves nothing with the device, and says what was on its way.
TEST_F(VirtioNetTest, S4_AfterStopTheDeviceHasNothing) {
  Up();
  GiveRxBuffers(64);
  nic_->Receive(ToUs(100, 1));
  nic_->EndReceive();
  const auto report = RunToEnd(*loop_, driver_->Stop());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->rx_unclaimed_frames, 1u);
  ASSERT_EQ(nic_->UnmapDma(kFrames, kFramesBytes), 0);
  nic_->Receive(ToUs(100, 2));
  nic_->EndReceive();
  EXPECT_EQ(counters_.dma_faults, 0u);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Detach()).ok());
  EXPECT_EQ(dma_->ring_bytes, 0u);
}

// A device that met an error says so once; the driver ends with that reason.
TEST_F(VirtioNetTest, NeedsResetEndsTheDriver) {
  Up();
  device_->lie = [](uint32_t offset, uint32_t value) {
    return offset == model::kDeviceStatus ? value | model::kNeedsReset : value;
  };
  EXPECT_NE(driver_->HandleIrq(1).failure, nullptr);
}

}  // namespace
}  // namespace bulkhead::nic_driver
