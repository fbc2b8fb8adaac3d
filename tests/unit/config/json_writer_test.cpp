#include "config/json_writer.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "config/json_reader.hpp"

namespace perjoule {

TEST_CASE("json writer: commas stand between members and items, and nowhere else") {
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("a", "{[:,").key("b").begin_array().end_array().key("c").begin_array();
  json.integer(-7).number(0.5).boolean(true).raw("null").string("x").begin_object().end_object().end_array();
  json.member("d", "").end_object();
  CHECK(out == R"({"a":"{[:,","b":[],"c":[-7,0.5,true,null,"x",{}],"d":""})");
}

TEST_CASE("json writer: a writer created inside a value continues it") {
  std::string out;
  JsonWriter(out).begin_array();
  for (int i = 0; i < 3; ++i)
    JsonWriter(out).integer(i);
  JsonWriter(out).end_array();
  CHECK(out == "[0,1,2]");
}

TEST_CASE("json writer: numbers that JSON does not have are null") {
  std::string out;
  JsonWriter(out).begin_array().number(std::numeric_limits<double>::quiet_NaN()).number(1e300).end_array();
  CHECK(out == "[null,1e+300]");
  CHECK(config::json::read(out).problems.empty());
}

}  // namespace perjoule
