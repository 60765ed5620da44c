#include "platform_service/vfio/kernel_log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "platform_service/pci/device.h"

namespace bulkhead::platform {
namespace {

constexpr size_t kLongestText = 200;
// Between two turns of the loop; a flood must not hold up the rest.
constexpr int kMostRecords = 256;

std::string Printable(absl::string_view text) {
  std::string out(text.substr(0, kLongestText));
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return !absl::ascii_isprint(static_cast<uint8_t>(c)); },
      '?');
  return out;
}

// What lies between the two, the first time; empty when they are not there.
absl::string_view Between(absl::string_view text, absl::string_view before,
                          absl::string_view after) {
  const size_t start = text.find(before);
  if (start == absl::string_view::npos) return {};
  text.remove_prefix(start + before.size());
  return text.substr(0, text.find(after));
}

std::string FullAddress(absl::string_view address) {
  // Intel leaves the domain out where it is 0.
  std::string full = address.size() == 7 ? absl::StrCat("0000:", address)
                                         : std::string(address);
  return pci::IsPciAddress(full) ? full : "";
}

// Of the device that a line is about, as dev_printk puts it in front: "DRIVER
// ADDRESS" ahead of `mark`.
std::string PrefixAddress(absl::string_view text, absl::string_view mark) {
  const size_t end = text.find(mark);
  if (end == absl::string_view::npos) return "";
  text = text.substr(0, end);
  return FullAddress(text.substr(text.rfind(' ') + 1));
}

bool ParseIntel(absl::string_view text, DeviceFault* fault) {
  const bool interrupt = absl::StartsWith(text, "DMAR: [INTR-REMAP] ");
  if (!interrupt && !absl::StartsWith(text, "DMAR: [DMA ")) return false;
  fault->address = FullAddress(Between(text, "Request device [", "]"));
  const bool write = absl::StartsWith(Between(text, "[DMA ", "]"), "Write");
  fault->text = Printable(absl::StrCat(
      interrupt ? "interrupt request "
      : write   ? "DMA write to "
                : "DMA read of ",
      Between(text, interrupt ? "fault index " : "fault addr ", " "),
      " was blocked: ",
      absl::StripAsciiWhitespace(
          Between(Between(text, "[fault reason ", "\n"), "]", "\n"))));
  return true;
}

bool ParseAmd(absl::string_view text, DeviceFault* fault) {
  // Of the flags (drivers/iommu/amd/amd_iommu_types.h, EVENT_FLAG_I).
  constexpr uint32_t kInterrupt = 0x008;
  if (!absl::StrContains(text, "AMD-Vi: Event logged [IO_PAGE_FAULT ")) {
    return false;
  }
  fault->address = FullAddress(Between(text, "device=", " "));
  if (fault->address.empty()) {
    fault->address = PrefixAddress(text, ": AMD-Vi: ");
  }
  const absl::string_view flags = Between(text, "flags=", "]");
  uint32_t bits = 0;
  const bool interrupt =
      absl::SimpleHexAtoi(flags, &bits) && (bits & kInterrupt) != 0;
  fault->text = Printable(absl::StrCat(
      interrupt ? "interrupt request to " : "DMA to ",
      Between(text, "address=", " "), " was blocked: flags ", flags));
  return true;
}

bool ParseAer(absl::string_view text, DeviceFault* fault) {
  if (!absl::StrContains(text, " AER: ") &&
      !absl::StrContains(text, ": PCIe Bus Error: ")) {
    return false;
  }
  fault->kind = DeviceFault::Kind::kBus;
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  if (words.size() < 3) return false;
  fault->address = FullAddress(absl::StripSuffix(words[1], ":"));
  fault->text = Printable(text.substr(words[0].size() + words[1].size() + 2));
  return true;
}

}  // namespace

std::optional<DeviceFault> ParseKernelRecord(absl::string_view record) {
  const size_t semicolon = record.find(';');
  if (semicolon == absl::string_view::npos) return std::nullopt;
  const std::vector<absl::string_view> head =
      absl::StrSplit(record.substr(0, semicolon), ',');
  absl::string_view text = record.substr(semicolon + 1);
  text = text.substr(0, text.find('\n'));
  DeviceFault fault;
  uint32_t prefix = 0;
  // Only what the kernel itself says: facility 0. Everybody may write to
  // /dev/kmsg with another.
  if (head.size() < 4 || !absl::SimpleAtoi(head[0], &prefix) ||
      prefix >> 3 != 0 || !absl::SimpleAtoi(head[2], &fault.time_us)) {
    return std::nullopt;
  }
  if (!ParseIntel(text, &fault) && !ParseAmd(text, &fault) &&
      !ParseAer(text, &fault)) {
    return std::nullopt;
  }
  if (fault.address.empty()) return std::nullopt;
  return fault;
}

absl::StatusOr<std::unique_ptr<KernelLog>> KernelLog::Open(EventLoop& loop,
                                                           Handler handler) {
  UniqueFd file(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus("open /dev/kmsg");
  // What was said before is not about our instances.
  if (::lseek(file.get(), 0, SEEK_END) < 0) {
    return ErrnoStatus("go to the end of /dev/kmsg");
  }
  std::unique_ptr<KernelLog> log(
      new KernelLog(loop, std::move(file), std::move(handler)));
  KernelLog* const raw = log.get();
  ASSIGN_OR_RETURN(log->watch_,
                   loop.Watch(log->file_.get(), EPOLLIN,
                              [raw](uint32_t) { raw->HandleReadable(); }));
  return log;
}

KernelLog::~KernelLog() {
  if (watch_ != 0) loop_.Unwatch(watch_);
}

void KernelLog::HandleReadable() {
  char record[8192];
  for (int i = 0; i < kMostRecords; ++i) {
    const ssize_t got = ::read(file_.get(), record, sizeof(record));
    // EPIPE: records were overwritten before we came; the next read goes on
    // behind them.
    if (got < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (got <= 0) return;
    const auto fault =
        ParseKernelRecord(absl::string_view(record, static_cast<size_t>(got)));
    if (fault.has_value()) handler_(*fault);
  }
}

}  // namespace bulkhead::platform
