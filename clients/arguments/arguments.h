// What the command lines of the traffic programs have in common.
#ifndef BULKHEAD_CLIENTS_ARGUMENTS_ARGUMENTS_H_
#define BULKHEAD_CLIENTS_ARGUMENTS_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace bulkhead::arguments {

inline constexpr int kUsage = 2;

// "5", "0.5s", "500ms", "2m" as milliseconds; an empty text leaves `ms` as it
// is. Returns what is wrong with the text, nothing when it is right.
std::string ParseDuration(const std::string& text, uint64_t& ms);

// Says what is wrong with the command line, with the program's name and where
// to look, or shows the help that was asked for. Returns the exit status.
int SayWhatIsWrong(const CLI::App& app, const CLI::ParseError& error);

}  // namespace bulkhead::arguments

#endif  // BULKHEAD_CLIENTS_ARGUMENTS_ARGUMENTS_H_
