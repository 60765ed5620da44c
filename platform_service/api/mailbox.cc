#include "platform_service/api/mailbox.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/errno_status.h"

namespace bulkhead::platform {

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::Create(EventLoop& loop) {
  UniqueFd bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell.valid()) return ErrnoStatus("create an eventfd");
  std::unique_ptr<Mailbox> mailbox(new Mailbox(loop, std::move(bell)));
  ASSIGN_OR_RETURN(mailbox->watch_, loop.Watch(mailbox->bell_.get(), EPOLLIN,
                                               [raw = mailbox.get()](uint32_t) {
                                                 raw->Empty();
                                               }));
  return mailbox;
}

Mailbox::~Mailbox() {
  if (watch_ != 0) loop_.Unwatch(watch_);
}

void Mailbox::Put(std::function<void()> letter) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    letters_.push_back(std::move(letter));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      ::write(bell_.get(), &one, sizeof(one));
}

void Mailbox::Empty() {
  uint64_t count;
  [[maybe_unused]] const ssize_t got =
      ::read(bell_.get(), &count, sizeof(count));
  std::vector<std::function<void()>> letters;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    letters.swap(letters_);
  }
  for (const auto& letter : letters) letter();
}

}  // namespace bulkhead::platform
