// What the engine reports: rows of words under column names, so that a reader
// (the command line, a report, a test) needs no type of its own for each.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_TABLE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_TABLE_H_

#include <string>
#include <vector>

namespace bulkhead::nic_router {

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // Each as long as `columns`.
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_TABLE_H_
