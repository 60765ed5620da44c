#include "clients/bulkhead/connection.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "platform_service/api/platform.grpc.pb.h"

namespace bulkhead::cli {
namespace {

class GrpcConnection : public Connection {
 public:
  GrpcConnection(const RunDir& run_dir, uint32_t deadline_ms)
      : run_dir_(run_dir), deadline_ms_(deadline_ms) {
    grpc::ChannelArguments arguments;
    // A platform service that restarts is back within milliseconds.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 10);
    // How long a connection may take to be made, by its effect: a platform
    // service that is taking cards accepts later.
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    stub_ = api::Platform::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("unix:", run_dir.PlatformSocket()),
        grpc::InsecureChannelCredentials(), arguments));
  }

  absl::StatusOr<api::Status> GetStatus() override {
    return Call<api::Status>(&api::Platform::Stub::GetStatus,
                             api::GetStatusRequest());
  }
  absl::StatusOr<api::ListInstancesResponse> ListInstances() override {
    return Call<api::ListInstancesResponse>(&api::Platform::Stub::ListInstances,
                                            api::ListInstancesRequest());
  }
  absl::StatusOr<api::ListDevicesResponse> ListDevices() override {
    return Call<api::ListDevicesResponse>(&api::Platform::Stub::ListDevices,
                                          api::ListDevicesRequest());
  }
  absl::StatusOr<api::KillResponse> Kill(
      const api::KillRequest& request) override {
    return Call<api::KillResponse>(&api::Platform::Stub::Kill, request);
  }
  absl::Status Restart(const api::RestartRequest& request) override {
    return Call<api::RestartResponse>(&api::Platform::Stub::Restart, request)
        .status();
  }
  absl::StatusOr<api::ApplyResponse> Apply(
      const api::ApplyRequest& request) override {
    return Call<api::ApplyResponse>(&api::Platform::Stub::Apply, request);
  }
  absl::StatusOr<api::RouterTable> QueryRouter(
      const api::QueryRouterRequest& request) override {
    return Call<api::RouterTable>(&api::Platform::Stub::QueryRouter, request);
  }
  absl::StatusOr<api::DownResponse> Down() override {
    return Call<api::DownResponse>(&api::Platform::Stub::Down,
                                   api::DownRequest());
  }

  absl::Status WatchEvents(
      const api::WatchEventsRequest& request,
      const std::function<bool(const api::Event&)>& event) override {
    grpc::ClientContext context;
    if (!request.follow()) SetDeadline(context);
    auto stream = stub_->WatchEvents(&context, request);
    api::Event read;
    bool stopped = false;
    while (!stopped && stream->Read(&read)) stopped = !event(read);
    if (stopped) context.TryCancel();
    const grpc::Status status = stream->Finish();
    return stopped ? absl::OkStatus() : Translate(status);
  }

 private:
  template <typename Response, typename Request>
  absl::StatusOr<Response> Call(
      grpc::Status (api::Platform::Stub::*method)(grpc::ClientContext*,
                                                  const Request&, Response*),
      const Request& request) {
    grpc::ClientContext context;
    SetDeadline(context);
    Response response;
    const grpc::Status status =
        ((*stub_).*method)(&context, request, &response);
    if (!status.ok()) return Translate(status);
    return response;
  }

  void SetDeadline(grpc::ClientContext& context) const {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(deadline_ms_));
  }

  absl::Status Translate(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    // gRPC's words for "nobody listens" help no operator.
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      const auto supervisor = run_dir_.FindSupervisor();
      if (!supervisor.ok()) return supervisor.status();
      if (!supervisor->has_value()) {
        return run_dir_.NothingRuns();
      }
      return absl::UnavailableError(absl::StrCat(
          "the platform service in ", run_dir_.path(),
          " does not answer although its supervisor runs; see `bulkhead logs "
          "platform_service`, or end it with `bulkhead down`"));
    }
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      return absl::DeadlineExceededError(
          absl::StrCat("the platform service in ", run_dir_.path(),
                       " did not answer within ", deadline_ms_,
                       " ms; see `bulkhead logs platform_service`"));
    }
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        status.error_message());
  }

  const RunDir run_dir_;
  const uint32_t deadline_ms_;
  std::unique_ptr<api::Platform::Stub> stub_;
};

}  // namespace

std::unique_ptr<Connection> Connection::Create(const RunDir& run_dir,
                                               uint32_t deadline_ms) {
  return std::make_unique<GrpcConnection>(run_dir, deadline_ms);
}

}  // namespace bulkhead::cli
