#include "tests/bench/system_under_test.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "platform_service/api/platform.grpc.pb.h"

namespace bulkhead::bench {
namespace {

namespace fs = std::filesystem;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

void SleepMs(int ms) { ::usleep(ms * 1000); }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Words(const v1::Status& status) {
  std::string text;
  for (const v1::Instance& instance : status.instance()) {
    absl::StrAppend(&text, instance.name(), " ", instance.phase(),
                    " generation ", instance.generation(),
                    instance.link_up() ? " link up " : " link down ",
                    instance.reason(), "\n");
  }
  for (const v1::Process& process : status.process()) {
    absl::StrAppend(&text, process.name(), " ", process.phase(), " ",
                    process.reason(), "\n");
  }
  return text;
}

// Standard error goes to `log`; the child dies with us (S10).
absl::StatusOr<int> Spawn(const std::vector<std::string>& arguments,
                          const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const int log_fd =
      ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus("fork the supervisor");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(log_fd, STDOUT_FILENO);
    ::dup2(log_fd, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(log_fd);
  return pid;
}

}  // namespace

struct SystemUnderTest::Api {
  std::unique_ptr<v1::Platform::Stub> stub;

  explicit Api(const std::string& socket)
      : stub(v1::Platform::NewStub(grpc::CreateCustomChannel(
            "unix:" + socket, grpc::InsecureChannelCredentials(),
            ImpatientArguments()))) {}

  // The platform service comes and goes in these tests: look again at once.
  static grpc::ChannelArguments ImpatientArguments() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 5);
    // This one is how long a connection may take to be made.
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return arguments;
  }

  static void Prepare(grpc::ClientContext& context, int timeout_ms = 2000) {
    // Waits for a platform service that is being (re)started; a call that
    // failed at once would also leave nobody to drive the connection.
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(timeout_ms));
  }
};

std::string MakeScenario(const std::vector<NicGroup>& groups,
                         absl::string_view more) {
  std::string simulated = "simulated:\n";
  std::string drivers = "drivers:\n";
  for (const NicGroup& group : groups) {
    for (int i = 0; i < group.nics; ++i) {
      absl::StrAppend(&simulated, "  - name: ", group.port, i,
                      "\n    model: 82574l\n    network: ", group.network,
                      "\n");
      if (!group.faults.empty()) {
        absl::StrAppend(&simulated, "    faults: ", group.faults, "\n");
      }
    }
    absl::StrAppend(
        &drivers, "  - match: {name: \"", group.port,
        "*\"}\n    driver: ", group.driver, "\n    instance: ", group.instance,
        "\n    standby: ", group.standby ? "true" : "false", "\n", group.rule);
  }
  return absl::StrCat("apiVersion: bulkhead/v1\n", simulated, drivers, more);
}

SystemUnderTest::SystemUnderTest(std::string run_dir, std::string parent_dir)
    : run_dir_(std::move(run_dir)), parent_dir_(std::move(parent_dir)) {}

absl::StatusOr<std::unique_ptr<SystemUnderTest>> SystemUnderTest::Start(
    const Options& options) {
  // As /run and $XDG_RUNTIME_DIR are on a machine with systemd: a tmpfs.
  constexpr char kTmpfs[] = "/dev/shm";
  std::string dir = absl::StrCat(::access(kTmpfs, W_OK) == 0 ? kTmpfs : "/tmp",
                                 "/bulkhead-sut-XXXXXX");
  if (::mkdtemp(dir.data()) == nullptr) return ErrnoStatus("make " + dir);
  auto system =
      std::unique_ptr<SystemUnderTest>(new SystemUnderTest(dir + "/run", dir));
  fs::create_directory(system->run_dir_);
  fs::permissions(system->run_dir_, fs::perms::owner_all);
  std::ofstream(dir + "/scenario.yaml") << options.scenario;
  system->bin_dir_ = options.bin_dir.empty() ? FindBinaries() : options.bin_dir;
  RETURN_IF_ERROR(system->Launch());
  return system;
}

absl::Status SystemUnderTest::Launch() {
  started_ns_ = MonotonicNs();
  ASSIGN_OR_RETURN(
      supervisor_pid_,
      Spawn({bin_dir_ + "/supervisor/supervisor", "--run_dir=" + run_dir_,
             "--bin_dir=" + bin_dir_,
             "--platform=" + bin_dir_ + "/platform_service/platform_service",
             "--", "--run_dir=" + run_dir_, "--bin_dir=" + bin_dir_,
             "--scenario=" + parent_dir_ + "/scenario.yaml"},
            parent_dir_ + "/supervisor.log"));
  api_ = std::make_unique<Api>(run_dir_ + "/platform.sock");
  return absl::OkStatus();
}

absl::StatusOr<int> SystemUnderTest::Kill(absl::string_view process,
                                          int signal) {
  ASSIGN_OR_RETURN(const int pid, PidOf(process));
  if (::kill(pid, signal) != 0) {
    return ErrnoStatus(absl::StrCat("kill ", process));
  }
  return pid;
}

void SystemUnderTest::KillEverything() {
  for (const int pid : Processes()) ::kill(pid, SIGKILL);
  ReapSupervisor(-1);
}

absl::Status SystemUnderTest::StartAgain() { return Launch(); }

SystemUnderTest::~SystemUnderTest() {
  const std::vector<int> processes = Processes();
  if (supervisor_pid_ > 0 && !ReapSupervisor(0)) {
    ::kill(supervisor_pid_, SIGKILL);
    ReapSupervisor(-1);
  }
  // The supervisor's death ends its children; what is left is a fault that
  // tests look for before they come here, and must not outlive us (S10).
  for (int i = 0; i < 200; ++i) {
    if (std::none_of(processes.begin(), processes.end(), ProcessExists)) break;
    SleepMs(5);
  }
  for (const int pid : processes) {
    if (ProcessExists(pid)) ::kill(pid, SIGKILL);
  }
  if (std::getenv("BULKHEAD_KEEP_RUN_DIR") == nullptr) {
    std::error_code ignored;
    fs::remove_all(parent_dir_, ignored);
  }
}

bool SystemUnderTest::ReapSupervisor(int timeout_ms) {
  for (int waited = 0;; ++waited) {
    if (::waitpid(supervisor_pid_, nullptr, timeout_ms < 0 ? 0 : WNOHANG) !=
        0) {
      supervisor_pid_ = 0;
      return true;
    }
    if (waited >= timeout_ms) return false;
    SleepMs(1);
  }
}

absl::Status SystemUnderTest::WaitForLinks(int links, int timeout_ms) {
  return WaitForStatus(
      [links](const v1::Status& status) {
        return std::count_if(status.instance().begin(), status.instance().end(),
                             [](const v1::Instance& instance) {
                               return instance.link_up();
                             }) >= links;
      },
      timeout_ms);
}

absl::Status SystemUnderTest::WaitForStatus(
    std::function<bool(const v1::Status&)> condition, int timeout_ms) {
  const uint64_t deadline = MonotonicNs() + uint64_t(timeout_ms) * 1'000'000;
  absl::StatusOr<v1::Status> status;
  do {
    status = GetStatus();
    if (status.ok() && condition(*status)) return absl::OkStatus();
    if (::waitpid(supervisor_pid_, nullptr, WNOHANG) == supervisor_pid_) {
      supervisor_pid_ = 0;
      return absl::UnavailableError(
          absl::StrCat("the supervisor ended by itself:\n",
                       ReadFile(parent_dir_ + "/supervisor.log")));
    }
    SleepMs(5);
  } while (MonotonicNs() < deadline);
  return absl::DeadlineExceededError(absl::StrCat(
      "not in ", timeout_ms, " ms: ",
      status.ok() ? Words(*status) : std::string(status.status().message()),
      "\nevents:\n", EventText(), "\nsupervisor:\n",
      ReadFile(parent_dir_ + "/supervisor.log"), "\nplatform:\n",
      LogOf("platform_service")));
}

absl::StatusOr<v1::Event> SystemUnderTest::WaitForEvent(
    absl::string_view process, absl::string_view kind,
    absl::string_view text_part, int timeout_ms, uint64_t after_sequence) {
  const uint64_t deadline = MonotonicNs() + uint64_t(timeout_ms) * 1'000'000;
  do {
    const auto events = Events(after_sequence);
    if (events.ok()) {
      for (const v1::Event& event : *events) {
        if ((process.empty() || event.process() == process) &&
            (kind.empty() || event.kind() == kind) &&
            absl::StrContains(event.text(), text_part)) {
          return event;
        }
      }
    }
    SleepMs(5);
  } while (MonotonicNs() < deadline);
  return absl::DeadlineExceededError(absl::StrCat(
      "no event ", process, " ", kind, " \"", text_part, "\" in ", timeout_ms,
      " ms; there were:\n", EventText(after_sequence)));
}

absl::StatusOr<v1::Status> SystemUnderTest::GetStatus() {
  grpc::ClientContext context;
  Api::Prepare(context);
  v1::Status status;
  RETURN_IF_ERROR(FromGrpc(api_->stub->GetStatus(&context, {}, &status)));
  return status;
}

absl::StatusOr<v1::Instance> SystemUnderTest::GetInstance(
    absl::string_view name) {
  grpc::ClientContext context;
  Api::Prepare(context);
  v1::ListInstancesResponse list;
  RETURN_IF_ERROR(FromGrpc(api_->stub->ListInstances(&context, {}, &list)));
  for (const v1::Instance& instance : list.instance()) {
    if (instance.name() == name) return instance;
  }
  return absl::NotFoundError(absl::StrCat("no instance ", name));
}

absl::StatusOr<int> SystemUnderTest::PidOf(absl::string_view name) {
  ASSIGN_OR_RETURN(const v1::Status status, GetStatus());
  for (const v1::Instance& instance : status.instance()) {
    if (instance.name() == name && instance.pid() > 0) return instance.pid();
  }
  for (const v1::Process& process : status.process()) {
    if (process.name() == name && process.pid() > 0) return process.pid();
  }
  return absl::NotFoundError(
      absl::StrCat("no running process ", name, "; ", Words(status)));
}

absl::StatusOr<std::vector<v1::Event>> SystemUnderTest::Events(
    uint64_t after_sequence) {
  grpc::ClientContext context;
  Api::Prepare(context);
  v1::WatchEventsRequest request;
  request.set_after_sequence(after_sequence);
  const auto reader = api_->stub->WatchEvents(&context, request);
  std::vector<v1::Event> events;
  v1::Event event;
  while (reader->Read(&event)) events.push_back(event);
  RETURN_IF_ERROR(FromGrpc(reader->Finish()));
  return events;
}

std::string SystemUnderTest::EventText(uint64_t after_sequence) {
  const auto events = Events(after_sequence);
  if (!events.ok()) return std::string(events.status().message());
  std::string text;
  for (const v1::Event& event : *events) {
    absl::StrAppendFormat(
        &text, "%12.3f ms %s/%d %s %s\n", (event.time_ns() - started_ns_) / 1e6,
        event.process(), event.generation(), event.kind(), event.text());
  }
  return text;
}

absl::Status SystemUnderTest::Restart(absl::string_view name) {
  grpc::ClientContext context;
  Api::Prepare(context);
  v1::RestartRequest request;
  request.set_name(std::string(name));
  v1::RestartResponse response;
  return FromGrpc(api_->stub->Restart(&context, request, &response));
}

absl::StatusOr<std::vector<std::string>> SystemUnderTest::Apply(
    const std::string& scenario) {
  grpc::ClientContext context;
  Api::Prepare(context);
  v1::ApplyRequest request;
  request.set_path("applied.yaml");
  request.set_text(scenario);
  v1::ApplyResponse response;
  RETURN_IF_ERROR(FromGrpc(api_->stub->Apply(&context, request, &response)));
  return std::vector<std::string>(response.action().begin(),
                                  response.action().end());
}

std::string SystemUnderTest::LogOf(absl::string_view name) const {
  return ReadFile(absl::StrCat(run_dir_, "/log/", name, ".log"));
}

absl::Status SystemUnderTest::Down(int timeout_ms) {
  grpc::ClientContext context;
  Api::Prepare(context, timeout_ms);
  v1::DownResponse response;
  RETURN_IF_ERROR(FromGrpc(api_->stub->Down(&context, {}, &response)));
  if (!ReapSupervisor(timeout_ms)) {
    return absl::DeadlineExceededError("the supervisor did not end after Down");
  }
  return absl::OkStatus();
}

std::vector<int> SystemUnderTest::Processes() const {
  return supervisor_pid_ > 0 ? ProcessTree(supervisor_pid_)
                             : std::vector<int>();
}

std::string FindBinaries() {
  if (const char* dir = std::getenv("BULKHEAD_BIN_DIR")) return dir;
  // Upwards from this program to the folder that has the supervisor in it.
  for (fs::path dir = fs::read_symlink("/proc/self/exe");
       dir != dir.root_path(); dir = dir.parent_path()) {
    if (fs::exists(dir / "supervisor/supervisor")) return dir.string();
  }
  return "bazel-bin";
}

std::vector<int> ProcessTree(int pid) {
  std::multimap<int, int> children;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const int child = std::atoi(entry.path().filename().c_str());
    if (child <= 0) continue;
    const std::string stat = ReadFile(entry.path() / "stat");
    // "PID (name) STATE PPID …"; the name may hold anything, so go from its
    // last parenthesis.
    const size_t end = stat.rfind(')');
    int parent = 0;
    if (end != std::string::npos &&
        std::sscanf(stat.c_str() + end, ") %*c %d", &parent) == 1) {
      children.emplace(parent, child);
    }
  }
  std::vector<int> tree = {pid};
  for (size_t i = 0; i < tree.size(); ++i) {
    const auto [first, last] = children.equal_range(tree[i]);
    for (auto it = first; it != last; ++it) tree.push_back(it->second);
  }
  return tree;
}

std::vector<int> Threads(int pid) {
  std::vector<int> threads;
  std::error_code ignored;
  for (const auto& entry :
       fs::directory_iterator(absl::StrCat("/proc/", pid, "/task"), ignored)) {
    threads.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return threads;
}

bool ProcessExists(int pid) {
  // A zombie that nobody has reaped yet runs no more.
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  const size_t end = stat.rfind(')');
  return end != std::string::npos && stat.compare(end, 3, ") Z") != 0;
}

}  // namespace bulkhead::bench
