// History as text. One thread at a time; as slow as the store and `write` are.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "storage/store.hpp"

namespace perjoule::storage {

using WriteText = std::function<bool(std::string_view)>;  // false: stop (the pipe was closed)

// history.db to read only, beside a running daemon.
[[nodiscard]] Result<std::unique_ptr<Store>> open_to_export(const std::filesystem::path& path);

// OpenMetrics 1.0 with a stamp on each sample, as `promtool tsdb create-blocks-from openmetrics` loads it.
// The store has to give the series in the order of metric, then labels.
[[nodiscard]] Result<void> export_openmetrics(Store& store, const Selection& selection, const WriteText& write);

// `time,metric,labels,value`: time is RFC 3339 in UTC with milliseconds; quoting is RFC 4180's, lines end in a line
// feed.
[[nodiscard]] Result<void> export_csv(Store& store, const Selection& selection, const WriteText& write);

}  // namespace perjoule::storage
