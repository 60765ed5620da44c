// What every program's --version says.
#ifndef BULKHEAD_CLIENTS_ARGUMENTS_VERSION_H_
#define BULKHEAD_CLIENTS_ARGUMENTS_VERSION_H_

namespace bulkhead {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace bulkhead

#endif  // BULKHEAD_CLIENTS_ARGUMENTS_VERSION_H_
