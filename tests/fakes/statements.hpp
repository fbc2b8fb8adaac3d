// Observes the SQLite statements of this process, and can make the page cache so small that a transaction writes to
// disk while it runs.
//
// While an object lives, every connection opened in this process reports each statement as it begins. So tests see what
// storage/ does between BEGIN and COMMIT without changing it. One object at a time; the connections belong to the
// thread that created it.
#pragma once

#include <functional>
#include <string_view>

namespace perjoule::fakes {

class Statements {
 public:
  // Called before each statement with its SQL, valid during the call. The callee must not use the connection.
  using Watcher = std::function<void(std::string_view sql)>;
  explicit Statements(Watcher watcher);
  ~Statements();
  Statements(const Statements&) = delete;
  Statements& operator=(const Statements&) = delete;

  // From now on the open connections cache so few pages that a transaction writes its changes to the WAL at once, not
  // only at its commit. Call it between two statements.
  static void spill_early();
};

}  // namespace perjoule::fakes
