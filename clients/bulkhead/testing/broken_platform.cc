// A platform service that ends at once.
#include <unistd.h>

#include <string_view>

int main() {
  constexpr std::string_view kWords = "this platform service is broken\n";
  if (::write(STDERR_FILENO, kWords.data(), kWords.size()) < 0) return 4;
  return 3;
}
