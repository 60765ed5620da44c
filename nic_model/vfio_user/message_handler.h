// One vfio-user request in, one reply out: everything about the protocol except
// the socket.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_MESSAGE_HANDLER_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_MESSAGE_HANDLER_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "nic_model/vfio_user/device_ops.h"
#include "nic_model/vfio_user/protocol.h"

namespace bulkhead::vfio_user {

// Most bytes of data that one message moves, as VERSION tells the client.
constexpr size_t kServerMaxTransfer = 4096;
// Most bytes of one message, either way.
constexpr size_t kServerMaxMessage = 2 * kServerMaxTransfer;

enum class Role : uint8_t {
  kOwner,   // May do everything.
  kDriver,  // Reaches BARs and doorbells, and reads config space (S3).
};

struct Reply {
  int error = 0;  // errno; with one, the body is not sent.
  size_t body_bytes = 0;
  std::array<uint8_t, kServerMaxMessage - sizeof(Header)> body;
  std::vector<int> fds;  // The device's.
};

// Guarantees: any header, body and descriptors give a reply; nothing out of
// bounds reaches the device; descriptors that a command does not want are
// closed, and the command fails.
class MessageHandler {
 public:
  MessageHandler(DeviceOps& device, Role role) : device_(device), role_(role) {}

  // Carries out the command of `header` with its `body`. The parts of *reply
  // that matter are overwritten.
  void Handle(const Header& header, std::span<const uint8_t> body,
              std::vector<UniqueFd> fds, Reply* reply);

  // Requests refused because of the role (S3).
  uint64_t refused() const { return refused_; }

 private:
  using Body = std::span<const uint8_t>;

  bool MayDo(Command command) const;
  int Dispatch(Command command, Body body, std::vector<UniqueFd>& fds,
               Reply* reply);
  int Negotiate(Body body, Reply* reply);
  int MapDma(Body body, std::vector<UniqueFd>& fds);
  int UnmapDma(Body body, Reply* reply);
  int GetInfo(Body body, Reply* reply);
  int GetRegionInfo(Body body, Reply* reply);
  int GetRegionIoFds(Body body, Reply* reply);
  int GetIrqInfo(Body body, Reply* reply);
  int SetIrqs(Body body, std::vector<UniqueFd>& fds);
  int RegionRead(Body body, Reply* reply);
  int RegionWrite(Body body, Reply* reply);
  int RegionWriteMulti(Body body, Reply* reply);
  int CheckedWrite(const RegionAccess& access, Body data);
  int CheckAccess(const RegionAccess& access, bool write) const;

  DeviceOps& device_;
  const Role role_;
  bool negotiated_ = false;
  uint64_t refused_ = 0;
};

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_MESSAGE_HANDLER_H_
