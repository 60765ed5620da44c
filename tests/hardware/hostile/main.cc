// A driver of a real 82574L that turns against the platform by way of its bus,
// one way per instance name: the rule of a test's scenario says `instance:
// resets` and gets a process that resets its NIC. What it gets away with it
// says in its log, as "DONE"; what it is denied without dying for it, as
// "denied".
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/seqpacket.h"
#include "platform_service/api/driver.pb.h"
#include "supervisor/child.h"

namespace bulkhead {
namespace {

constexpr uint64_t kConfigOffset = uint64_t{VFIO_PCI_CONFIG_REGION_INDEX} << 40;
constexpr uint16_t kBusMasterOn = 0x0006;

// Where no DMA map has anything: rings and sessions begin at the bottom.
constexpr uint32_t kForeignIova = 0xdead0000;

class Hostile {
 public:
  explicit Hostile(EventLoop& loop) : loop_(loop) {}

  void Run() {
    auto child = supervisor::Child::Create(
        loop_,
        {.start = [this](supervisor::StartOrder o) { Start(std::move(o)); },
         .stop = [] { ::_exit(0); },
         .progress = {}});
    if (!child.ok()) std::exit(1);
    child_ = *std::move(child);
    loop_.Run();
  }

 private:
  void Start(supervisor::StartOrder order) {
    SetLogName(order.name);
    if (!grant_.ParseFromString(order.payload) || !grant_.has_vfio()) {
      child_->Fail("no grant of a VFIO device");
    }
    device_ = std::move(order.fds[grant_.vfio().device_fd()]);
    platform_ = SeqpacketChannel(std::move(order.fds[grant_.platform_fd()]));
    fds_ = std::move(order.fds);
    child_->SayStarted();
    Attack(order.name);
    LogInfo("no more to try");
  }

  void Attack(const std::string& way) {
    if (way == "writes_config") {
      Tell(::pwrite(device_.get(), &kBusMasterOn, 2, kConfigOffset + 4));
    } else if (way == "writes_vector") {
      iovec vector = {const_cast<uint16_t*>(&kBusMasterOn), 2};
      Tell(::pwritev(device_.get(), &vector, 1, kConfigOffset + 4));
    } else if (way == "seeks_config") {
      Tell(::lseek(device_.get(), kConfigOffset + 4, SEEK_SET));
    } else if (way == "maps_config") {
      MapRegion(kConfigOffset, 4096);
      MapRegion(grant_.vfio().bar(0).offset(),
                grant_.vfio().bar(0).bytes() + 4096);
    } else if (way == "resets") {
      Tell(::ioctl(device_.get(), VFIO_DEVICE_RESET));
    } else if (way == "reroutes") {
      vfio_irq_set set = {
          .argsz = sizeof(set),
          .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
          .index = VFIO_PCI_MSIX_IRQ_INDEX,
          .start = 0,
          .count = 0};
      Tell(::ioctl(device_.get(), VFIO_DEVICE_SET_IRQS, &set));
    } else if (way == "maps_dma") {
      vfio_iommu_type1_dma_map map = {};
      map.argsz = sizeof(map);
      Tell(::ioctl(device_.get(), VFIO_IOMMU_MAP_DMA, &map));
    } else if (way == "dma_outside") {
      FetchForeignDescriptors();
    } else if (way == "forges_interrupt") {
      ForgeInterrupt();
    } else if (way == "dma_without_leave") {
      FetchForeignDescriptors(/*ask=*/false);
    }
  }

  void AskForDma() {
    platform::FromDriver message;
    message.mutable_enable_dma()->set_request(1);
    (void)platform_.Send(message);
    pollfd reply = {platform_.fd(), POLLIN, 0};
    ::poll(&reply, 1, 2000);
  }

  volatile uint32_t* Registers(uint64_t offset, size_t bytes) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                            device_.get(), static_cast<off_t>(offset));
    return at == MAP_FAILED ? nullptr : static_cast<volatile uint32_t*>(at);
  }

  // An interrupt is a write to where its vector says (PCI Express Base 4.0,
  // 7.7.2). The vectors are in BAR 3 (82574 datasheet, 9.2.4), which was not
  // granted. Vector 0 asks for an entry of the remapping table that nobody has
  // (VT-d specification, 5.1.2: remappable format, handle in bits 19:5).
  void ForgeInterrupt() {
    for (const auto& bar : grant_.vfio().bar()) {
      if (bar.index() == 3) LogInfo("DONE: the vectors were granted");
    }
    AskForDma();
    volatile uint32_t* const vectors =
        Registers(uint64_t{VFIO_PCI_BAR3_REGION_INDEX} << 40, 4096);
    volatile uint32_t* const registers =
        Registers(grant_.vfio().bar(0).offset(), grant_.vfio().bar(0).bytes());
    if (vectors == nullptr || registers == nullptr) return Tell(-1);
    constexpr uint32_t kForeignHandle = 0x7fff;
    vectors[0] = 0xfee00010 | kForeignHandle << 5;
    vectors[1] = 0;
    vectors[2] = 0;
    vectors[3] = 0;                   // Not masked.
    registers[0x00e4 / 4] = 0x8;      // IVAR: queue 0 receives by vector 0.
    registers[0x00d0 / 4] = 1 << 20;  // IMS.RXQ0
    registers[0x00c8 / 4] = 1 << 20;  // ICS.RXQ0
    LogInfo(absl::StrCat("asked for an interrupt, vector 0 is at ",
                         absl::Hex(vectors[0])));
  }

  static void Tell(int64_t result) {
    LogInfo(result >= 0 ? std::string("DONE")
                        : absl::StrCat("denied: ", std::strerror(errno)));
  }

  void MapRegion(uint64_t offset, size_t bytes) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                            device_.get(), static_cast<off_t>(offset));
    Tell(at == MAP_FAILED ? -1 : 0);
  }

  // The NIC reads tx descriptors (82574 datasheet, 10.2.6) from memory that is
  // not ours. Without leave, bus mastering is off.
  void FetchForeignDescriptors(bool ask = true) {
    if (ask) AskForDma();
    volatile uint32_t* const registers =
        Registers(grant_.vfio().bar(0).offset(), grant_.vfio().bar(0).bytes());
    if (registers == nullptr) return Tell(-1);
    registers[0x3800 / 4] = kForeignIova;  // TDBAL
    registers[0x3804 / 4] = 0;             // TDBAH
    registers[0x3808 / 4] = 4096;          // TDLEN
    registers[0x0400 / 4] = 0x2;           // TCTL.EN
    registers[0x3818 / 4] = 8;             // TDT
    LogInfo(
        absl::StrCat("asked for descriptors, TDH is ", registers[0x3810 / 4]));
  }

  EventLoop& loop_;
  std::unique_ptr<supervisor::Child> child_;
  platform::DeviceGrant grant_;
  UniqueFd device_;
  SeqpacketChannel platform_;
  std::vector<UniqueFd> fds_;
};

}  // namespace
}  // namespace bulkhead

int main() {
  bulkhead::SetLogName("hostile");
  bulkhead::supervisor::RequireParentChannel("hostile");
  auto loop = bulkhead::EventLoop::Create();
  if (!loop.ok()) return 1;
  bulkhead::Hostile(**loop).Run();
}
