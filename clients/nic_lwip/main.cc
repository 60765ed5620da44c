// nic_lwip: a web server with a TCP/IP stack of its own, on a NIC's session.
//
// The pattern of the network stack as a component: the kernel's stack is not
// asked for anything, and neither a driver's death nor this program's
// touches another's connections.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "base/shared_memory.h"
#include "base/stop_signal.h"
#include "clients/arguments/arguments.h"
#include "clients/arguments/version.h"
#include "clients/nic_lwip/http_server.h"
#include "clients/nic_lwip/stack.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_lwip {
namespace {

struct Options {
  packet_stream::OpenOptions open;
  Ipv4Config ip;
  uint16_t port = 80;
  std::string file;
};

// "192.0.2.2/24"; an empty message means that it is one.
std::string ParseAddress(const std::string& text, Ipv4Config& config) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, '/');
  uint32_t bits = 0;
  if (::inet_pton(AF_INET, parts.first.c_str(), &config.address) != 1 ||
      !absl::SimpleAtoi(parts.second, &bits) || bits < 1 || bits > 32) {
    return absl::StrCat("'", text, "' is no address; write e.g. 192.0.2.2/24");
  }
  config.netmask = htonl(~uint32_t{0} << (32 - bits));
  return "";
}

bool ParseOptions(int argc, char** argv, Options& options, int& exit_code) {
  std::string address;
  std::string gateway;
  std::string run_dir;
  options.open.instance = "nic0";
  options.open.label = "nic_lwip";
  options.open.on_restart = packet_stream::OnRestart::kResubmit;
  CLI::App app{
      "A web server with a TCP/IP stack of its own (lwIP) on a NIC's session.",
      "nic_lwip"};
  app.footer(
      "Exit status: 0 ended by a signal, 1 failure, 2 usage.\n"
      "Example: nic_lwip -i nic1 --address 192.0.2.2/24 --file README.md");
  app.set_version_flag("--version", absl::StrCat("nic_lwip ", kVersion));
  app.add_option("-i,--instance", options.open.instance, "The NIC's instance")
      ->capture_default_str();
  app.add_option("--address", address, "Its IPv4 address, e.g. 192.0.2.2/24")
      ->required();
  app.add_option("--gateway", gateway, "Its way to other networks");
  app.add_option("--port", options.port, "TCP port")->capture_default_str();
  app.add_option("--file", options.file, "Served as /file");
  app.add_option("--label", options.open.label,
                 "Who asks; the scenario's `clients` say what it may open")
      ->capture_default_str();
  app.add_option("--run-dir,--run_dir", run_dir,
                 "Run directory of the system (default: $BULKHEAD_RUN_DIR)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = arguments::SayWhatIsWrong(app, error);
    return false;
  }
  std::string problem = ParseAddress(address, options.ip);
  if (problem.empty() && !gateway.empty() &&
      ::inet_pton(AF_INET, gateway.c_str(), &options.ip.gateway) != 1) {
    problem = absl::StrCat("'", gateway, "' is no IPv4 address");
  }
  if (!problem.empty()) {
    std::cerr << "nic_lwip: " << problem << "\n";
    exit_code = arguments::kUsage;
    return false;
  }
  if (!run_dir.empty()) {
    options.open.socket = absl::StrCat(run_dir, "/session.sock");
  }
  return true;
}

absl::StatusOr<Mapping> MapFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts;
  if (!fd.valid() || ::fstat(fd.get(), &facts) != 0) {
    return ErrnoStatus(absl::StrCat("open ", path));
  }
  if (!S_ISREG(facts.st_mode) || facts.st_size == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("serve ", path, ": it is no file, or an empty one"));
  }
  return Mapping::MapAny(fd.get(), 0, static_cast<size_t>(facts.st_size),
                         Access::kReadOnly);
}

absl::Status Run(const Options& options) {
  const StopSignal stop;
  Mapping file;
  if (!options.file.empty()) {
    ASSIGN_OR_RETURN(file, MapFile(options.file));
  }
  ASSIGN_OR_RETURN(auto session, packet_stream::Session::Open(options.open));
  ASSIGN_OR_RETURN(auto stack, Stack::Create(session.get(), options.ip));
  ASSIGN_OR_RETURN(auto server, HttpServer::Create(
                                    options.port, {file.data(), file.bytes()}));
  LogInfo(absl::StrCat("serves on ", options.open.instance));
  const absl::Status status = stack->Run(stop.fd());
  LogInfo(absl::StrCat(server->requests(), " requests, ", stack->received(),
                       " frames received, ", stack->sent(), " sent, ",
                       stack->dropped(), " dropped, ",
                       session->counters().recoveries, " drivers died"));
  server.reset();
  session->Flush();
  return status;
}

}  // namespace
}  // namespace bulkhead::nic_lwip

int main(int argc, char** argv) {
  bulkhead::nic_lwip::Options options;
  int exit_code = 0;
  if (!bulkhead::nic_lwip::ParseOptions(argc, argv, options, exit_code)) {
    return exit_code;
  }
  std::signal(SIGPIPE, SIG_IGN);
  bulkhead::SetLogName("nic_lwip");
  const absl::Status status = bulkhead::nic_lwip::Run(options);
  if (status.ok()) return 0;
  std::cerr << "nic_lwip: " << status.message() << "\n";
  return 1;
}
