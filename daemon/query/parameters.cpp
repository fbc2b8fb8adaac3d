#include "daemon/query/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/json_reader.hpp"
#include "daemon/query/promql/literal.hpp"
#include "daemon/query/promql/parser.hpp"

namespace perjoule::query {
namespace {

constexpr std::size_t matches_max = 64;  // `match[]` of one request

Error not_a_duration(std::string_view name, std::string_view text) {
  return invalid(name, fmt::format("cannot parse {} to a valid duration{}", config::json::quote_short(text),
                                   is_number(text) ? ". It overflows int64" : ""));
}

}  // namespace

std::string_view parameter(const Parameters& parameters, std::string_view name) {
  const auto at =
      std::find_if(parameters.begin(), parameters.end(), [name](const auto& pair) { return pair.first == name; });
  return at == parameters.end() ? std::string_view() : std::string_view(at->second);
}

Error invalid(std::string_view name, std::string_view what) {
  return Error{Fault::broken, fmt::format("invalid parameter \"{}\": {}", name, what)};
}

Result<std::int64_t> time_parameter(const Parameters& parameters, std::string_view name,
                                    std::optional<std::int64_t> otherwise) {
  const std::string_view text = parameter(parameters, name);
  if (text.empty() && otherwise) return *otherwise;
  const auto ms = read_time(text);
  if (!ms) {
    // Prometheus says more where the parameter may be left out.
    const std::string which = otherwise ? fmt::format("Invalid time value for '{}': ", name) : std::string();
    return invalid(name, fmt::format("{}cannot parse {} to a valid timestamp", which, config::json::quote_short(text)));
  }
  return *ms;
}

Result<std::int64_t> step_parameter(const Parameters& parameters) {
  const std::string_view text = parameter(parameters, "step");
  const auto ms = read_step(text);
  if (!ms) return not_a_duration("step", text);
  if (*ms <= 0) {
    return invalid("step", "zero or negative query resolution step widths are not accepted. Try a positive integer");
  }
  return *ms;
}

Result<void> check_timeout(const Parameters& parameters) {
  const std::string_view text = parameter(parameters, "timeout");
  if (text.empty() || read_step(text)) return {};
  return not_a_duration("timeout", text);
}

Result<std::int64_t> source_resolution_parameter(const Parameters& parameters, std::int64_t step_ms) {
  const std::string_view text = parameter(parameters, "max_source_resolution");
  if (text.empty()) return std::int64_t{0};
  if (text == "auto") return step_ms / 5;
  const auto ms = read_step(text);
  if (!ms) return not_a_duration("max_source_resolution", text);
  if (*ms < 0) return invalid("max_source_resolution", "negative source resolutions are not accepted");
  return *ms;
}

Result<std::size_t> limit_parameter(const Parameters& parameters) {
  const std::string_view text = parameter(parameters, "limit");
  std::size_t limit = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (text.empty()) return std::size_t{0};
  if (problem != std::errc() || end != text.data() + text.size()) return invalid("limit", "limit must be a number");
  return limit;
}

Result<std::vector<std::vector<Matcher>>> match_parameters(const Parameters& parameters) {
  std::vector<std::vector<Matcher>> matches;
  for (const auto& [name, value] : parameters) {
    if (name != "match[]") continue;
    if (matches.size() == matches_max) return invalid("match[]", fmt::format("more than {} selectors", matches_max));
    auto matchers = parse_selector(value);
    if (!matchers) {
      if (matchers.error().fault == Fault::denied) return matchers.error();
      return invalid("match[]", matchers.error().what);
    }
    matches.push_back(std::move(*matchers));
  }
  return matches;
}

}  // namespace perjoule::query
