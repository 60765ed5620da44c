// Shows that a driver description is read as written, and that each slip in one
// is named with its place and its remedy.
#include "platform_service/policy/driver_description.h"

#include <gtest/gtest.h>

#include <string>

namespace bulkhead::policy {
namespace {

std::string ErrorsOf(const std::string& text) {
  return ToText(ParseDriverDescription(text, "driver.yaml").diagnostics);
}

TEST(DriverDescription, SaysWhatIsDrivenAndHowItIsReset) {
  const ParsedDescription parsed = ParseDriverDescription(
      "drives: [{vendor: 0x8086, device: 0x10d3, name: 82574L}]\n"
      "reset:\n"
      "  software: {bar: 0, offset: 0x0, set: 0x04000000}\n"
      "  witness: [{bar: 0, offset: 0x100, mask: 0x2, value: 0, mark: 2}]\n"
      "  within: 20ms\n",
      "driver.yaml");
  ASSERT_TRUE(parsed.ok()) << ToText(parsed.diagnostics);
  const DriverDescription& description = parsed.description;
  EXPECT_TRUE(description.Drives(0x8086, 0x10d3));
  EXPECT_FALSE(description.Drives(0x8086, 0x10d4));
  ASSERT_EQ(description.reset.software.size(), 1u);
  EXPECT_TRUE(description.reset.software[0].keeps_other_bits);
  EXPECT_EQ(description.reset.software[0].value, 0x04000000u);
  ASSERT_EQ(description.reset.witness.size(), 1u);
  EXPECT_EQ(description.reset.witness[0].place.offset, 0x100u);
  EXPECT_EQ(description.reset.witness[0].mark, 2u);
  EXPECT_EQ(description.reset.within_ms, 20u);
}

TEST(DriverDescription, AVirtioRegisterIsNamedByItsCapability) {
  const ParsedDescription parsed = ParseDriverDescription(
      "drives: [{vendor: 0x1af4, device: 0x1041}]\n"
      "reset:\n"
      "  software:\n"
      "  - {virtio_cap: common, offset: 0x14, width: 1, write: 0}\n"
      "  witness:\n"
      "  - {virtio_cap: common, offset: 0x14, width: 1, value: 0}\n",
      "driver.yaml");
  ASSERT_TRUE(parsed.ok()) << ToText(parsed.diagnostics);
  const RegisterWitness& witness = parsed.description.reset.witness.at(0);
  EXPECT_EQ(witness.place.base, RegisterPlace::Base::kVirtioCommon);
  EXPECT_EQ(witness.mask, 0xffu);
}

TEST(DriverDescription, ADriverOfInterfacesNamesItsSocket) {
  const ParsedDescription parsed =
      ParseDriverDescription("interfaces: af_xdp\n", "driver.yaml");
  ASSERT_TRUE(parsed.ok()) << ToText(parsed.diagnostics);
  EXPECT_EQ(parsed.description.socket, SocketKind::kXdp);
}

TEST(DriverDescription, EachSlipIsNamedWithItsPlace) {
  const struct {
    const char* text;
    const char* message;
  } kSlips[] = {
      {"", "drives"},
      {"drives: [{vendor: 8086, device: 0x10d3}]", "1:19"},
      {"interfaces: af_unix", "af_packet and af_xdp"},
      {"interfaces: af_xdp\ndrives: []", "give one of them"},
      {"drives: []\nrest: {}", "did you mean `reset`"},
      {"drives: []\nreset: {software: {bar: 0, offset: 0, set: 1}}",
       "needs a `witness`"},
      {"drives: []\nreset: {witness: [{offset: 0, value: 0}]}",
       "either `bar: 0` or"},
      {"drives: []\nreset: {witness: [{bar: 6, offset: 0, value: 0}]}", "bar"},
      {"drives: []\nreset: {witness: [{bar: 0, offset: 2, value: 0}]}",
       "multiple of its width"},
      {"drives: []\nreset: {witness: [{bar: 0, offset: -4, value: 0}]}",
       "no register value"},
      {"drives: []\nreset: {witness: [{bar: 0, offset: 0, mask: 1, value: "
       "2}]}",
       "`mask` leaves out"},
      {"drives: []\nreset: {witness: [{bar: 0, offset: 0, value: 1, mark: "
       "1}]}",
       "always hold"},
      {"drives: []\nreset: {witness: [{bar: 0, offset: 0, value: "
       "0x100000000}]}",
       "32 bits"},
      {"drives: []\nreset: {witness: [{virtio_cap: rings, offset: 0, value: "
       "0}]}",
       "common, notify, isr"},
      {"drives: []\nreset: {software: {bar: 0, offset: 0, width: 1, write: "
       "256}, witness: [{bar: 0, offset: 0, value: 0}]}",
       "8 bits"},
      {"drives: []\nreset: {software: {bar: 0, offset: 0}, witness: [{bar: 0, "
       "offset: 0, value: 0}]}",
       "either `set:`"},
      {"drives: \x01", "driver description"},
  };
  for (const auto& slip : kSlips) {
    EXPECT_NE(ErrorsOf(slip.text).find(slip.message), std::string::npos)
        << slip.text << "\n"
        << ErrorsOf(slip.text);
  }
}

TEST(DriverDescription, AFileThatIsNotThereSaysSo) {
  EXPECT_NE(
      ToText(ParseDriverDescriptionFile("nowhere/driver.yaml").diagnostics)
          .find("cannot be opened"),
      std::string::npos);
}

}  // namespace
}  // namespace bulkhead::policy
