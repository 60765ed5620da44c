// A machine's /sys, /proc and /dev as files below a folder, from a short text.
//
//   pci ADDRESS VENDOR:DEVICE CLASS [driver=NAME] [group=N] [numa=N] [net=NAME]
//   file PATH TEXT…
//   link PATH TARGET
//
// One item a line, `#` begins a comment. `pci` makes what the kernel shows of a
// function: its folder, ids, config space, driver, IOMMU group and interface.
#ifndef BULKHEAD_PLATFORM_SERVICE_DOCTOR_TESTING_RECORDED_TREE_H_
#define BULKHEAD_PLATFORM_SERVICE_DOCTOR_TESTING_RECORDED_TREE_H_

#include <string>

#include "base/testing/scratch_dir.h"

namespace bulkhead::doctor {

class RecordedTree {
 public:
  // Ends the test program with the line's number when a line is none of these.
  explicit RecordedTree(const std::string& text);
  // testdata/NAME.tree
  static std::string Load(const std::string& name);

  const std::string& root() const { return folder_.path(); }

 private:
  void AddPci(const std::string& rest);
  void Write(const std::string& path, const std::string& text);
  void Link(const std::string& path, const std::string& target);

  ScratchDir folder_;
};

}  // namespace bulkhead::doctor

#endif  // BULKHEAD_PLATFORM_SERVICE_DOCTOR_TESTING_RECORDED_TREE_H_
