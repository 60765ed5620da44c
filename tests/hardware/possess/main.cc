// possess PID WAY KIND ADDRESS: makes a running driver of a card of KIND
// (e1000e, igb, virtio) at that PCI address misbehave, with all that it holds
// and under its load:
//
//   spin    it loops for ever and serves nobody
//   dma     it gives its card a descriptor ring that lies outside its map
//   reset   it resets its card again and again
//   config  it writes to the device descriptor at an offset, as one writes to
//           config space
//
// The program is put into the process by ptrace(2), over code that it ran: no
// driver needs a hook for its tests.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

namespace {

// Where no DMA map has anything: rings and sessions begin at the bottom.
constexpr uint32_t kForeignIova = 0xdead0000;

// A store to a register of the card.
struct Store {
  uint32_t offset;
  unsigned bytes;
  uint32_t value;
};

// What QEMU's cards have where. Both Intel cards: CTRL.RST (82574 datasheet,
// 10.2.2.1; 82576 datasheet, 8.2.1). virtio: the common configuration is at 0
// of BAR 4, the doorbells at 0x3000, four bytes for each queue
// (Virtio 1.2, 4.1.4).
constexpr Store kResetIntel[] = {{0x0, 4, 0x04000000}};
constexpr Store kResetVirtio[] = {{0x14, 1, 0}};
// A tx ring elsewhere: TDBAL, TDBAH, TDH, TDT.
constexpr Store kDmaE1000e[] = {
    {0x3800, 4, kForeignIova}, {0x3804, 4, 0}, {0x3810, 4, 0}, {0x3818, 4, 8}};
constexpr Store kDmaIgb[] = {
    {0xe000, 4, kForeignIova}, {0xe004, 4, 0}, {0xe010, 4, 0}, {0xe018, 4, 8}};
// The whole way up again, with version 1 and access by the platform's map as
// the only features, and queue 1 elsewhere.
constexpr Store kDmaVirtio[] = {
    {0x14, 1, 0},             // device_status
    {0x14, 1, 0x3},           // ACKNOWLEDGE, DRIVER
    {0x08, 4, 1},             // driver_feature_select
    {0x0c, 4, 0x3},           // driver_feature: VERSION_1, ACCESS_PLATFORM
    {0x14, 1, 0xb},           // FEATURES_OK
    {0x16, 2, 1},             // queue_select
    {0x20, 4, kForeignIova},  // queue_desc
    {0x24, 4, 0},
    {0x28, 4, kForeignIova + 0x1000},  // queue_driver
    {0x2c, 4, 0},
    {0x30, 4, kForeignIova + 0x2000},  // queue_device
    {0x34, 4, 0},
    {0x1c, 2, 1},    // queue_enable
    {0x14, 1, 0xf},  // DRIVER_OK
    {0x3004, 2, 1},  // The doorbell of queue 1.
};

// x86-64 instructions (Intel SDM volume 2).
class Program {
 public:
  void Put(uintptr_t address, unsigned bytes, uint32_t value) {
    Emit({0x48, 0xb8});  // mov rax, imm64
    EmitNumber(address, 8);
    if (bytes == 2) Emit({0x66});
    Emit({static_cast<uint8_t>(bytes == 1 ? 0xc6 : 0xc7), 0x00});  // [rax]
    EmitNumber(value, bytes);
  }
  void Call(uint32_t number) {
    Emit({0xb8});  // mov eax, imm32
    EmitNumber(number, 4);
    Emit({0x0f, 0x05});  // syscall
  }
  void JumpTo(size_t place) {
    Emit({0xe9});  // jmp rel32
    EmitNumber(place - (code_.size() + 4), 4);
  }
  size_t size() const { return code_.size(); }

  bool WriteTo(pid_t pid, uintptr_t address) {
    code_.resize((code_.size() + 7) / 8 * 8, 0x90);
    for (size_t i = 0; i < code_.size(); i += 8) {
      uint64_t word;
      std::memcpy(&word, &code_[i], 8);
      if (::ptrace(PTRACE_POKETEXT, pid, address + i, word) != 0) return false;
    }
    return true;
  }

 private:
  void Emit(std::initializer_list<uint8_t> bytes) {
    code_.insert(code_.end(), bytes);
  }
  void EmitNumber(uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) {
      code_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
  }

  std::vector<uint8_t> code_;
};

// Where the process has its code, and its card's BARs.
struct Places {
  uintptr_t code = 0;
  uintptr_t bar[6] = {};
};

Places FindPlaces(const char* pid, const std::string& address) {
  Places places;
  uint64_t physical[6] = {};
  std::ifstream resource("/sys/bus/pci/devices/" + address + "/resource");
  for (uint64_t& start : physical) {
    std::string line;
    std::getline(resource, line);
    start = std::strtoull(line.c_str(), nullptr, 16);
  }
  std::ifstream maps(std::string("/proc/") + pid + "/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t start = 0;
    uint64_t offset = 0;
    char rights[5] = "";
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%*x %4s %" SCNx64, &start,
                    rights, &offset) != 3) {
      continue;
    }
    if (places.code == 0 && rights[2] == 'x') places.code = start;
    if (line.find("vfio-device") == std::string::npos) continue;
    // vfio-pci shows where in the machine's memory it is.
    for (int i = 0; i < 6; ++i) {
      if (physical[i] == offset) places.bar[i] = start;
    }
  }
  return places;
}

bool Write(Program& program, const Places& places, const std::string& way,
           const std::string& kind) {
  const bool is_virtio = kind.rfind("virtio", 0) == 0;
  const uintptr_t bar = places.bar[is_virtio ? 4 : 0];
  const auto put_all = [&](const auto& stores) {
    for (const Store& store : stores) {
      program.Put(bar + store.offset, store.bytes, store.value);
    }
  };
  if (way == "reset" || way == "dma") {
    if (bar == 0) {
      std::fprintf(stderr, "possess: the process has no BAR of a card\n");
      return false;
    }
  }
  if (way == "reset") {
    is_virtio ? put_all(kResetVirtio) : put_all(kResetIntel);
    program.JumpTo(0);
    return true;
  }
  if (way == "dma") {
    if (is_virtio) {
      put_all(kDmaVirtio);
    } else {
      kind == "igb" ? put_all(kDmaIgb) : put_all(kDmaE1000e);
    }
  } else if (way == "config") {
    program.Call(SYS_pwrite64);
  } else if (way != "spin") {
    std::fprintf(stderr, "possess: no way %s\n", way.c_str());
    return false;
  }
  program.JumpTo(program.size());
  return true;
}

int Failed(const char* what) {
  std::fprintf(stderr, "possess: %s: %s\n", what, std::strerror(errno));
  return 1;
}

int Possess(const char* pid_text, const std::string& way,
            const std::string& kind, const std::string& address) {
  const Places places = FindPlaces(pid_text, address);
  if (places.code == 0) return Failed("cannot see the process's memory");
  Program program;
  if (!Write(program, places, way, kind)) return 2;
  const pid_t pid = std::atoi(pid_text);
  if (::ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) return Failed("seize");
  if (::ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0) return Failed("interrupt");
  int status = 0;
  if (::waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) {
    return Failed("wait");
  }
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) {
    return Failed("read registers");
  }
  if (!program.WriteTo(pid, places.code)) return Failed("write code");
  registers.rip = places.code;
  registers.orig_rax = ~0ull;  // Not back into the system call that it was in.
  if (::ptrace(PTRACE_SETREGS, pid, 0, &registers) != 0) {
    return Failed("write registers");
  }
  if (::ptrace(PTRACE_DETACH, pid, 0, 0) != 0) return Failed("detach");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr,
                 "usage: possess PID spin|dma|reset|config KIND ADDRESS\n");
    return 2;
  }
  return Possess(argv[1], argv[2], argv[3], argv[4]);
}
