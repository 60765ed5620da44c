// See nic_model/intel/device_fuzz.h.
#include "nic_model/intel/device_fuzz.h"

#include "nic_model/82574l/test_bench.h"

using namespace bulkhead::nic_model::i82574;  // NOLINT

namespace {

constexpr uint32_t kSteering[] = {
    kRctl,  kTctl,  kRdlen, kTdlen, kRdh,  kTdh,    kRdt,   kTdt,  kRdbal,
    kRdbah, kTdbal, kTdbah, kRfctl, kPba,  kRxcsum, kFcrth, kCtrl, kIms,
    kIvar,  kEitr0, kRdtr,  kTidv,  kMdic, kEerd,   kMta};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::nic_model::intel::FuzzDevice<TestBench>({data, size}, kSteering);
  return 0;
}
