// Hides secrets in what is printed of the configuration. A key that may hold one is marked in the table of keys
// (Key::secret); members with a name such as "password" or "headers" are secret wherever they stand. Of a URL all that
// follows the host counts as secret, since a webhook's secret is its path or its query, and so does a user name before
// the host. Names of files are shown. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.hpp"

namespace perjoule::config {

// The last parts of the marked keys ("webhooks"), and the members of a receiver that are URLs. Views into `keys`.
[[nodiscard]] std::vector<std::string_view> secret_names(std::span<const Key> keys);

// The text of a configuration file, which need not be valid, with '*' in place of each character of a secret: whatever
// belongs to a member with one of `names`, in comments too, and of every URL all but scheme, host and port. Length,
// lines, quotes and brackets stay, so that places in the text stay true.
[[nodiscard]] std::string mask_secrets(std::string_view text, std::span<const std::string_view> names);

// The value of a marked key as JSON, for print-config, with "***" for what is secret in it.
[[nodiscard]] std::string mask_secret_value(std::string_view json);

// Text that may contain URLs, such as a refused command line, with "***" for their secrets.
[[nodiscard]] std::string mask_urls(std::string_view text);

}  // namespace perjoule::config
