// Session throughput beside a naive ring and, where dpdk-testpmd is installed,
// DPDK's memif; repetitions of the three take turns, so that all see the same
// noise. Prints a table, or with --json one JSON object a line.
//
// The sender copies each frame once into shared memory. "data_blind": the
// receiver handles descriptors and never touches frames, as a driver does whose
// NIC reads them. "read": it also loads each frame's first word. memif's
// receiver copies each frame out, which cannot be turned off.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "tests/bench/report.h"
#include "tests/bench/session/memif_pair.h"
#include "tests/bench/session/stream.h"

namespace bulkhead::bench {
namespace {

struct Options {
  bool json = false;
  bool memif = true;
  int repetitions = 5;
  uint32_t milliseconds = 300;
  uint32_t bytes = 0;  // 0: all.
  uint32_t batch = 0;
};

struct Compared {
  Samples session, session_read, naive, naive_read, memif;
};

// False: said why on standard error.
bool Add(const absl::StatusOr<double>& measured, Samples* samples) {
  if (!measured.ok()) {
    LogError(measured.status().message());
    return false;
  }
  samples->Add(*measured);
  return true;
}

bool Measure(const Options& options, Flow flow, Compared* compared) {
  for (int i = 0; i < options.repetitions; ++i) {
    flow.receiver_reads = false;
    if (!Add(MeasureSession(flow), &compared->session) ||
        !Add(MeasureNaiveRing(flow), &compared->naive)) {
      return false;
    }
    if (options.memif && !Add(MeasureMemif(flow), &compared->memif)) {
      return false;
    }
    flow.receiver_reads = true;
    if (!Add(MeasureSession(flow), &compared->session_read) ||
        !Add(MeasureNaiveRing(flow), &compared->naive_read)) {
      return false;
    }
  }
  return true;
}

int Run(const Options& options) {
  Report report("session", options.json);
  for (const uint32_t bytes : {64u, 1518u}) {
    for (const uint32_t batch : {32u, 1u}) {
      if (options.bytes != 0 && options.bytes != bytes) continue;
      if (options.batch != 0 && options.batch != batch) continue;
      Flow flow = {.frame_bytes = bytes,
                   .batch = batch,
                   .milliseconds = options.milliseconds};
      Compared c;
      if (!Measure(options, flow, &c)) return 1;
      const std::string name = absl::StrCat(bytes, "B_batch", batch);
      const double naive = c.naive.Median();
      const double naive_read = c.naive_read.Median();
      if (options.memif) {
        report.AddMedian(absl::StrCat(name, "_data_blind"), c.session, "Mpps",
                         "memif", c.memif.Median());
        report.AddMedian(absl::StrCat(name, "_read"), c.session_read, "Mpps",
                         "memif", c.memif.Median());
        report.AddMedian(absl::StrCat(name, "_memif"), c.memif, "Mpps");
      }
      report.AddMedian(absl::StrCat(name, "_data_blind_to_naive"), c.session,
                       "Mpps", "naive ring", naive);
      report.AddMedian(absl::StrCat(name, "_read_to_naive"), c.session_read,
                       "Mpps", "naive ring, read", naive_read);
      report.AddMedian(absl::StrCat(name, "_naive"), c.naive, "Mpps");
      report.AddMedian(absl::StrCat(name, "_naive_read"), c.naive_read, "Mpps");
    }
  }
  return 0;
}

int Usage() {
  std::fprintf(stderr,
               "usage: session_bench [--json] [--no-memif] [--repetitions=N] "
               "[--milliseconds=N] [--bytes=N] [--batch=N]\n"
               "  --repetitions=N   of each case; default 5, 1 to 100\n"
               "  --milliseconds=N  of each measurement; default 300, 10 to "
               "10000\n"
               "  --bytes=64|1518, --batch=1|32: only these cases\n");
  return 2;
}

// The value of `--name=N` if it lies in [low, high], else 0.
int Number(const char* argument, const char* name, int low, int high) {
  const size_t length = std::strlen(name);
  if (std::strncmp(argument, name, length) != 0) return 0;
  const int value = std::atoi(argument + length);
  return value >= low && value <= high ? value : 0;
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  using namespace bulkhead::bench;
  Options options;
  options.memif = HaveTestpmd();
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--no-memif") {
      options.memif = false;
    } else if (int n = Number(argv[i], "--repetitions=", 1, 100)) {
      options.repetitions = n;
    } else if (int ms = Number(argv[i], "--milliseconds=", 10, 10'000)) {
      options.milliseconds = static_cast<uint32_t>(ms);
    } else if (argument == "--bytes=64" || argument == "--bytes=1518") {
      options.bytes =
          static_cast<uint32_t>(Number(argv[i], "--bytes=", 1, 1518));
    } else if (argument == "--batch=1" || argument == "--batch=32") {
      options.batch = static_cast<uint32_t>(Number(argv[i], "--batch=", 1, 32));
    } else {
      return Usage();
    }
  }
  bulkhead::SetLogName("session_bench");
  if (!options.memif) {
    bulkhead::LogWarning(
        "without memif: dpdk-testpmd is not installed (apt install dpdk-dev "
        "librte-net-memif23), or --no-memif was given");
  }
  return Run(options);
}
