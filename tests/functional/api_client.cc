#include "tests/functional/api_client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "platform_service/api/platform.grpc.pb.h"

namespace bulkhead::functional {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

void Prepare(grpc::ClientContext& context) {
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

std::string Text(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

}  // namespace

struct ApiClient::Stubs {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Platform::Stub> platform;
};

ApiClient::ApiClient(const std::string& run_dir)
    : stubs_(std::make_unique<Stubs>()) {
  stubs_->channel = grpc::CreateChannel("unix:" + run_dir + "/platform.sock",
                                        grpc::InsecureChannelCredentials());
  stubs_->platform = v1::Platform::NewStub(stubs_->channel);
}

ApiClient::~ApiClient() = default;

absl::StatusOr<std::vector<std::string>> ApiClient::Apply(
    const std::string& text, bool dry_run) {
  grpc::ClientContext context;
  Prepare(context);
  v1::ApplyRequest request;
  request.set_path("scenario.yaml");
  request.set_text(text);
  request.set_dry_run(dry_run);
  v1::ApplyResponse reply;
  const absl::Status status =
      FromGrpc(stubs_->platform->Apply(&context, request, &reply));
  if (!status.ok()) return status;
  return std::vector<std::string>(reply.action().begin(), reply.action().end());
}

absl::Status ApiClient::ApplyOfSize(size_t bytes) {
  return Apply(std::string(bytes, '#')).status();
}

absl::StatusOr<std::vector<v1::Device>> ApiClient::ListDevices() {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListDevicesResponse reply;
  const absl::Status status =
      FromGrpc(stubs_->platform->ListDevices(&context, {}, &reply));
  if (!status.ok()) return status;
  return std::vector<v1::Device>(reply.device().begin(), reply.device().end());
}

absl::StatusOr<std::vector<v1::Session>> ApiClient::ListSessions() {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListSessionsResponse reply;
  const absl::Status status =
      FromGrpc(stubs_->platform->ListSessions(&context, {}, &reply));
  if (!status.ok()) return status;
  return std::vector<v1::Session>(reply.session().begin(),
                                  reply.session().end());
}

std::vector<v1::DeviceChange> ApiClient::WatchDevices(size_t count) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(2));
  auto reader = stubs_->platform->WatchDevices(&context, {});
  std::vector<v1::DeviceChange> changes;
  for (v1::DeviceChange change;
       changes.size() < count && reader->Read(&change);) {
    changes.push_back(change);
  }
  context.TryCancel();
  return changes;
}

absl::StatusOr<int> ApiClient::Kill(const std::string& name, int signal) {
  grpc::ClientContext context;
  Prepare(context);
  v1::KillRequest request;
  request.set_name(name);
  request.set_signal(signal);
  v1::KillResponse reply;
  const absl::Status status =
      FromGrpc(stubs_->platform->Kill(&context, request, &reply));
  if (!status.ok()) return status;
  return reply.pid();
}

// grpc.health.v1 and grpc.reflection.v1alpha are called by their bytes, as a
// program would that knows nothing but their public description.
std::string ApiClient::Health() {
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(
      stubs_->channel);
  grpc::ClientContext context;
  Prepare(context);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                    Bytes(""), &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->Finish(&reply, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  if (!status.ok()) return status.error_message();
  // HealthCheckResponse: field 1, varint; 1 is SERVING.
  return Text(reply) == std::string("\x08\x01") ? "SERVING" : "NOT_SERVING";
}

std::vector<std::string> ApiClient::ReflectedServices() {
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(
      stubs_->channel);
  grpc::ClientContext context;
  Prepare(context);
  grpc::CompletionQueue queue;
  void* tag;
  bool ok;
  auto call = stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  // ServerReflectionRequest: field 7, list_services, a string.
  call->Write(Bytes(std::string("\x3a\x01*")), nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer reply;
  call->Read(&reply, nullptr);
  queue.Next(&tag, &ok);
  std::vector<std::string> services;
  const std::string text = Text(reply);
  for (const char* name :
       {"bulkhead.platform.v1.Platform", "grpc.health.v1.Health"}) {
    if (text.find(name) != std::string::npos) services.emplace_back(name);
  }
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return services;
}

int ApiClient::OpenStreams(int count) {
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::Event>> reader;
  };
  std::vector<Stream> streams(count);
  v1::WatchEventsRequest request;
  request.set_follow(true);
  for (Stream& stream : streams) {
    stream.context.set_deadline(std::chrono::system_clock::now() + kPatience);
    stream.reader = stubs_->platform->WatchEvents(&stream.context, request);
  }
  int refused = 0;
  for (Stream& stream : streams) {
    // Kept events come at once; a stream without any was refused.
    v1::Event event;
    if (stream.reader->Read(&event)) continue;
    refused += stream.reader->Finish().error_code() ==
               grpc::StatusCode::RESOURCE_EXHAUSTED;
    stream.reader.reset();
  }
  for (Stream& stream : streams) {
    if (stream.reader == nullptr) continue;
    stream.context.TryCancel();
    (void)stream.reader->Finish();
  }
  return refused;
}

}  // namespace bulkhead::functional
