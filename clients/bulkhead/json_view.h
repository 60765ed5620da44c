// The API's messages as JSON. Names follow platform.proto; numbers stay
// numbers (protobuf's own JSON would print 64-bit ones as strings).
#ifndef BULKHEAD_CLIENTS_BULKHEAD_JSON_VIEW_H_
#define BULKHEAD_CLIENTS_BULKHEAD_JSON_VIEW_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "platform_service/api/platform.pb.h"

namespace bulkhead::cli {

using Json = nlohmann::ordered_json;

Json ToJson(const platform::v1::Device& device);
Json ToJson(const platform::v1::Instance& instance);
Json ToJson(const platform::v1::Session& session);
Json ToJson(const platform::v1::Process& process);
Json ToJson(const platform::v1::Event& event);
Json ToJson(const platform::v1::Router& router);
Json ToJson(const platform::v1::Status& status);
// An object for each row, its keys the columns.
Json ToJson(const platform::v1::RouterTable& table);

// On one line. Invalid UTF-8 becomes U+FFFD instead of an exception.
std::string Dump(const Json& json);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_JSON_VIEW_H_
