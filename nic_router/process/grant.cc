#include "nic_router/process/grant.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "nic_router/api/config_message.h"

namespace bulkhead::nic_router {

absl::StatusOr<UniqueFd> TakeFd(std::vector<UniqueFd>& fds, uint32_t index,
                                absl::string_view field) {
  if (index >= fds.size() || !fds[index].valid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("router grant: ", field, " is descriptor ", index, " of ",
                     fds.size(), ", or another field's too"));
  }
  return std::move(fds[index]);
}

absl::StatusOr<RouterGrant> ParseRouterGrant(absl::string_view payload,
                                             std::vector<UniqueFd> fds) {
  api::RouterGrant message;
  if (!message.ParseFromArray(payload.data(),
                              static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError("router grant: it is garbled");
  }
  RouterGrant grant;
  ASSIGN_OR_RETURN(grant.config, FromMessage(message.config()));
  ASSIGN_OR_RETURN(grant.platform,
                   TakeFd(fds, message.platform_fd(), "platform_fd"));
  grant.state_bytes = message.state_bytes();
  if (grant.state_bytes > 0) {
    ASSIGN_OR_RETURN(grant.state, TakeFd(fds, message.state_fd(), "state_fd"));
  }
  return grant;
}

absl::StatusOr<ClientGrant> ParseClientGrant(const api::ClientGrant& message,
                                             std::vector<UniqueFd>& fds) {
  ClientGrant client;
  client.label = message.label();
  client.mtu = message.mtu();
  if (message.mac().size() != client.mac.size()) {
    return absl::InvalidArgumentError("router grant: client.mac is no MAC");
  }
  std::copy_n(message.mac().begin(), client.mac.size(), client.mac.begin());
  packet_stream::ProviderGrant& provider = client.provider;
  provider.session_id = message.session_id();
  provider.epoch = message.epoch();
  provider.geometry = {message.tx_buffers(), message.rx_buffers(),
                       message.buffer_bytes()};
  RETURN_IF_ERROR(packet_stream::CheckGeometry(provider.geometry));
  ASSIGN_OR_RETURN(
      provider.client_control,
      TakeFd(fds, message.client_control_fd(), "client.client_control_fd"));
  ASSIGN_OR_RETURN(
      provider.provider_control,
      TakeFd(fds, message.provider_control_fd(), "client.provider_control_fd"));
  packet_stream::LaneBells bells;
  ASSIGN_OR_RETURN(
      bells.tx_doorbell,
      TakeFd(fds, message.tx_doorbell_fd(), "client.tx_doorbell_fd"));
  ASSIGN_OR_RETURN(
      bells.rx_doorbell,
      TakeFd(fds, message.rx_doorbell_fd(), "client.rx_doorbell_fd"));
  provider.bells.push_back(std::move(bells));
  ASSIGN_OR_RETURN(client.tx_data,
                   TakeFd(fds, message.tx_data_fd(), "client.tx_data_fd"));
  ASSIGN_OR_RETURN(client.rx_data,
                   TakeFd(fds, message.rx_data_fd(), "client.rx_data_fd"));
  return client;
}

}  // namespace bulkhead::nic_router
