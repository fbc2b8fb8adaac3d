// Appends JSON without blanks to a string. All HTTP bodies, JSON log lines and stored records are written with it.
//
//   JsonWriter json(out);
//   json.begin_object().member("status", "success").key("data").begin_array().integer(1).integer(2).end_array();
//   json.end_object();                                      // {"status":"success","data":[1,2]}
//
// It derives the commas from the last byte of `out` and has no other state. So several writers can append to one
// string, and a function that adds a member to an object needs only `out`. Before the first call `out` is empty, or
// ends inside the value that is being written. The caller pairs begin with end and key with value. Any thread, one at a
// time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace perjoule {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return begin('{'); }
  JsonWriter& end_object() { return end('}'); }
  JsonWriter& begin_array() { return begin('['); }
  JsonWriter& end_array() { return end(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& string(std::string_view value);
  JsonWriter& number(double value);  // null for NaN and the infinities, which JSON does not have
  JsonWriter& integer(std::int64_t value);
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  // `value` is JSON.
  JsonWriter& raw(std::string_view value);

  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).string(value); }

 private:
  void separate();
  JsonWriter& begin(char bracket);
  JsonWriter& end(char bracket);

  std::string& out_;
};

}  // namespace perjoule
