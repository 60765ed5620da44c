// nic_tap: the Linux network stack over a Bulkhead NIC.
//
// Privileges are needed to enter the namespace, to make the TAP device, and to
// bring it up. They are given up before the first frame; a second process,
// which sees no frame, sets the MTU when the NIC's changes (mtu_setter.h).
#include <sys/prctl.h>

#include <csignal>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "clients/nic_tap/mtu_setter.h"
#include "clients/nic_tap/options.h"
#include "clients/nic_tap/privileges.h"
#include "clients/nic_tap/tap_device.h"
#include "clients/nic_tap/tap_link.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_tap {
namespace {

// What a driver says once it is attached; the interface follows it later, too.
constexpr int kAttachWaitMs = 5000;

void AwaitDriver(packet_stream::Session& session) {
  using packet_stream::SessionState;
  for (int waited_ms = 0; waited_ms < kAttachWaitMs; waited_ms += 100) {
    if (session.status().state == SessionState::kRunning) return;
    session.Wait(100);
    session.Flush();
  }
  LogWarning("the NIC has no driver yet; the interface gets its carrier later");
}

absl::Status Run(const Options& options) {
  auto mtu_setter = MtuSetter::Start(options.tap, options.netns);
  const StopSignal stop;
  ASSIGN_OR_RETURN(auto session, packet_stream::Session::Open(options.open));
  AwaitDriver(*session);
  if (!options.netns.empty()) {
    RETURN_IF_ERROR(EnterNetworkNamespace(options.netns));
  }
  ASSIGN_OR_RETURN(TapDevice tap, TapDevice::Create(options.tap));
  if (mtu_setter.ok()) tap.UseForMtu(*std::move(mtu_setter));
  TapLink link(session.get(), &tap);
  if (options.up) RETURN_IF_ERROR(tap.SetUp());
  RETURN_IF_ERROR(KeepOnly(0));
  LogInfo(absl::StrCat(tap.name(), " is ", options.open.instance));
  const absl::Status status = link.Run(stop.fd());
  session->Flush();
  if (options.json) {
    std::cout << ReportJson(link, session->counters()) << std::endl;
  }
  return status;
}

}  // namespace
}  // namespace bulkhead::nic_tap

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = bulkhead::nic_tap::ParseOptions(argc, argv, exit_code);
  if (!options.has_value()) return exit_code;
  std::signal(SIGPIPE, SIG_IGN);
  bulkhead::SetLogName("nic_tap");
  const absl::Status status = bulkhead::nic_tap::Run(*options);
  if (status.ok()) return 0;
  std::cerr << "nic_tap: " << status.message() << "\n";
  return 1;
}
