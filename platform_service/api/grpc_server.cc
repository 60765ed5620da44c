#include "platform_service/api/grpc_server.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "base/seqpacket.h"
#include "platform_service/api/platform.grpc.pb.h"
#include "platform_service/api/prepare_scenario.h"
#include "platform_service/pci/enumerate.h"
#include "platform_service/sessions/session_server.h"

namespace bulkhead::platform {
namespace {

// A scenario has at most 1 MiB.
constexpr int kMaxMessageBytes = 2 << 20;
constexpr int kMaxStreamsPerConnection = 32;
// Each stream that follows something holds a thread.
constexpr int kMaxWatchers = 24;
constexpr int kMaxThreads = 64;
constexpr size_t kMaxGrpcBytes = 64 << 20;
// How soon a stream notices that its client has cancelled.
constexpr auto kCancelCheck = std::chrono::milliseconds(500);
constexpr size_t kEventsPerBatch = 256;

// Half of the descriptors that this process may have are for NICs and sessions,
// whatever number of idle connections somebody opens.
int MostConnectionFd() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 512;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20) / 2);
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

v1::Event ToApi(const supervisor::Event& event) {
  v1::Event message;
  message.set_sequence(event.sequence());
  message.set_time_ns(event.time_ns());
  message.set_process(event.process());
  message.set_generation(event.generation());
  message.set_kind(event.kind());
  message.set_text(event.text());
  return message;
}

// Private_Dirty of a process in bytes; 0: the system does not tell.
uint64_t PrivateBytes(int pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  for (std::string word; file >> word;) {
    uint64_t kilobytes = 0;
    if (word == "Private_Dirty:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

// pci.ids takes some 20 ms to read: not on the core's thread.
void FillNames(v1::Device* device) {
  pci::PciDeviceInfo info;
  info.vendor = static_cast<uint16_t>(device->vendor());
  info.device = static_cast<uint16_t>(device->device());
  info.subsystem_vendor = static_cast<uint16_t>(device->subsystem_vendor());
  info.subsystem_device = static_cast<uint16_t>(device->subsystem_device());
  info.class_code = device->class_code();
  pci::FillNames(&info);
  if (device->vendor_name().empty()) device->set_vendor_name(info.vendor_name);
  if (device->device_name().empty()) device->set_device_name(info.device_name);
}

class PlatformApi final : public v1::Platform::Service {
 public:
  PlatformApi(GrpcServer::Options options, OperatorApi& api, Mailbox& mailbox,
              EventFeed& feed)
      : options_(std::move(options)),
        api_(api),
        mailbox_(mailbox),
        feed_(feed) {}

  grpc::Status ListDevices(grpc::ServerContext*, const v1::ListDevicesRequest*,
                           v1::ListDevicesResponse* reply) override {
    for (v1::Device& device : NamedDevices()) {
      *reply->add_device() = std::move(device);
    }
    return grpc::Status::OK;
  }

  grpc::Status WatchDevices(
      grpc::ServerContext* context, const v1::ListDevicesRequest*,
      grpc::ServerWriter<v1::DeviceChange>* writer) override {
    const Watcher watcher(watchers_);
    if (!watcher.admitted()) return TooManyWatchers();
    std::map<std::string, v1::Device> known;
    do {
      // Whatever changes a device is an event too.
      const uint64_t seen = LastSequence();
      if (!SendDeviceChanges(&known, writer)) break;
      while (!context->IsCancelled() && LastSequence() == seen) {
        if (!feed_.Wait(seen, kCancelCheck)) return grpc::Status::OK;
      }
    } while (!context->IsCancelled());
    return grpc::Status::OK;
  }

  grpc::Status ListInstances(grpc::ServerContext*,
                             const v1::ListInstancesRequest*,
                             v1::ListInstancesResponse* reply) override {
    for (v1::Instance& instance :
         Ask<std::vector<v1::Instance>>([&] { return api_.ListInstances(); })) {
      if (instance.pid() > 0) {
        instance.set_private_bytes(PrivateBytes(instance.pid()));
      }
      *reply->add_instance() = std::move(instance);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListSessions(grpc::ServerContext*,
                            const v1::ListSessionsRequest*,
                            v1::ListSessionsResponse* reply) override {
    for (v1::Session& session :
         Ask<std::vector<v1::Session>>([&] { return api_.ListSessions(); })) {
      *reply->add_session() = std::move(session);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::Status* reply) override {
    *reply = Ask<v1::Status>([&] { return api_.GetStatus(); });
    for (v1::Instance& instance : *reply->mutable_instance()) {
      if (instance.pid() > 0) {
        instance.set_private_bytes(PrivateBytes(instance.pid()));
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status WatchEvents(grpc::ServerContext* context,
                           const v1::WatchEventsRequest* request,
                           grpc::ServerWriter<v1::Event>* writer) override {
    const Watcher watcher(watchers_);
    if (!watcher.admitted()) return TooManyWatchers();
    uint64_t after = request->after_sequence();
    for (;;) {
      std::vector<supervisor::Event> events;
      while (!(events = feed_.After(after, kEventsPerBatch)).empty()) {
        for (const supervisor::Event& event : events) {
          after = event.sequence();
          if (!request->process().empty() &&
              request->process() != event.process()) {
            continue;
          }
          if (!writer->Write(ToApi(event))) return grpc::Status::OK;
        }
      }
      if (!request->follow()) return grpc::Status::OK;
      if (context->IsCancelled() || !feed_.Wait(after, kCancelCheck)) {
        return grpc::Status::OK;
      }
    }
  }

  grpc::Status Kill(grpc::ServerContext*, const v1::KillRequest* request,
                    v1::KillResponse* reply) override {
    const auto pid = Ask<absl::StatusOr<int>>(
        [&] { return api_.Kill(request->name(), request->signal()); });
    if (pid.ok()) reply->set_pid(*pid);
    return ToGrpc(pid.status());
  }

  grpc::Status Restart(grpc::ServerContext*, const v1::RestartRequest* request,
                       v1::RestartResponse*) override {
    return ToGrpc(
        Ask<absl::Status>([&] { return api_.Restart(request->name()); }));
  }

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request,
                     v1::ApplyResponse* reply) override {
    const auto prepared =
        PrepareScenario(request->text(), request->path(), options_.bin_dir);
    if (!prepared.ok()) return ToGrpc(prepared.status());
    const auto actions = Ask<absl::StatusOr<std::vector<std::string>>>(
        [&] { return api_.Apply(*prepared, request->dry_run()); });
    if (!actions.ok()) return ToGrpc(actions.status());
    for (const std::string& action : *actions) reply->add_action(action);
    return grpc::Status::OK;
  }

  grpc::Status QueryRouter(grpc::ServerContext*,
                           const v1::QueryRouterRequest* request,
                           v1::RouterTable* reply) override {
    std::promise<absl::StatusOr<v1::RouterTable>> answer;
    mailbox_.Put([&] {
      api_.QueryRouter(request->what(), request->question(),
                       [&answer](absl::StatusOr<v1::RouterTable> table) {
                         answer.set_value(std::move(table));
                       });
    });
    absl::StatusOr<v1::RouterTable> table = answer.get_future().get();
    if (table.ok()) *reply = *std::move(table);
    return ToGrpc(table.status());
  }

  grpc::Status Down(grpc::ServerContext*, const v1::DownRequest*,
                    v1::DownResponse* reply) override {
    std::promise<uint32_t> stopped;
    mailbox_.Put([&] {
      api_.Down([&stopped](uint32_t count) { stopped.set_value(count); });
    });
    reply->set_stopped(stopped.get_future().get());
    mailbox_.Put([this] { api_.ShutDown(); });
    return grpc::Status::OK;
  }

 private:
  class Watcher {
   public:
    explicit Watcher(std::atomic<int>& count)
        : count_(count), admitted_(count.fetch_add(1) < kMaxWatchers) {}
    ~Watcher() { count_.fetch_sub(1); }
    bool admitted() const { return admitted_; }

   private:
    std::atomic<int>& count_;
    bool admitted_;
  };

  // Runs `question` on the core's thread and waits for its answer.
  template <typename T>
  T Ask(const std::function<T()>& question) {
    std::promise<T> answer;
    mailbox_.Put([&] { answer.set_value(question()); });
    return answer.get_future().get();
  }

  static grpc::Status TooManyWatchers() {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                        absl::StrCat("follow: ", kMaxWatchers,
                                     " streams are open already; close one"));
  }

  std::vector<v1::Device> NamedDevices() {
    std::vector<v1::Device> devices =
        Ask<std::vector<v1::Device>>([&] { return api_.ListDevices(); });
    for (v1::Device& device : devices) FillNames(&device);
    return devices;
  }

  uint64_t LastSequence() const { return feed_.last_sequence(); }

  // Tells what differs from `known`; false: the client is gone.
  bool SendDeviceChanges(std::map<std::string, v1::Device>* known,
                         grpc::ServerWriter<v1::DeviceChange>* writer) {
    std::map<std::string, v1::Device> present;
    for (v1::Device& device : NamedDevices()) {
      present[device.address()] = std::move(device);
    }
    v1::DeviceChange change;
    for (const auto& [address, device] : present) {
      const auto it = known->find(address);
      if (it != known->end() &&
          it->second.SerializeAsString() == device.SerializeAsString()) {
        continue;
      }
      change.set_kind(it == known->end() ? v1::DeviceChange::ADDED
                                         : v1::DeviceChange::CHANGED);
      *change.mutable_device() = device;
      if (!writer->Write(change)) return false;
    }
    for (const auto& [address, device] : *known) {
      if (present.count(address) != 0) continue;
      change.set_kind(v1::DeviceChange::REMOVED);
      *change.mutable_device() = device;
      if (!writer->Write(change)) return false;
    }
    *known = std::move(present);
    return true;
  }

  const GrpcServer::Options options_;
  OperatorApi& api_;
  Mailbox& mailbox_;
  EventFeed& feed_;
  std::atomic<int> watchers_{0};
};

class Server final : public GrpcServer {
 public:
  Server(UniqueFd listener, Options options, OperatorApi& api, Mailbox& mailbox,
         EventFeed& feed)
      : listener_(std::move(listener)),
        stop_(::eventfd(0, EFD_CLOEXEC)),
        feed_(feed),
        service_(std::move(options), api, mailbox, feed),
        thread_([this] { Run(); }) {}

  ~Server() override {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written =
        ::write(stop_.get(), &one, sizeof(one));
    feed_.Close();
    thread_.join();
  }

  int listener() const override { return listener_.get(); }

 private:
  void Run() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ResourceQuota quota("bulkhead");
    quota.SetMaxThreads(kMaxThreads).Resize(kMaxGrpcBytes);
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_)
        .SetResourceQuota(quota)
        .SetMaxReceiveMessageSize(kMaxMessageBytes)
        .SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1)
        .SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1)
        .SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2)
        // Pollers wake up for work alone: an idle system sleeps.
        .SetSyncServerOption(grpc::ServerBuilder::CQ_TIMEOUT_MSEC, 3'600'000)
        .AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                            kMaxStreamsPerConnection);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      LogError("start the gRPC server: gRPC refused; its log says why");
      return;
    }
    pollfd waits[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(waits, 2, -1) >= 0 || errno == EINTR) {
      if (waits[1].revents != 0) break;
      if (waits[0].revents != 0) Accept();
    }
    server_->Shutdown(std::chrono::system_clock::now());
  }

  void Accept() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      // Out of descriptors: the connection stays in the queue.
      if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
      return;
    }
    const absl::StatusOr<PeerCredentials> peer = GetPeerCredentials(fd.get());
    if (!peer.ok() || !IsPermittedUser(peer->uid)) {
      LogWarning(absl::StrCat("refused a gRPC connection of user ",
                              peer.ok() ? peer->uid : 0, ": only user ",
                              ::geteuid(), " and root may connect"));
      return;
    }
    // The number of a new descriptor is the lowest that is free.
    if (fd.get() >= most_fd_) {
      LogWarning("refused a gRPC connection: too many are open");
      return;
    }
    grpc::AddInsecureChannelFromFd(server_.get(), fd.Release());
  }

  UniqueFd listener_;
  const int most_fd_ = MostConnectionFd();
  UniqueFd stop_;
  EventFeed& feed_;
  PlatformApi service_;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<GrpcServer> GrpcServer::Start(UniqueFd listener,
                                              Options options, OperatorApi& api,
                                              Mailbox& mailbox,
                                              EventFeed& feed) {
  return std::make_unique<Server>(std::move(listener), std::move(options), api,
                                  mailbox, feed);
}

absl::StatusOr<UniqueFd> ListenStream(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listen on ", path, ": the path is longer than ",
        sizeof(address.sun_path) - 1, " bytes; choose a shorter --run_dir"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("create a stream socket");
  // The supervisor holds the run directory: a socket there is a dead system's.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove stale ", path));
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), 64) != 0) {
    return ErrnoStatus(absl::StrCat("listen on ", path));
  }
  return fd;
}

}  // namespace bulkhead::platform
