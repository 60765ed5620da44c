// A platform service that neither listens nor ends when it is asked to.
#include <unistd.h>

#include <csignal>

int main() {
  std::signal(SIGTERM, SIG_IGN);
  for (;;) ::pause();
}
