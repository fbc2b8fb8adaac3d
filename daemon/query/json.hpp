// JSON as Prometheus' API writes it, appended to a text. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/query/matcher.hpp"

namespace perjoule::query {

// With its quotes. What is not UTF-8 becomes U+FFFD.
void append_text(std::string& out, std::string_view text);

// The shortest decimal that reads back as the same double, never with an exponent; "NaN", "+Inf", "-Inf". No quotes.
void append_number(std::string& out, double value);

// Seconds with as many decimals as the milliseconds ask for: none or three.
void append_time(std::string& out, std::int64_t ms);

// [1700000000.25,"3.5"]
void append_sample(std::string& out, std::int64_t ms, double value);

// {"__name__":"power","gpu":"0"}
void append_labels(std::string& out, const Labels& labels);

}  // namespace perjoule::query
