#include "platform_service/linux_interface/interface_taker.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "platform_service/linux_interface/netlink.h"
#include "platform_service/linux_interface/network_namespace.h"

namespace bulkhead::platform {
namespace {

constexpr size_t kMaxRecordBytes = 4096;

// The interface of this index in the thread's namespace, whatever its name.
absl::StatusOr<std::optional<LinkMessage>> FindLink(NetlinkSocket& kernel,
                                                    int index) {
  std::optional<LinkMessage> found;
  RETURN_IF_ERROR(
      kernel.Dump(RTM_GETLINK, [&](std::span<const uint8_t> message) {
        auto link = ReadLink(message);
        if (link && link->index == index) found = std::move(link);
      }));
  return found;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return ErrnoStatus(absl::StrCat("open ", path));
  std::string text(kMaxRecordBytes, '\0');
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return ErrnoStatus(absl::StrCat("read ", path));
  text.resize(static_cast<size_t>(got));
  return text;
}

uint32_t Count(const Ethtool::Channels& channels) {
  return channels.combined + channels.rx;
}

// What is left of `had`, and of its `tx` queues, when at most `most` (if not 0)
// are wanted that receive and send.
Ethtool::Channels FewerOf(const Ethtool::Channels& had, uint32_t tx,
                          uint32_t most) {
  if (most == 0 || Count(had) <= 1) return had;
  if (had.combined > 0) return {std::min(most, had.combined), 0};
  return {0, std::max(1u, std::min({most, had.rx, tx}))};
}

}  // namespace

// --- Take and give back ---------------------------------------------------

absl::StatusOr<uint32_t> InterfaceTaker::Take(
    const std::string& network_namespace, int index, const std::string& name,
    uint32_t most_queues) const {
  uint32_t queues = 1;
  RETURN_IF_ERROR(InNamespace(network_namespace, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
    ASSIGN_OR_RETURN(const std::optional<LinkMessage> link,
                     FindLink(kernel, index));
    if (!link.has_value()) {
      return absl::NotFoundError(
          absl::StrCat("take ", name, ": the interface is gone"));
    }
    ASSIGN_OR_RETURN(const Ethtool ethtool, Ethtool::Open());
    InterfaceRecord record;
    record.network_namespace = network_namespace;
    record.index = index;
    record.name = link->name;
    record.up = (link->flags & IFF_UP) != 0;
    record.gro = ethtool.Gro(link->name);
    record.lro = ethtool.Lro(link->name);
    record.channels = ethtool.ChannelsOf(link->name);
    ASSIGN_OR_RETURN(const InterfaceRecord before, Remember(record));
    const Ethtool::Channels wanted =
        FewerOf(before.channels, ethtool.TxChannelsOf(link->name), most_queues);
    queues = std::max(1u, Count(wanted));
    const absl::Status changed = Change(record, wanted);
    if (changed.ok()) return changed;
    const absl::Status undone = Restore(before);
    // Its record stays as long as it is not as it was.
    if (undone.ok()) {
      ::unlink(PathOf(network_namespace, index).c_str());
    } else {
      LogError(undone.message());
    }
    return changed;
  }));
  return queues;
}

absl::Status InterfaceTaker::Change(const InterfaceRecord& now,
                                    const Ethtool::Channels& wanted) const {
  ASSIGN_OR_RETURN(const Ethtool ethtool, Ethtool::Open());
  if (now.gro) RETURN_IF_ERROR(ethtool.SetGro(now.name, false));
  if (now.lro) RETURN_IF_ERROR(ethtool.SetLro(now.name, false));
  if (now.channels != wanted) {
    const absl::Status set = ethtool.SetChannels(now.name, wanted);
    if (!set.ok()) {
      return absl::Status(
          set.code(),
          absl::StrCat(set.message(), "; give the instance `limits: {queues: ",
                       Count(now.channels),
                       "}` if it may have as many, or have the interface "
                       "driven by af_packet"));
    }
  }
  if (now.up) return absl::OkStatus();
  ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
  return kernel.SetUp(now.index, true);
}

// What differs only, so that an operator's own changes stay where they can.
absl::Status InterfaceTaker::Restore(const InterfaceRecord& record) const {
  ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
  ASSIGN_OR_RETURN(const std::optional<LinkMessage> link,
                   FindLink(kernel, record.index));
  if (!link.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Ethtool ethtool, Ethtool::Open());
  absl::Status status;
  if (ethtool.ChannelsOf(link->name) != record.channels) {
    status.Update(ethtool.SetChannels(link->name, record.channels));
  }
  if (ethtool.Gro(link->name) != record.gro) {
    status.Update(ethtool.SetGro(link->name, record.gro));
  }
  if (ethtool.Lro(link->name) != record.lro) {
    status.Update(ethtool.SetLro(link->name, record.lro));
  }
  if (!record.up && (link->flags & IFF_UP) != 0) {
    status.Update(kernel.SetUp(record.index, false));
  }
  return status;
}

absl::Status InterfaceTaker::GiveBack(const std::string& network_namespace,
                                      int index) const {
  const std::string path = PathOf(network_namespace, index);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  ASSIGN_OR_RETURN(const InterfaceRecord record, ParseInterfaceRecord(text));
  const absl::Status restored =
      InNamespace(network_namespace, [&] { return Restore(record); });
  // A namespace that is gone took its interfaces along.
  if (!restored.ok() && !absl::IsNotFound(restored)) {
    return absl::Status(
        restored.code(),
        absl::StrCat("give back ", record.name, ": ", restored.message()));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove ", path));
  }
  ::rmdir(records_.c_str());  // Stays while there are others.
  return absl::OkStatus();
}

absl::Status InterfaceTaker::GiveBackAll() const {
  absl::Status status;
  for (const InterfaceRecord& record : Taken()) {
    status.Update(GiveBack(record.network_namespace, record.index));
  }
  return status;
}

// --- Records --------------------------------------------------------------

std::string InterfaceRecordsOf(const std::string& run_dir) {
  return run_dir + "/taken_interfaces";
}

// An index belongs to one interface of its namespace.
std::string InterfaceTaker::PathOf(const std::string& network_namespace,
                                   int index) const {
  return absl::StrCat(records_, "/", index, "@", network_namespace);
}

std::string RecordText(const InterfaceRecord& record) {
  return absl::StrCat("namespace=", record.network_namespace,
                      "\nindex=", record.index, "\nname=", record.name,
                      "\nup=", int{record.up}, "\ngro=", int{record.gro},
                      "\nlro=", int{record.lro},
                      "\ncombined=", record.channels.combined,
                      "\nrx=", record.channels.rx, "\n");
}

absl::StatusOr<InterfaceRecord> ParseInterfaceRecord(absl::string_view text) {
  InterfaceRecord record;
  int known = 0;
  const auto flag = [](absl::string_view value, bool* out) {
    *out = value == "1";
    return value == "0" || value == "1";
  };
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const auto [key, value] = entry;
    bool good = false;
    if (key == "namespace") {
      record.network_namespace = std::string(value);
      good = value.find('/') == absl::string_view::npos;
    }
    if (key == "name") {
      record.name = std::string(value);
      good = !value.empty() && value.size() < IFNAMSIZ;
    }
    if (key == "index") {
      good = absl::SimpleAtoi(value, &record.index) && record.index > 0;
    }
    if (key == "up") good = flag(value, &record.up);
    if (key == "gro") good = flag(value, &record.gro);
    if (key == "lro") good = flag(value, &record.lro);
    if (key == "combined") {
      good = absl::SimpleAtoi(value, &record.channels.combined);
    }
    if (key == "rx") good = absl::SimpleAtoi(value, &record.channels.rx);
    known = good ? known + 1 : -100;
  }
  if (known != 8) {
    return absl::DataLossError(
        "read the record of an interface: it is no such record; look at the "
        "interface with `ip link` and `ethtool -k`, and remove the file");
  }
  return record;
}

// Returns the one that holds. One that is there tells of the time before: it is
// of a system that was killed, or of another driver of the same instance.
absl::StatusOr<InterfaceRecord> InterfaceTaker::Remember(
    const InterfaceRecord& record) const {
  const std::string path = PathOf(record.network_namespace, record.index);
  if (const auto text = ReadFile(path); text.ok()) {
    return ParseInterfaceRecord(*text);
  }
  if (::mkdir(records_.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("make the directory ", records_));
  }
  const std::string fresh = absl::StrCat(records_, "/.new");
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string text = RecordText(record);
  if (!file.valid() ||
      ::write(file.get(), text.data(), text.size()) !=
          static_cast<ssize_t>(text.size()) ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(absl::StrCat("write ", path));
  }
  return record;
}

std::vector<InterfaceRecord> InterfaceTaker::Taken() const {
  std::vector<InterfaceRecord> taken;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(records_.c_str()),
                                                   ::closedir);
  if (folder == nullptr) return taken;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    const auto text = ReadFile(absl::StrCat(records_, "/", entry->d_name));
    if (!text.ok()) continue;
    auto record = ParseInterfaceRecord(*text);
    if (record.ok()) {
      taken.push_back(*std::move(record));
    } else {
      LogError(absl::StrCat(records_, "/", entry->d_name, ": ",
                            record.status().message()));
    }
  }
  return taken;
}

}  // namespace bulkhead::platform
