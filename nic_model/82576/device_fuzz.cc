// See nic_model/intel/device_fuzz.h.
#include "nic_model/intel/device_fuzz.h"

#include "nic_model/82576/test_bench.h"

using namespace bulkhead::nic_model::i82576;  // NOLINT

namespace {

constexpr uint32_t kSteering[] = {kRctl,
                                  kTctl,
                                  kRdlen,
                                  kTdlen,
                                  kRdh,
                                  kTdh,
                                  kRdt,
                                  kTdt,
                                  kRdbal,
                                  kRdbah,
                                  kTdbal,
                                  kTdbah,
                                  kRxdctl,
                                  kTxdctl,
                                  kSrrctl,
                                  kRxpbs,
                                  kRxcsum,
                                  kRlpml,
                                  kCtrl,
                                  kIms,
                                  kEims,
                                  kEicr,
                                  kEics,
                                  kGpie,
                                  kEiac,
                                  kEiam,
                                  kIvar0,
                                  kEitr0,
                                  kMdic,
                                  kEerd,
                                  kMta,
                                  kIvarMisc,
                                  kMrqc,
                                  kReta,
                                  kRssrk,
                                  OfQueue(1, kRdt),
                                  OfQueue(1, kTdt),
                                  OfQueue(1, kRxdctl),
                                  OfQueue(1, kTxdctl),
                                  OfQueue(1, kSrrctl),
                                  OfQueue(1, kRdlen),
                                  OfQueue(1, kTdlen),
                                  OfQueue(1, kRdbal),
                                  OfQueue(1, kTdbal)};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::nic_model::intel::FuzzDevice<TestBench>({data, size}, kSteering);
  return 0;
}
