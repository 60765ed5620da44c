#include "platform_service/instances/device_grant.h"

#include <utility>

namespace bulkhead::platform {

NicConfig MakeNicConfig(const policy::NicConfigSpec& config) {
  NicConfig message;
  message.set_mtu(config.mtu);
  message.set_promiscuous(config.promiscuous);
  message.set_all_multicast(!config.multicast.has_value());
  if (config.multicast) {
    for (const policy::MacAddress& mac : *config.multicast) {
      message.add_multicast(mac.data(), mac.size());
    }
  }
  message.set_rx_checksum(config.rx_checksum);
  message.set_tx_checksum(config.tx_checksum);
  message.set_interrupt_interval_us(config.interrupt_interval_us);
  message.set_busy_poll(config.busy_poll);
  return message;
}

DeviceGrant MakeDeviceGrant(GrantParts parts, FdList* fds) {
  DeviceGrant grant;
  PciIdentity* pci = grant.mutable_pci();
  pci->set_address(parts.pci.address);
  pci->set_vendor(parts.pci.vendor);
  pci->set_device(parts.pci.device);
  pci->set_subsystem_vendor(parts.pci.subsystem_vendor);
  pci->set_subsystem_device(parts.pci.subsystem_device);
  pci->set_class_code(parts.pci.class_code);
  pci->set_revision(parts.pci.revision);
  parts.bus.AddTo(&grant, fds);
  grant.set_platform_fd(fds->Own(std::move(parts.channel)));
  grant.set_counters_fd(fds->Add(parts.counters_fd));
  for (const UniqueFd& irq : parts.irqs) grant.add_irq_fd(fds->Add(irq));
  *grant.mutable_config() = MakeNicConfig(parts.config);
  grant.set_queues(parts.queues);
  for (const RingMemory::Area& area : parts.prepared) {
    DmaArea* message = grant.add_prepared();
    message->set_iova(area.iova);
    message->set_bytes(area.bytes);
    message->set_memory_fd(fds->Add(area.memory));
  }
  return grant;
}

}  // namespace bulkhead::platform
