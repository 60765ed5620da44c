#include "nic_driver/framework/queue_thread.h"

#include <malloc.h>

#include "base/errno_status.h"

namespace bulkhead::nic_driver {
namespace {

// The data path's batches live in its objects; a log line and the C library are
// what needs the most of it. A stack counts against the process's memory.
#ifdef BULKHEAD_SANITIZER
constexpr size_t kStackBytes = 8 << 20;
#else
constexpr size_t kStackBytes = 128 << 10;
#endif

}  // namespace

absl::StatusOr<std::unique_ptr<QueueThread>> QueueThread::Create() {
  // The data path allocates nothing, so that heaps for each thread would lie
  // there for nothing.
  ::mallopt(M_ARENA_MAX, 1);
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  std::unique_ptr<QueueThread> thread(new QueueThread(std::move(loop)));
  ASSIGN_OR_RETURN(thread->calls_, CallQueue::Create(*thread->loop_));
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  const int error =
      ::pthread_create(&thread->thread_, &attributes, Main, thread.get());
  ::pthread_attr_destroy(&attributes);
  if (error != 0) return ErrnoStatus("start a queue's thread", error);
  thread->started_ = true;
  return thread;
}

QueueThread::~QueueThread() {
  if (!started_) return;
  // As a handler, so that it is not lost on a thread that only begins to run.
  Post([this] { loop_->Stop(); });
  Release();
  ::pthread_join(thread_, nullptr);
}

void* QueueThread::Main(void* self) {
  static_cast<QueueThread*>(self)->loop_->Run();
  return nullptr;
}

void QueueThread::Hold() {
  std::unique_lock lock(mutex_);
  wanted_ = true;
  Post([this] { Halt(); });
  changed_.wait(lock, [this] { return halted_; });
}

void QueueThread::Halt() {
  std::unique_lock lock(mutex_);
  halted_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !wanted_; });
  halted_ = false;
  changed_.notify_all();
}

void QueueThread::Release() {
  std::unique_lock lock(mutex_);
  wanted_ = false;
  changed_.notify_all();
  // Not before it has gone on: the next Hold would take the last one's word.
  changed_.wait(lock, [this] { return !halted_; });
}

bool QueueThread::IsAlive() {
  const std::lock_guard lock(mutex_);
  if (halted_) return true;
  if (asked_) return false;
  asked_ = true;
  Post([this] {
    const std::lock_guard answer(mutex_);
    asked_ = false;
  });
  return true;
}

}  // namespace bulkhead::nic_driver
