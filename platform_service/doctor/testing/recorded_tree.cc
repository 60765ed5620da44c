#include "platform_service/doctor/testing/recorded_tree.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace bulkhead::doctor {
namespace {

namespace fs = std::filesystem;

// The first 64 bytes, little-endian (PCI 3.0, section 6.1).
std::string ConfigSpace(uint32_t vendor, uint32_t device, uint32_t code) {
  std::string bytes(64, '\0');
  bytes[0] = static_cast<char>(vendor);
  bytes[1] = static_cast<char>(vendor >> 8);
  bytes[2] = static_cast<char>(device);
  bytes[3] = static_cast<char>(device >> 8);
  bytes[9] = static_cast<char>(code);
  bytes[10] = static_cast<char>(code >> 8);
  bytes[11] = static_cast<char>(code >> 16);
  return bytes;
}

uint32_t Hex(const std::string& text) {
  uint32_t number = 0;
  if (!absl::SimpleHexAtoi(text, &number)) {
    std::cerr << "`" << text << "` is no hexadecimal number\n";
    std::abort();
  }
  return number;
}

}  // namespace

RecordedTree::RecordedTree(const std::string& text) {
  fs::create_directories(root() + "/sys/bus/pci/devices");
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    const std::vector<std::string> words =
        absl::StrSplit(parts.back(), absl::MaxSplits(' ', 1));
    if (parts.size() == 2 && parts[0] == "pci") {
      AddPci(parts[1]);
    } else if (parts.size() == 2 && parts[0] == "file") {
      Write(words[0], words.size() == 2 ? words[1] + "\n" : "");
    } else if (words.size() == 2 && parts[0] == "link") {
      Link(words[0], words[1]);
    } else {
      std::cerr << "line " << number << " of a recorded tree: " << line << "\n";
      std::abort();
    }
  }
}

std::string RecordedTree::Load(const std::string& name) {
  std::ifstream file("platform_service/doctor/testdata/" + name + ".tree");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) {
    std::cerr << "cannot read testdata/" << name << ".tree\n";
    std::abort();
  }
  return text.str();
}

void RecordedTree::AddPci(const std::string& rest) {
  const std::vector<std::string> words = absl::StrSplit(rest, ' ');
  const std::string& address = words.at(0);
  const std::vector<std::string> ids = absl::StrSplit(words.at(1), ':');
  const std::string folder = "/sys/devices/pci0000:00/" + address;
  const std::string up = "../../../../";
  Write(folder + "/vendor", absl::StrCat("0x", ids.at(0), "\n"));
  Write(folder + "/device", absl::StrCat("0x", ids.at(1), "\n"));
  Write(folder + "/class", absl::StrCat("0x", words.at(2), "\n"));
  Write(folder + "/irq", "0\n");
  Write(folder + "/config",
        ConfigSpace(Hex(ids.at(0)), Hex(ids.at(1)), Hex(words.at(2))));
  std::string resource;
  for (int bar = 0; bar < 7; ++bar) {
    resource += "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
  }
  Write(folder + "/resource", resource);
  Link("/sys/bus/pci/devices/" + address,
       "../../../devices/pci0000:00/" + address);
  std::map<std::string, std::string> more;
  for (size_t i = 3; i < words.size(); ++i) {
    const std::vector<std::string> pair = absl::StrSplit(words[i], '=');
    more[pair.at(0)] = pair.at(1);
  }
  Write(folder + "/numa_node",
        (more.count("numa") != 0 ? more["numa"] : "-1") + "\n");
  if (const std::string& driver = more["driver"]; !driver.empty()) {
    fs::create_directories(root() + "/sys/bus/pci/drivers/" + driver);
    Link(folder + "/driver", up + "sys/bus/pci/drivers/" + driver);
  }
  if (const std::string& group = more["group"]; !group.empty()) {
    const std::string place = "/sys/kernel/iommu_groups/" + group;
    Link(place + "/devices/" + address,
         "../../../../devices/pci0000:00/" + address);
    Link(folder + "/iommu_group", up + place.substr(1));
  }
  if (const std::string& net = more["net"]; !net.empty()) {
    fs::create_directories(root() + "/sys/class/net/" + net);
    Link("/sys/class/net/" + net + "/device",
         "../../../devices/pci0000:00/" + address);
  }
}

void RecordedTree::Write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(root() + path).parent_path());
  std::ofstream(root() + path, std::ios::binary) << text;
}

void RecordedTree::Link(const std::string& path, const std::string& target) {
  fs::create_directories(fs::path(root() + path).parent_path());
  fs::create_symlink(target, root() + path);
}

}  // namespace bulkhead::doctor
