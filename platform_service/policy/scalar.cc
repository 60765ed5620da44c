#include "platform_service/policy/scalar.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kMaxNameCharacters = 32;
// So that a value of a megabyte does not make a message of a megabyte.
constexpr size_t kMaxQuotedCharacters = 48;

std::string Quote(absl::string_view text) {
  if (text.size() <= kMaxQuotedCharacters) return absl::StrCat("`", text, "`");
  return absl::StrCat("`", text.substr(0, kMaxQuotedCharacters), "…`");
}

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

bool AllDigits(absl::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool AllHex(absl::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

// The digits at the start of `text`; false when 64 bits do not hold them, and
// the largest number in `*value` then.
bool LeadingNumber(absl::string_view* text, uint64_t* value) {
  size_t digits = 0;
  while (digits < text->size() && absl::ascii_isdigit((*text)[digits])) {
    ++digits;
  }
  const bool fits = absl::SimpleAtoi(text->substr(0, digits), value);
  if (!fits) *value = std::numeric_limits<uint64_t>::max();
  text->remove_prefix(digits);
  return fits;
}

// `value` × `factor`, or the largest number.
uint64_t Scale(uint64_t value, uint64_t factor) {
  uint64_t product;
  if (__builtin_mul_overflow(value, factor, &product)) {
    return std::numeric_limits<uint64_t>::max();
  }
  return product;
}

absl::Status OutOfRange(absl::string_view text, absl::string_view least,
                        absl::string_view most) {
  return Wrong(Quote(text), " is out of range; it must be from ", least, " to ",
               most);
}

bool LeadingZero(absl::string_view text) {
  return text.size() > 1 && text[0] == '0' && absl::ascii_isdigit(text[1]);
}

struct Unit {
  absl::string_view name;
  uint64_t factor;
};

constexpr Unit kTimeUnits[] = {{"us", 1},
                               {"ms", 1000},
                               {"s", 1000 * 1000},
                               {"m", 60ull * 1000 * 1000},
                               {"h", 3600ull * 1000 * 1000}};
constexpr Unit kByteUnits[] = {
    {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}};

// Units that people write, and the one that they most likely mean.
constexpr struct {
  absl::string_view written;
  absl::string_view meant;
} kNearUnits[] = {{"usec", "us"}, {"msec", "ms"}, {"sec", "s"},  {"min", "m"},
                  {"S", "s"},     {"MS", "ms"},   {"K", "KiB"},  {"KB", "KiB"},
                  {"k", "KiB"},   {"kB", "KiB"},  {"kb", "KiB"}, {"kib", "KiB"},
                  {"M", "MiB"},   {"MB", "MiB"},  {"m", "MiB"},  {"mb", "MiB"},
                  {"mib", "MiB"}, {"mB", "MiB"},  {"G", "GiB"},  {"GB", "GiB"},
                  {"g", "GiB"},   {"gb", "GiB"},  {"gib", "GiB"}};

// NUMBER UNIT in the smallest unit; `examples` shows how to write it.
template <size_t kUnits>
absl::StatusOr<uint64_t> ReadWithUnit(absl::string_view text,
                                      const Unit (&units)[kUnits],
                                      absl::string_view examples) {
  absl::string_view rest = text;
  uint64_t number = 0;
  LeadingNumber(&rest, &number);
  if (rest.size() == text.size()) {
    return Wrong(Quote(text), " is not a number with a unit; write ", examples);
  }
  const absl::string_view digits = text.substr(0, text.size() - rest.size());
  if (LeadingZero(text)) {
    return Wrong(Quote(text), " starts with a zero; remove it");
  }
  if (rest.empty()) {
    return Wrong(Quote(text), " has no unit; write ", examples);
  }
  for (const Unit& unit : units) {
    if (rest == unit.name) return Scale(number, unit.factor);
  }
  for (const auto& near : kNearUnits) {
    for (const Unit& unit : units) {
      if (rest == near.written && unit.name == near.meant &&
          digits.size() <= 20) {
        return Wrong(Quote(text), " has an unknown unit; did you mean `",
                     digits, near.meant, "`?");
      }
    }
  }
  return Wrong(Quote(text), " has an unknown unit; write ", examples);
}

}  // namespace

absl::StatusOr<bool> ReadBool(absl::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  const std::string lower = absl::AsciiStrToLower(text.substr(0, 8));
  const bool yes = lower == "yes" || lower == "on" || lower == "y" ||
                   lower == "true" || lower == "1";
  const bool no = lower == "no" || lower == "off" || lower == "n" ||
                  lower == "false" || lower == "0";
  if (yes || no) {
    return Wrong(Quote(text), " is not `true` or `false`; did you mean `",
                 yes ? "true" : "false", "`?");
  }
  return Wrong(Quote(text), " is not `true` or `false`");
}

absl::StatusOr<uint64_t> ReadNumber(absl::string_view text, uint64_t least,
                                    uint64_t most) {
  if (!AllDigits(text)) {
    return Wrong(Quote(text),
                 " is not a whole number; write it with digits "
                 "only, from ",
                 least, " to ", most);
  }
  if (LeadingZero(text)) {
    return Wrong(Quote(text),
                 " starts with a zero, which some programs read as octal; "
                 "remove the zero");
  }
  absl::string_view rest = text;
  uint64_t value = 0;
  if (!LeadingNumber(&rest, &value) || value < least || value > most) {
    return OutOfRange(text, absl::StrCat(least), absl::StrCat(most));
  }
  return value;
}

absl::StatusOr<uint16_t> ReadId(absl::string_view text) {
  const bool prefixed =
      absl::StartsWith(text, "0x") || absl::StartsWith(text, "0X");
  const absl::string_view digits = prefixed ? text.substr(2) : text;
  if (!AllHex(digits) || digits.size() > 4) {
    return Wrong(Quote(text),
                 " is not a PCI number of 16 bits; write it as `0x8086`");
  }
  if (!prefixed) {
    return Wrong(Quote(text), " lacks its `0x`; did you mean `0x", digits,
                 "`?");
  }
  uint32_t value = 0;
  (void)absl::SimpleHexAtoi(digits, &value);
  return static_cast<uint16_t>(value);
}

absl::StatusOr<uint64_t> ReadDuration(absl::string_view text, uint64_t unit_us,
                                      uint64_t least, uint64_t most) {
  auto us = ReadWithUnit(text, kTimeUnits, "a time such as `10ms` or `5s`");
  if (!us.ok()) return us.status();
  if (*us < least * unit_us || *us > most * unit_us) {
    return OutOfRange(text, DurationText(least * unit_us),
                      DurationText(most * unit_us));
  }
  if (*us % unit_us != 0) {
    return Wrong(Quote(text), " is finer than this key can be; write whole ",
                 unit_us == 1000 ? "milliseconds" : "units");
  }
  return *us / unit_us;
}

absl::StatusOr<uint64_t> ReadBytes(absl::string_view text, uint64_t least,
                                   uint64_t most) {
  auto bytes =
      ReadWithUnit(text, kByteUnits, "a size such as `8MiB` or `64KiB`");
  if (!bytes.ok()) return bytes.status();
  if (*bytes < least || *bytes > most) {
    return OutOfRange(text, BytesText(least), BytesText(most));
  }
  return *bytes;
}

namespace {

// `example`: one of the kind that is wanted.
absl::StatusOr<MacAddress> ReadAddress(absl::string_view text,
                                       absl::string_view example) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(text.substr(0, 32), ':');
  const bool well_formed =
      text.size() == 17 && parts.size() == 6 &&
      std::all_of(parts.begin(), parts.end(), [](absl::string_view part) {
        return part.size() == 2 && AllHex(part);
      });
  if (!well_formed) {
    return Wrong(
        Quote(text),
        absl::StrCat(" is not a MAC address; write it as `", example, "`"));
  }
  MacAddress mac;
  for (size_t i = 0; i < mac.size(); ++i) {
    uint32_t byte = 0;
    (void)absl::SimpleHexAtoi(parts[i], &byte);
    mac[i] = static_cast<uint8_t>(byte);
  }
  return mac;
}

}  // namespace

absl::StatusOr<MacAddress> ReadMac(absl::string_view text) {
  absl::StatusOr<MacAddress> read = ReadAddress(text, "02:00:00:00:00:01");
  if (!read.ok()) return read;
  const MacAddress& mac = *read;
  if ((mac[0] & 1) != 0) {
    return Wrong(Quote(text),
                 " is the address of a group; a NIC's own has an even first "
                 "byte, such as `02:00:00:00:00:01`");
  }
  if (mac == MacAddress{}) {
    return Wrong(Quote(text),
                 " is no NIC's address; leave `mac` out to have "
                 "one made");
  }
  return mac;
}

absl::StatusOr<MacAddress> ReadGroupMac(absl::string_view text) {
  absl::StatusOr<MacAddress> mac = ReadAddress(text, "33:33:00:00:00:fb");
  if (mac.ok() && ((*mac)[0] & 1) == 0) {
    return Wrong(Quote(text),
                 " is one NIC's address; a group's has an odd first byte, such "
                 "as `33:33:00:00:00:fb`");
  }
  return mac;
}

absl::StatusOr<uint64_t> ReadSerial(absl::string_view text) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(text.substr(0, 32), '-');
  const bool well_formed =
      text.size() == 23 && parts.size() == 8 &&
      std::all_of(parts.begin(), parts.end(), [](absl::string_view part) {
        return part.size() == 2 && AllHex(part);
      });
  if (!well_formed) {
    return Wrong(Quote(text),
                 " is not a serial number; write it as lspci does,"
                 " `00-1b-21-ff-ff-aa-bb-cc`");
  }
  uint64_t serial = 0;
  (void)absl::SimpleHexAtoi(absl::StrJoin(parts, ""), &serial);
  if (serial == 0) {
    return Wrong(Quote(text),
                 " stands for no number; leave `serial` out to have one made");
  }
  return serial;
}

absl::StatusOr<ClassMatch> ReadClass(absl::string_view text) {
  // PCI Code and ID Assignment Specification, 1.3: class 02h.
  if (text == "network") return ClassMatch{0x020000, 0xff0000};
  if (text == "ethernet") return ClassMatch{0x020000, 0xffff00};
  if (text == "infiniband") return ClassMatch{0x020700, 0xffff00};
  const absl::string_view digits =
      absl::StartsWith(text, "0x") ? text.substr(2) : absl::string_view();
  uint32_t value = 0;
  if (!AllHex(digits) || digits.size() % 2 != 0 || digits.size() > 6 ||
      !absl::SimpleHexAtoi(digits, &value)) {
    return Wrong(Quote(text),
                 " is not a PCI class; write `ethernet`, "
                 "`network`, `infiniband`, or digits such as `0x0200`");
  }
  const int shift = 24 - 4 * static_cast<int>(digits.size());
  return ClassMatch{value << shift, 0xffffffu >> shift << shift};
}

absl::StatusOr<std::string> ReadAddress(absl::string_view text) {
  auto wrong = [&] {
    return Wrong(Quote(text),
                 " is not a PCI address; write it as "
                 "`0000:01:00.0`, or with `*` as `0000:01:*`");
  };
  std::string lower = absl::AsciiStrToLower(text.substr(0, 33));
  const bool allowed = std::all_of(lower.begin(), lower.end(), [](char c) {
    return absl::ascii_isxdigit(c) || absl::StrContains(":.*?", c);
  });
  if (lower.empty() || lower.size() > kMaxNameCharacters || !allowed) {
    return wrong();
  }
  if (std::count(lower.begin(), lower.end(), ':') == 1 &&
      absl::StrContains(lower, '.') && lower[0] != '*') {
    lower = absl::StrCat("0000:", lower);
  }
  if (absl::StrContains(lower, '*')) return lower;
  // DDDD:BB:DD.F, each digit perhaps a `?`.
  const std::vector<absl::string_view> parts =
      absl::StrSplit(lower, absl::ByAnyChar(":."));
  if (parts.size() != 4 || parts[0].size() < 4 || parts[0].size() > 8 ||
      parts[1].size() != 2 || parts[2].size() != 2 || parts[3].size() != 1 ||
      lower[parts[0].size()] != ':' || lower[parts[0].size() + 3] != ':') {
    return wrong();
  }
  return lower;
}

absl::Status CheckName(absl::string_view text) {
  const bool well_formed = !text.empty() && absl::ascii_islower(text[0]) &&
                           std::all_of(text.begin(), text.end(), [](char c) {
                             return absl::ascii_islower(c) ||
                                    absl::ascii_isdigit(c) || c == '_' ||
                                    c == '-';
                           });
  if (!well_formed) {
    return Wrong(Quote(text),
                 " is not a name; a name starts with a lower-case "
                 "letter and goes on with lower-case letters, digits, `_` "
                 "and `-`");
  }
  if (text.size() > kMaxNameCharacters) {
    return Wrong(Quote(text), " is too long for a name; ", kMaxNameCharacters,
                 " characters are allowed");
  }
  return absl::OkStatus();
}

std::string DurationText(uint64_t microseconds) {
  const Unit* best = &kTimeUnits[0];
  for (const Unit& unit : kTimeUnits) {
    if (microseconds != 0 && microseconds % unit.factor == 0) best = &unit;
  }
  return absl::StrCat(microseconds / best->factor, best->name);
}

std::string BytesText(uint64_t bytes) {
  const Unit* best = nullptr;
  for (const Unit& unit : kByteUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) best = &unit;
  }
  if (best == nullptr) return absl::StrCat(bytes, " bytes");
  return absl::StrCat(bytes / best->factor, best->name);
}

std::string MacText(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

std::string SerialText(uint64_t serial) {
  std::vector<std::string> bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(absl::StrFormat("%02x", serial >> shift & 0xff));
  }
  return absl::StrJoin(bytes, "-");
}

}  // namespace bulkhead::policy
