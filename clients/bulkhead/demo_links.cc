#include "clients/bulkhead/demo_links.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

using Align = Table::Align;

const char* NameOf(Treatment treatment) {
  switch (treatment) {
    case Treatment::kHealthy:
      return "left alone";
    case Treatment::kKilled:
      return "kill -9";
    case Treatment::kStopped:
      return "hang (SIGSTOP)";
  }
  return "";
}

Table::Cell CountCell(uint64_t count) {
  return {WithCommas(count), count == 0 ? Colour::kPlain : Colour::kWarn};
}

Table::Cell StateCell(const LiveTraffic& live) {
  return {live.state, live.state == "running" ? Colour::kGood : Colour::kBad};
}

}  // namespace

uint64_t DemoLink::RecoveryNs() const {
  if (died_ns == 0) return 0;
  for (const uint64_t first_ns : result.first_frames_ns) {
    if (first_ns > died_ns) return first_ns - died_ns;
  }
  return 0;
}

uint64_t DemoLink::NoticedNs() const {
  return died_ns > fault_ns ? died_ns - fault_ns : 0;
}

std::string DemoLink::Fault() const {
  if (result.corrupted > 0) return "frames were altered";
  if (result.duplicated > 0) return "frames came twice";
  if (treatment == Treatment::kHealthy) {
    if (result.lost > 0) return "lost frames although nothing was done to it";
    if (restarts > 0) return "restarted although nothing was done to it";
    return result.received == 0 ? "carried no frames" : "";
  }
  if (died_ns == 0) return "its driver did not die";
  if (RecoveryNs() == 0) return "carried no frame after its driver's death";
  if (result.lost > result.indeterminate + counted_drops) {
    return "lost frames that no counter names";
  }
  return "";
}

std::string LiveTable(const std::vector<DemoLink>& links,
                      const Console& console) {
  Table table({{"LINK"},
               {"FRAMES BACK", Align::kRight},
               {"LOST", Align::kRight},
               {"LONGEST GAP", Align::kRight},
               {"RECOVERIES", Align::kRight},
               {"STATE"},
               {"WHAT IS DONE TO IT"}});
  for (const DemoLink& link : links) {
    table.Add({link.instance, WithCommas(link.live.received),
               CountCell(link.live.lost), Duration(link.live.longest_gap_ns),
               CountCell(link.live.recoveries), StateCell(link.live),
               link.fault_ns == 0 ? "" : NameOf(link.treatment)});
  }
  return table.ToText(console, "  ");
}

std::string LiveLine(const std::vector<DemoLink>& links, double seconds) {
  uint64_t received = 0;
  uint64_t lost_healthy = 0;
  uint64_t lost_others = 0;
  uint64_t recoveries = 0;
  for (const DemoLink& link : links) {
    received += link.live.received;
    recoveries += link.live.recoveries;
    (link.fault_ns == 0 ? lost_healthy : lost_others) += link.live.lost;
  }
  return absl::StrFormat(
      "  %4.1f s  %s frames back; lost on links left alone: %d, on the others: "
      "%d; recoveries: %d\n",
      seconds, WithCommas(received), lost_healthy, lost_others, recoveries);
}

std::string ResultTable(const std::vector<DemoLink>& links,
                        const Console& console) {
  Table table({{"LINK"},
               {"DONE TO IT"},
               {"SENT", Align::kRight},
               {"BACK", Align::kRight},
               {"LOST", Align::kRight},
               {"INDETERMINATE", Align::kRight},
               {"LONGEST GAP", Align::kRight},
               {"RESTARTS", Align::kRight},
               {"DEATH TO FIRST FRAME", Align::kRight},
               {"VERDICT"}});
  for (const DemoLink& link : links) {
    const std::string fault = link.Fault();
    table.Add(
        {link.instance, NameOf(link.treatment), WithCommas(link.result.sent),
         WithCommas(link.result.received), CountCell(link.result.lost),
         CountCell(link.result.indeterminate),
         Duration(link.result.longest_gap_ns), absl::StrCat(link.restarts),
         link.died_ns == 0 ? "" : Duration(link.RecoveryNs()),
         fault.empty() ? Table::Cell("ok", Colour::kGood)
                       : Table::Cell(fault, Colour::kBad)});
  }
  return table.ToText(console, "  ");
}

std::string ResultJson(const std::vector<DemoLink>& links) {
  Json list = Json::array();
  bool ok = true;
  for (const DemoLink& link : links) {
    const std::string fault = link.Fault();
    ok = ok && fault.empty();
    list.push_back({{"instance", link.instance},
                    {"done_to_it", NameOf(link.treatment)},
                    {"sent", link.result.sent},
                    {"received", link.result.received},
                    {"lost", link.result.lost},
                    {"indeterminate", link.result.indeterminate},
                    {"counted_drops", link.counted_drops},
                    {"longest_gap_ns", link.result.longest_gap_ns},
                    {"restarts", link.restarts},
                    {"noticed_ns", link.NoticedNs()},
                    {"recovery_ns", link.RecoveryNs()},
                    {"fault", fault}});
  }
  return Dump({{"ok", ok}, {"links", list}});
}

}  // namespace bulkhead::cli
