// Which statement SQLite is running, and a cache so small that a transaction writes while it runs.
//
// While an object lives, every connection that is opened in this process tells it of each statement as it begins: what
// storage/ does between BEGIN and COMMIT is seen so without a change to it. One object at a time; the connections
// belong to the thread that made it.
#pragma once

#include <functional>
#include <string_view>

namespace perjoule::fakes {

class Statements {
 public:
  // Called before each statement with its text, which stays good for the call. The callee must not use the connection.
  using Watcher = std::function<void(std::string_view sql)>;
  explicit Statements(Watcher watcher);
  ~Statements();
  Statements(const Statements&) = delete;
  Statements& operator=(const Statements&) = delete;

  // The connections that are open keep so few pages from now on that what a transaction changes goes to the WAL at
  // once, and not only as it commits. Between two statements.
  static void spill_early();
};

}  // namespace perjoule::fakes
