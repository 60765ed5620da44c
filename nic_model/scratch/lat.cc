#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "nic_model/82574l/test_bench.h"
#include "nic_model/network/echo.h"
#include "nic_model/vfio_user/server.h"
using namespace bulkhead;
using namespace bulkhead::nic_model;
using namespace bulkhead::nic_model::i82574;
int main() {
  PortCounters counters = {};
  auto loop = *EventLoop::Create();
  auto nic = *Intel82574::Create(*loop, TestBench::kMac, counters, {});
  Echo echo(*loop, *nic);
  nic->PlugIn(&echo);
  vfio_user::Server server(*loop, *nic);
  int s[2];
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s);
  int d[2];
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, d);
  (void)server.AddConnection(UniqueFd(s[0]), vfio_user::Role::kOwner);
  (void)server.AddConnection(UniqueFd(d[0]), vfio_user::Role::kDriver);
  std::thread t([&] { loop->Run(); });
  auto owner = *vfio_user::Client::Create(UniqueFd(s[1]));
  auto drv = *vfio_user::Client::Create(UniqueFd(d[1]));
  auto rd = [&](uint32_t o) {
    uint32_t v;
    auto st = drv->Read(0, o, std::span((uint8_t*)&v, 4));
    if (!st.ok()) printf("%s\n", st.ToString().c_str());
    return v;
  };
  auto wr = [&](uint32_t o, uint32_t v) {
    (void)drv->PostWrite(0, o, std::span((uint8_t*)&v, 4));
  };
  auto bench = [&](const char* n, int k, auto f) {
    std::vector<double> v;
    for (int i = 0; i < k; i++) {
      auto a = MonotonicNs();
      f();
      v.push_back((MonotonicNs() - a) / 1e3);
    }
    std::sort(v.begin(), v.end());
    printf("%-20s p50 %.1f p99 %.1f us\n", n, v[k / 2], v[k * 99 / 100]);
  };
  bench("read", 20000, [&] { rd(kStatus); });
  bench("posted write", 20000, [&] { wr(kTidv, 1); });
  rd(kStatus);
  bench("reset", 2000, [&] { (void)owner->Reset(); });
  // rings
  auto fd = *CreateSealedMemory("x", 1 << 20);
  auto mem = *Mapping::MapSealed(fd.get(), 1 << 20, Access::kReadWrite);
  auto st = owner->MapDma(0x10000000, 1 << 20, fd.get(), 0, true);
  printf("%s\n", st.ToString().c_str());
  uint16_t cmd = 6;
  (void)owner->Write(7, 4, std::span((uint8_t*)&cmd, 2));
  std::vector<int> ev;
  for (int i = 0; i < 5; i++) ev.push_back(eventfd(0, EFD_NONBLOCK));
  printf("%s\n", owner->SetIrqs(2, ev).ToString().c_str());
  auto bells = *drv->GetDoorbells(0);
  auto sh =
      *Mapping::MapSealed(bells[0].shadow.get(), 4096, Access::kReadWrite);
  wr(kCtrl, kCtrlFd | kCtrlSlu);
  wr(kTdbal, 0x10000000);
  wr(kTdlen, 256 * 16);
  wr(kRdbal, 0x10002000);
  wr(kRdlen, 256 * 16);
  wr(kTctl, kTctlEn | kTctlPsp);
  wr(kRctl, kRctlEn | kRctlUpe | kRctlSecrc);
  wr(kIvar, 8 | (9 << 8));
  wr(kIms, kIcrRxq0);
  wr(kEiac, kIcrRxq0);
  rd(kStatus);
  auto q = mem.As<uint64_t>(0);
  auto rq = mem.As<uint64_t>(0x2000);
  uint32_t tt = 0, rt = 0, rh = 0;
  auto setrx = [&](uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
      rq[2 * rt] = 0x10010000 + rt * 2048;
      rq[2 * rt + 1] = 0;
      rt = (rt + 1) % 256;
    }
    __atomic_store_n(sh.As<uint32_t>(64), rt, __ATOMIC_RELEASE);
    uint64_t one = 1;
    (void)!write(bells[1].event.get(), &one, 8);
  };
  setrx(255);
  auto tx = [&](uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
      q[2 * tt] = 0x10090000;
      q[2 * tt + 1] = 64 | kTxCmdEop | kTxCmdRs;
      tt = (tt + 1) % 256;
    }
    __atomic_store_n(sh.As<uint32_t>(0), tt, __ATOMIC_RELEASE);
    uint64_t one = 1;
    (void)!write(bells[0].event.get(), &one, 8);
  };
  auto done = [&](uint32_t i) {
    return (__atomic_load_n(&rq[2 * i + 1], __ATOMIC_ACQUIRE) >> 32) & 1;
  };
  bench("echo 1 (irq)", 20000, [&] {
    tx(1);
    pollfd p{ev[0], POLLIN, 0};
    if (poll(&p, 1, 1000) <= 0) printf("lost\n");
    uint64_t c;
    (void)!read(ev[0], &c, 8);
    while (!done(rh))
      ;
    rh = (rh + 1) % 256;
    setrx(1);
    wr(kIms, kIcrRxq0);
  });
  bench("echo 1 (spin)", 20000, [&] {
    tx(1);
    while (!done(rh))
      ;
    rh = (rh + 1) % 256;
    setrx(1);
  });
  auto a = MonotonicNs();
  uint64_t n = 0;
  uint32_t inflight = 0;
  while (n < 4000000) {
    if (inflight < 128) {
      tx(64);
      inflight += 64;
    }
    uint32_t got = 0;
    while (got < 64 && done(rh)) {
      rh = (rh + 1) % 256;
      got++;
    }
    if (got) {
      setrx(got);
      n += got;
      inflight -= got;
    }
  }
  printf("flat out echo %.2f Mpps\n", n * 1e3 / (MonotonicNs() - a));
  printf("missed %lu faults %lu\n", counters.rx_missed.load(),
         counters.dma_faults.load());
  loop->Stop();
  t.join();
}
