// Shows what the channel says to the platform service and how it takes the
// answers, with the test as the platform.
#include "nic_driver/framework/platform_channel.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/shared_memory.h"

namespace bulkhead::nic_driver {
namespace {

class PlatformChannelTest : public ::testing::Test {
 protected:
  void Make(std::vector<PreparedDma> prepared = {}) {
    auto ends = SeqpacketChannel::CreatePair();
    ASSERT_TRUE(ends.ok());
    platform_ = std::move(ends->first);
    auto channel = PlatformChannel::Create(
        *loop_, ends->second.ReleaseFd(), std::move(prepared),
        {.request =
             [this](platform::ToDriver message, std::vector<UniqueFd> fds) {
               requests_.push_back(std::move(message));
               request_fds_ += fds.size();
             },
         .lost = [this](absl::Status why) { lost_ = std::move(why); }});
    ASSERT_TRUE(channel.ok()) << channel.status();
    channel_ = *std::move(channel);
  }

  platform::FromDriver Hear() {
    platform::FromDriver message;
    std::vector<UniqueFd> fds;
    EXPECT_TRUE(platform_.WaitReceive(&message, &fds, 1000).ok());
    return message;
  }

  PreparedDma Area(uint64_t iova, size_t bytes) {
    return {iova, bytes, *CreateSealedMemory("rings", bytes)};
  }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  SeqpacketChannel platform_;
  std::unique_ptr<PlatformChannel> channel_;
  std::vector<platform::ToDriver> requests_;
  size_t request_fds_ = 0;
  absl::Status lost_;
};

TEST_F(PlatformChannelTest, MeetsRequestsFromTheGrant) {
  std::vector<PreparedDma> prepared;
  prepared.push_back(Area(0x1000, 4096));
  prepared.push_back(Area(0x8000, 8192));
  Make(std::move(prepared));
  std::optional<absl::StatusOr<DmaMemory>> memory;
  auto task = channel_->AllocDma(8192);
  task.Start([&](absl::StatusOr<DmaMemory> got) { memory = std::move(got); });
  ASSERT_TRUE(memory.has_value()) << "waited for a round trip";
  ASSERT_TRUE(memory->ok()) << memory->status();
  EXPECT_EQ((*memory)->iova(), 0x8000u);
  EXPECT_EQ((*memory)->bytes(), 8192u);
  // What nobody wanted goes back.
  channel_->FreeUnusedPrepared();
  EXPECT_EQ(Hear().free_dma().iova(), 0x1000u);
}

TEST_F(PlatformChannelTest, AsksForWhatTheGrantHasNot) {
  Make();
  std::optional<absl::StatusOr<DmaMemory>> memory;
  auto task = channel_->AllocDma(4096);
  task.Start([&](absl::StatusOr<DmaMemory> got) { memory = std::move(got); });
  const platform::FromDriver request = Hear();
  EXPECT_EQ(request.alloc_dma().bytes(), 4096u);
  platform::ToDriver answer;
  auto* granted = answer.mutable_dma_granted();
  granted->set_request(request.alloc_dma().request());
  granted->mutable_area()->set_iova(0x5000);
  granted->mutable_area()->set_bytes(4096);
  const PreparedDma area = Area(0x5000, 4096);
  const int fd = area.memory.get();
  ASSERT_TRUE(platform_.Send(answer, {&fd, 1}).ok());
  while (!memory.has_value()) loop_->RunOnce(1000);
  ASSERT_TRUE(memory->ok()) << memory->status();
  EXPECT_EQ((*memory)->iova(0x10), 0x5010u);
}

TEST_F(PlatformChannelTest, ARefusalHasItsReason) {
  Make();
  std::optional<absl::StatusOr<DmaMemory>> memory;
  auto task = channel_->AllocDma(4096);
  task.Start([&](absl::StatusOr<DmaMemory> got) { memory = std::move(got); });
  platform::ToDriver answer;
  answer.mutable_refused()->set_request(Hear().alloc_dma().request());
  answer.mutable_refused()->set_reason("over quota");
  ASSERT_TRUE(platform_.Send(answer).ok());
  while (!memory.has_value()) loop_->RunOnce(1000);
  EXPECT_NE(std::string(memory->status().message()).find("over quota"),
            std::string::npos);
}

// Memory of another size, none at all, an answer to nothing: errors or
// ignored, never a crash.
TEST_F(PlatformChannelTest, OddAnswersAreNotBelieved) {
  Make();
  platform::ToDriver stray;
  stray.mutable_dma_enabled()->set_request(77);
  ASSERT_TRUE(platform_.Send(stray).ok());
  loop_->RunOnce(1000);
  std::optional<absl::StatusOr<DmaMemory>> memory;
  auto task = channel_->AllocDma(8192);
  task.Start([&](absl::StatusOr<DmaMemory> got) { memory = std::move(got); });
  platform::ToDriver answer;
  answer.mutable_dma_granted()->set_request(Hear().alloc_dma().request());
  answer.mutable_dma_granted()->mutable_area()->set_bytes(8192);
  answer.mutable_dma_granted()->mutable_area()->set_memory_fd(3);
  ASSERT_TRUE(platform_.Send(answer).ok());
  while (!memory.has_value()) loop_->RunOnce(1000);
  EXPECT_FALSE(memory->ok());
}

// RequestDma leaves at once; the answer may come before it is waited for.
TEST_F(PlatformChannelTest, DmaMayBeEnabledBeforeItIsAwaited) {
  Make();
  channel_->RequestDma();
  platform::ToDriver answer;
  answer.mutable_dma_enabled()->set_request(Hear().enable_dma().request());
  ASSERT_TRUE(platform_.Send(answer).ok());
  loop_->RunOnce(1000);
  std::optional<absl::Status> enabled;
  auto task = channel_->DmaEnabled();
  task.Start([&](absl::Status status) { enabled = std::move(status); });
  ASSERT_TRUE(enabled.has_value());
  EXPECT_TRUE(enabled->ok()) << *enabled;
}

TEST_F(PlatformChannelTest, HandsRequestsOn) {
  Make();
  platform::ToDriver message;
  message.mutable_close_session()->set_session_id(9);
  ASSERT_TRUE(platform_.Send(message).ok());
  while (requests_.empty()) loop_->RunOnce(1000);
  EXPECT_EQ(requests_[0].close_session().session_id(), 9u);
}

// The platform's death: what waits for an answer fails, the rest is dropped,
// and nothing crashes.
TEST_F(PlatformChannelTest, S5_TheDeathOfThePlatformIsNoDeath) {
  Make();
  std::optional<absl::StatusOr<DmaMemory>> memory;
  auto task = channel_->AllocDma(4096);
  task.Start([&](absl::StatusOr<DmaMemory> got) { memory = std::move(got); });
  platform_.Close();
  while (!memory.has_value()) loop_->RunOnce(1000);
  EXPECT_TRUE(absl::IsUnavailable(memory->status())) << memory->status();
  EXPECT_FALSE(lost_.ok());
  channel_->SayLink({true, 1000, true});
  std::optional<absl::Status> enabled;
  auto later = channel_->DmaEnabled();
  later.Start([&](absl::Status status) { enabled = std::move(status); });
  ASSERT_TRUE(enabled.has_value());
  EXPECT_TRUE(absl::IsUnavailable(*enabled));
}

// A platform that does not read for a while loses nothing.
TEST_F(PlatformChannelTest, QueuesWhileThePlatformIsSlow) {
  Make();
  constexpr uint32_t kMessages = 5000;
  for (uint32_t i = 0; i < kMessages; ++i) channel_->SaySessionClosed(i);
  for (uint32_t i = 0; i < kMessages; ++i) {
    platform::FromDriver message;
    std::vector<UniqueFd> fds;
    for (;;) {
      const auto received = platform_.Receive(&message, &fds);
      ASSERT_TRUE(received.ok()) << received.status();
      if (*received) break;
      loop_->RunOnce(10);
    }
    ASSERT_EQ(message.session_closed().session_id(), i);
  }
}

}  // namespace
}  // namespace bulkhead::nic_driver
