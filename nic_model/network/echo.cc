#include "nic_model/network/echo.h"

#include <algorithm>
#include <chrono>

namespace bulkhead::nic_model {
namespace {

constexpr std::chrono::milliseconds kPatience(50);

}  // namespace

Echo::~Echo() { StopWaiting(); }

void Echo::StopWaiting() {
  if (waiting_) loop_.Cancel(timer_);
  waiting_ = false;
}

SendResult Echo::Send(std::span<uint8_t> frame) {
  if (port_.PausesPartner() && !impatient_) {
    if (!port_.ObeysPause()) return SendResult::kDropped;
    if (waiting_) return SendResult::kBusy;
    waiting_ = true;
    timer_ = loop_.After(kPatience, [this] {
      waiting_ = false;
      impatient_ = true;
      port_.ResumeSend();
    });
    return SendResult::kBusy;
  }
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  port_.Receive(frame);
  return SendResult::kSent;
}

void Echo::PortReady() {
  if (port_.PausesPartner()) return;
  impatient_ = false;
  if (!waiting_) return;
  StopWaiting();
  port_.ResumeSend();
}

}  // namespace bulkhead::nic_model
