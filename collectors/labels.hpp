// A set of labels as a value, and as a string in the exposition format: `gpu="0",uuid="GPU-5a..."`.
//
// The string identifies a series in the ledger, the history and on /metrics; there the labels have the order of the
// metric's declaration. In a Labels value they are sorted by name, so that two sets can be compared with ==.
// Pure; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perjoule {

// Sorted by name, each name once.
using Labels = std::vector<std::pair<std::string, std::string>>;

// Appends `name="value"` with the escapes of the exposition format (\\, \" and \n), after a comma if `out` ends with a
// label.
void append_label(std::string& out, std::string_view name, std::string_view value);
[[nodiscard]] std::string label_text(const Labels& labels);
// Reads what label_text() writes, in any order. Nothing if a quote or comma is missing or a name occurs twice.
[[nodiscard]] std::optional<Labels> parse_labels(std::string_view text);

// The same, in the order of the text; a name may occur twice.
[[nodiscard]] std::optional<Labels> parse_in_order(std::string_view text);
// The labels of such a string whose names `keep` accepts, in their order; "" if the string cannot be read.
[[nodiscard]] std::string select_labels(std::string_view text, const std::function<bool(std::string_view)>& keep);

// "" when there is no such label: to Prometheus an empty label and an absent one are the same.
[[nodiscard]] std::string_view label_value(const Labels& labels, std::string_view name);
// As a JSON object: {"gpu":"0","uuid":"GPU-5a..."}
void append_json(std::string& out, const Labels& labels);

}  // namespace perjoule
