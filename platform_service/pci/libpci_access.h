// One use of libpci whose fatal errors come back instead of ending the process.
//
// libpci reports a fatal error through a handler that must not return. Ours
// jumps out of the library (it is plain C, so no destructor is skipped) into
// the Guard that called it. What libpci had open at that moment is lost to it,
// so outside input is checked beforehand: a jump is the last resort.
//
// Threading: an object is one thread's; several objects may be in use at once.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_LIBPCI_ACCESS_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_LIBPCI_ACCESS_H_

extern "C" {
#include <pci/pci.h>
}

#include <csetjmp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace bulkhead::pci {

class LibpciAccess {
 public:
  // With our handlers in place, and nothing looked at yet.
  LibpciAccess();
  ~LibpciAccess();
  LibpciAccess(const LibpciAccess&) = delete;
  LibpciAccess& operator=(const LibpciAccess&) = delete;

  // Chooses the method (PCI_ACCESS_…) and sets its parameter to `value`.
  absl::Status Configure(unsigned method, const std::string& parameter,
                         const std::string& value);

  // Opens the method and lists the devices.
  absl::Status Scan();

  pci_access* get() const { return access_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  // Runs `body`, which calls libpci and nothing else: an error leaves it by a
  // jump, so nothing in it may need a destructor. INTERNAL with libpci's own
  // words after an error.
  template <typename Body>
  absl::Status Guard(absl::string_view what, Body body) {
    jmp_buf landing;
    // The innermost Guard catches; the outer one is put back.
    jmp_buf* const outer = SetLanding(&landing);
    LibpciAccess* const outer_access = SetCurrent(this);
    const bool failed = setjmp(landing) != 0;
    if (!failed) body();
    SetLanding(outer);
    SetCurrent(outer_access);
    return failed ? LastError(what) : absl::OkStatus();
  }

 private:
  static jmp_buf* SetLanding(jmp_buf* landing);
  static LibpciAccess* SetCurrent(LibpciAccess* access);
  static absl::Status LastError(absl::string_view what);
  // GNU's spelling makes it a part of the type, which libpci wants.
  __attribute__((noreturn)) static void OnError(char* format, ...);
  static void OnWarning(char* format, ...);
  static void OnDebug(char* format, ...);

  pci_access* access_;
  std::vector<std::string> warnings_;
};

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_LIBPCI_ACCESS_H_
