// The server side of vfio-user on an event loop: any number of connections to
// one simulated device.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_SERVER_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_SERVER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/vfio_user/device_ops.h"
#include "nic_model/vfio_user/message_handler.h"

namespace bulkhead::vfio_user {

// Guarantees:
//   - A peer that breaks the framing of messages loses its connection, with a
//     reason in the log; one that sends a bad request gets an error reply.
//   - There is one owner at a time. When its connection ends, every DMA map is
//     removed and every interrupt disarmed; the device keeps its state.
//   - Never blocks: a peer that does not read its replies is disconnected.
// Threading: the loop's thread. `loop` and `device` outlive the server.
class Server {
 public:
  Server(EventLoop& loop, DeviceOps& device) : loop_(loop), device_(device) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts connections of this role on a listening stream socket.
  absl::Status Listen(UniqueFd listener, Role role);
  // Serves a connected stream socket.
  absl::Status AddConnection(UniqueFd socket, Role role);

  // Test fault: each reply becomes bytes that mean nothing (attack 37).
  void set_garbage_replies(bool on) { garbage_replies_ = on; }

  size_t connection_count() const { return connections_.size(); }

 private:
  struct Connection {
    Connection(UniqueFd fd, Role role_in, DeviceOps& device)
        : socket(std::move(fd)), role(role_in), handler(device, role_in) {}

    UniqueFd socket;
    const Role role;
    MessageHandler handler;
    EventLoop::WatchId watch = 0;
    std::array<uint8_t, 2 * kServerMaxMessage> buffer;
    size_t filled = 0;
    // Descriptors received, and where in `buffer` the bytes end that they came
    // with: they belong to the message that holds the last of those bytes.
    std::vector<UniqueFd> fds;
    size_t fds_end = 0;
  };
  struct Listener {
    UniqueFd socket;
    EventLoop::WatchId watch = 0;
  };

  void Accept(int listener, Role role);
  void DropClosedOwner();
  void HandleReadable(Connection* connection);
  // Handles every whole message in the buffer; false: the connection is gone.
  bool HandleMessages(Connection* connection);
  bool SendReply(Connection* connection, const Header& request);
  void Close(Connection* connection, absl::string_view why);

  EventLoop& loop_;
  DeviceOps& device_;
  std::vector<Listener> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Reply reply_;
  bool garbage_replies_ = false;
};

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_SERVER_H_
