// The operator's API from outside: what it offers to any gRPC program, and what
// it does about those who ask too much.
#include <signal.h>
#include <sys/stat.h>

#include "absl/strings/match.h"
#include "tests/functional/fixture.h"

namespace bulkhead::functional {
namespace {

using bench::MakeScenario;

class Api : public SystemTest {
 protected:
  void SetUp() override { Start(MakeScenario({{.nics = 1}}), 1); }
};

TEST_F(Api, HealthAndReflectionAnswer) {
  EXPECT_EQ(api_->Health(), "SERVING");
  EXPECT_EQ(api_->ReflectedServices(),
            (std::vector<std::string>{"bulkhead.platform.v1.Platform",
                                      "grpc.health.v1.Health"}));
}

TEST_F(Api, SocketsAreTheUsersAlone) {
  for (const char* name : {"/platform.sock", "/session.sock"}) {
    struct stat info;
    ASSERT_EQ(::stat((system_->run_dir() + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(Api, UnknownNamesAreAnsweredWithThoseThatExist) {
  const auto pid = api_->Kill("nic9", SIGTERM);
  ASSERT_TRUE(absl::IsNotFound(pid.status())) << pid.status();
  EXPECT_TRUE(absl::StrContains(pid.status().message(), "nic0, port0"))
      << pid.status();
  EXPECT_TRUE(absl::IsInvalidArgument(api_->Kill("nic0", 12345).status()));
}

TEST_F(Api, S5_HugeMessagesAndManyStreamsAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(api_->ApplyOfSize((1 << 20) + 1)));
  EXPECT_TRUE(absl::IsResourceExhausted(api_->ApplyOfSize(8 << 20)));
  // More than one connection's limit: some are turned away, or wait.
  EXPECT_GT(api_->OpenStreams(30), 0);
  EXPECT_EQ(api_->Health(), "SERVING");
  EXPECT_TRUE(system_->GetInstance("nic0")->link_up());
}

}  // namespace
}  // namespace bulkhead::functional
