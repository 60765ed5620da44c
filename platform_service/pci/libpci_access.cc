#include "platform_service/pci/libpci_access.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace bulkhead::pci {
namespace {

// A hostile tree must not fill the memory with complaints.
constexpr size_t kMaxWarnings = 32;
constexpr size_t kMaxMessageBytes = 512;

// libpci's handlers carry no argument of ours, so they find it here.
thread_local jmp_buf* g_landing = nullptr;
thread_local LibpciAccess* g_current = nullptr;
thread_local char g_message[kMaxMessageBytes];

}  // namespace

LibpciAccess::LibpciAccess() : access_(pci_alloc()) {
  access_->error = &LibpciAccess::OnError;
  access_->warning = &LibpciAccess::OnWarning;
  access_->debug = &LibpciAccess::OnDebug;
}

LibpciAccess::~LibpciAccess() {
  // An error in here leaves memory behind, which is better than ending.
  Guard("close libpci", [&] { pci_cleanup(access_); }).IgnoreError();
}

absl::Status LibpciAccess::Configure(unsigned method,
                                     const std::string& parameter,
                                     const std::string& value) {
  access_->method = method;
  int refused = 0;
  absl::Status status = Guard("configure libpci", [&] {
    refused = pci_set_param(access_, const_cast<char*>(parameter.c_str()),
                            const_cast<char*>(value.c_str()));
  });
  if (!status.ok()) return status;
  if (refused != 0) {
    return absl::InternalError(
        absl::StrCat("libpci does not know its parameter ", parameter));
  }
  return absl::OkStatus();
}

absl::Status LibpciAccess::Scan() {
  absl::Status status = Guard("open the PCI bus", [&] { pci_init(access_); });
  if (!status.ok()) return status;
  return Guard("list PCI devices", [&] { pci_scan_bus(access_); });
}

jmp_buf* LibpciAccess::SetLanding(jmp_buf* landing) {
  return std::exchange(g_landing, landing);
}

LibpciAccess* LibpciAccess::SetCurrent(LibpciAccess* access) {
  return std::exchange(g_current, access);
}

absl::Status LibpciAccess::LastError(absl::string_view what) {
  return absl::InternalError(absl::StrCat("cannot ", what, ": ", g_message));
}

void LibpciAccess::OnError(char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(g_message, sizeof(g_message), format, arguments);
  va_end(arguments);
  // Every call of libpci is inside a Guard.
  if (g_landing == nullptr) abort();
  longjmp(*g_landing, 1);
}

void LibpciAccess::OnWarning(char* format, ...) {
  char message[kMaxMessageBytes];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  if (g_current != nullptr && g_current->warnings_.size() < kMaxWarnings) {
    g_current->warnings_.emplace_back(message);
  }
}

void LibpciAccess::OnDebug(char*, ...) {}

}  // namespace bulkhead::pci
