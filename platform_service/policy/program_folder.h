// Programs that are found by the name of their folder: DIR/NAME/NAME.
//
// Looks at the file system, runs nothing.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_PROGRAM_FOLDER_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_PROGRAM_FOLDER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bulkhead::policy {

// [a-z0-9_]+, at most 32 characters: such a name cannot leave its folder.
bool IsProgramName(absl::string_view name);

// DIR/NAME/NAME
std::string ProgramPath(absl::string_view dir, absl::string_view name);

// Why the program at `path` cannot be run; empty: it can.
std::string WhyNotRunnable(const std::string& path);

// Every NAME with a folder DIR/NAME that holds a program NAME which can be run,
// or a regular file `description`; sorted, at most 256.
std::vector<std::string> ListProgramFolders(const std::string& dir,
                                            const std::string& description);

bool IsRegularFile(const std::string& path);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_PROGRAM_FOLDER_H_
