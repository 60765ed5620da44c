#include "clients/nic_traffic/traffic_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bulkhead::nic_traffic {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json LatencyJson(const LatencyHistogram& latency) {
  return {{"min", latency.min()},
          {"p50", latency.Quantile(0.50)},
          {"p90", latency.Quantile(0.90)},
          {"p99", latency.Quantile(0.99)},
          {"p999", latency.Quantile(0.999)},
          {"max", latency.max()}};
}

Json SessionJson(const packet_stream::SessionCounters& session) {
  return {{"tx_submitted", session.tx_submitted},
          {"tx_done", session.tx_done},
          {"tx_dropped_invalid", session.tx_dropped_invalid},
          {"tx_dropped_no_link", session.tx_dropped_no_link},
          {"tx_dropped_device", session.tx_dropped_device},
          {"tx_indeterminate", session.tx_indeterminate},
          {"tx_resubmitted", session.tx_resubmitted},
          {"rx_received", session.rx_received},
          {"recoveries", session.recoveries},
          {"doorbells", session.doorbells}};
}

std::string Microseconds(uint64_t ns) {
  return absl::StrFormat("%.1f µs", static_cast<double>(ns) / 1e3);
}

std::string Milliseconds(uint64_t ns) {
  return absl::StrFormat("%.2f ms", static_cast<double>(ns) / 1e6);
}

}  // namespace

uint64_t TrafficReport::Unexplained() const {
  const uint64_t explained =
      session.tx_indeterminate + session.tx_dropped_invalid +
      session.tx_dropped_no_link + session.tx_dropped_device + in_flight;
  return lost > explained ? lost - explained : 0;
}

bool TrafficReport::Lossless() const {
  return lost == 0 && duplicated == 0 && corrupted == 0 && stale == 0 &&
         session.tx_indeterminate == 0;
}

std::string ToJson(const TrafficReport& report) {
  Json recoveries = Json::array();
  for (const Recovery& recovery : report.recoveries) {
    recoveries.push_back({{"epoch", recovery.epoch},
                          {"last_frame_ns", recovery.last_frame_ns},
                          {"noticed_ns", recovery.noticed_ns},
                          {"first_frame_ns", recovery.first_frame_ns}});
  }
  Json long_gaps = Json::array();
  for (const LongGap& gap : report.long_gaps) {
    long_gaps.push_back({{"at_ns", gap.at_ns}, {"ns", gap.ns}});
  }
  const Json json = {
      {"instance", report.instance},
      {"mode", report.mode},
      {"frame_bytes", report.frame_bytes},
      {"sent", report.sent},
      {"not_sent", report.not_sent},
      {"received", report.received},
      {"received_bytes", report.received_bytes},
      {"lost", report.lost},
      {"duplicated", report.duplicated},
      {"reordered", report.reordered},
      {"corrupted", report.corrupted},
      {"foreign", report.foreign},
      {"stale", report.stale},
      {"indeterminate", report.session.tx_indeterminate},
      {"in_flight", report.in_flight},
      {"unexplained", report.Unexplained()},
      {"session", SessionJson(report.session)},
      {"epoch", report.epoch},
      {"generation", report.generation},
      {"started_ns", report.started_ns},
      {"elapsed_ns", report.elapsed_ns},
      {"longest_gap_ns", report.longest_gap_ns},
      {"longest_gap_at_ns", report.longest_gap_at_ns},
      {"longest_oversleep_ns", report.longest_oversleep_ns},
      {"latency_ns", LatencyJson(report.latency)},
      {"long_gaps", long_gaps},
      {"recoveries", recoveries},
      {"interrupted", report.interrupted},
      {"error", report.error},
  };
  return Dump(json);
}

std::string ToText(const TrafficReport& report) {
  const double seconds = static_cast<double>(report.elapsed_ns) / 1e9;
  const auto per_second = [&](uint64_t frames) {
    return seconds > 0 ? static_cast<double>(frames) / seconds : 0.0;
  };
  std::string text = absl::StrFormat(
      "%s, %s, %d-byte frames, %.2f s\n"
      "  sent           %d  (%.0f/s)\n"
      "  received       %d  (%.0f/s)\n"
      "  lost           %d\n"
      "  indeterminate  %d\n"
      "  duplicated     %d\n"
      "  reordered      %d\n"
      "  corrupted      %d\n",
      report.instance, report.mode, report.frame_bytes, seconds, report.sent,
      per_second(report.sent), report.received, per_second(report.received),
      report.lost, report.session.tx_indeterminate, report.duplicated,
      report.reordered, report.corrupted);
  const auto when_not_zero = [&](const char* name, uint64_t value) {
    if (value != 0) absl::StrAppendFormat(&text, "  %-13s  %d\n", name, value);
  };
  when_not_zero("foreign", report.foreign);
  when_not_zero("stale", report.stale);
  when_not_zero("not sent", report.not_sent);
  when_not_zero("no link", report.session.tx_dropped_no_link);
  when_not_zero("refused", report.session.tx_dropped_invalid +
                               report.session.tx_dropped_device);
  when_not_zero("in flight", report.in_flight);
  when_not_zero("unexplained", report.Unexplained());
  absl::StrAppend(&text, "  longest gap    ",
                  Milliseconds(report.longest_gap_ns), "\n");
  if (report.latency.count() > 0) {
    absl::StrAppend(&text, "  latency        p50 ",
                    Microseconds(report.latency.Quantile(0.5)), ", p99 ",
                    Microseconds(report.latency.Quantile(0.99)), ", p99.9 ",
                    Microseconds(report.latency.Quantile(0.999)), ", max ",
                    Microseconds(report.latency.max()), "\n");
  }
  when_not_zero("recoveries", report.session.recoveries);
  return text;
}

std::string ToJson(const TrafficProgress& progress) {
  const Json json = {{"now_ns", progress.now_ns},
                     {"sent", progress.sent},
                     {"received", progress.received},
                     {"lost", progress.lost},
                     {"indeterminate", progress.indeterminate},
                     {"longest_gap_ns", progress.longest_gap_ns},
                     {"last_frame_ns", progress.last_frame_ns},
                     {"recoveries", progress.recoveries},
                     {"link_up", progress.link_up},
                     {"state", progress.state}};
  return Dump(json);
}

}  // namespace bulkhead::nic_traffic
