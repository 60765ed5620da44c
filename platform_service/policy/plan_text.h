// A plan as people read it.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_PLAN_TEXT_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_PLAN_TEXT_H_

#include <string>

#include "platform_service/policy/matcher.h"

namespace bulkhead::policy {

// A table, device → rule → driver → instance, one line each, then the refused
// NICs with their reasons, then the router's domains, then one line of totals. Devices that no rule
// matches are only counted, unless `all`.
std::string PlanTable(const Plan& plan, bool all = false);

// A JSON array, one object per device: address, name, source, vendor, device,
// rule, driver, instance, refused.
std::string PlanJson(const Plan& plan);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_PLAN_TEXT_H_
