// Writes the history as text for the command `export`. Blocks on reading the file and on `write`; any thread, one call
// at a time. Errors are those of reading; when `write` returns false the export ends early, without an error.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "storage/store.hpp"

namespace perjoule::storage {

using WriteText = std::function<bool(std::string_view)>;  // false: stop, because the pipe is closed

// Opens history.db read-only, also while a daemon writes to it. Error denied: no permission, with a remedy.
[[nodiscard]] Result<std::unique_ptr<Store>> open_to_export(const std::filesystem::path& path);

// OpenMetrics 1.0 with a timestamp on each sample, as `promtool tsdb create-blocks-from openmetrics` loads it. Requires
// a store that returns the series sorted by metric, then labels: each family may have one header only.
[[nodiscard]] Result<void> export_openmetrics(Store& store, const Selection& selection, const WriteText& write);

// Columns `time,metric,labels,value`. The time is RFC 3339 in UTC with milliseconds. Quoting follows RFC 4180, but
// lines end with a line feed alone.
[[nodiscard]] Result<void> export_csv(Store& store, const Selection& selection, const WriteText& write);

}  // namespace perjoule::storage
