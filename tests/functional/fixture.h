// A whole system for a test, with clients that send and receive frames.
#ifndef BULKHEAD_TESTS_FUNCTIONAL_FIXTURE_H_
#define BULKHEAD_TESTS_FUNCTIONAL_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "packet_stream/client.h"
#include "tests/bench/system_under_test.h"
#include "tests/functional/api_client.h"

namespace bulkhead::functional {

#define ASSERT_OK(expression)                       \
  do {                                              \
    const absl::Status status_ = (expression);      \
    ASSERT_TRUE(status_.ok()) << status_.message(); \
  } while (false)

class SystemTest : public testing::Test {
 protected:
  void Start(const std::string& scenario, int links) {
    auto system =
        bench::SystemUnderTest::Start({.scenario = scenario, .bin_dir = ""});
    ASSERT_TRUE(system.ok()) << system.status();
    system_ = *std::move(system);
    api_ = std::make_unique<ApiClient>(system_->run_dir());
    ASSERT_OK(system_->WaitForLinks(links, 20000));
  }

  absl::StatusOr<std::unique_ptr<packet_stream::Session>> Open(
      const std::string& instance, const std::string& label = "test",
      packet_stream::SessionGeometry geometry = {64, 64, 2048}) {
    packet_stream::OpenOptions options;
    options.socket = system_->session_socket();
    options.label = label;
    options.instance = instance;
    options.geometry = geometry;
    return packet_stream::Session::Open(options);
  }

  // Sends one frame of `bytes` bytes that starts with `to` and ends with
  // `mark`. The session must have a link.
  static void Send(packet_stream::Lane& session, const uint8_t (&to)[6],
                   uint8_t mark, uint16_t bytes = 64) {
    packet_stream::TxBuffer buffer;
    while (session.AllocTx({&buffer, 1}) == 0) {
      session.Flush();
      session.Wait(100);
    }
    std::memset(buffer.data, mark, bytes);
    std::memcpy(buffer.data, to, 6);
    const std::array<uint8_t, 6> from = session.status().mac;
    std::memcpy(buffer.data + 6, from.data(), 6);
    buffer.data[12] = 0x88;
    buffer.data[13] = 0xb5;  // IEEE 802: local experiments.
    packet_stream::Descriptor piece = {};
    piece.offset = buffer.offset;
    piece.length = bytes;
    session.SubmitTx({&piece, 1});
    session.Flush();
  }

  // The last byte of the next frame; -1: none came within `timeout_ms`.
  static int Receive(packet_stream::Lane& session, int timeout_ms = 5000) {
    packet_stream::RxPiece piece;
    for (int waited = 0; waited <= timeout_ms; waited += 10) {
      if (session.Receive({&piece, 1}) == 1) {
        const int mark = piece.data[piece.length - 1];
        session.Release({&piece, 1});
        session.Flush();
        return mark;
      }
      session.Flush();
      session.Wait(10);
    }
    return -1;
  }

  static bool WaitForLink(packet_stream::Lane& session) {
    for (int i = 0; i < 500; ++i) {
      const packet_stream::SessionStatus status = session.status();
      if (status.state == packet_stream::SessionState::kRunning &&
          status.link_up) {
        return true;
      }
      session.Wait(10);
      packet_stream::RxPiece piece;
      if (session.Receive({&piece, 1}) == 1) session.Release({&piece, 1});
      session.Flush();
    }
    return false;
  }

  static constexpr uint8_t kBroadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

  std::unique_ptr<bench::SystemUnderTest> system_;
  std::unique_ptr<ApiClient> api_;
};

}  // namespace bulkhead::functional

#endif  // BULKHEAD_TESTS_FUNCTIONAL_FIXTURE_H_
