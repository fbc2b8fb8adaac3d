// The mode of the files below storage.path. Any thread; blocks on the file system.
#pragma once

#include <filesystem>

namespace perjoule::storage {

// Removes from the regular file at `path`, if there is one, what other users may do with it, and writing by its group.
// SQLite creates its files with the mode of the database, so this is needed for the database alone.
void narrow(const std::filesystem::path& path);

}  // namespace perjoule::storage
