// The return type of functions that may fail. A Fault says how the daemon reacts, not what the cause is.
//
// Values only; any thread. Nothing here throws while the daemon runs: `value()` on an error is a programming error.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace perjoule {

enum class Fault : std::uint8_t {
  absent,     // there is nothing to read: not an error, search again every minute
  denied,     // no permission: log it once, with the remedy
  transient,  // count it, try again at the next tick
  broken,     // drop the probe and create it again, with back-off
  timeout,    // the call passed its deadline: skip ticks until it returns
};

constexpr std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::absent:
      return "absent";
    case Fault::denied:
      return "denied";
    case Fault::transient:
      return "transient";
    case Fault::broken:
      return "broken";
    case Fault::timeout:
      return "timeout";
  }
  return "unknown";
}

struct Error {
  Fault fault = Fault::transient;
  std::string what;         // one line, names the path or the call
  std::string remedy = {};  // the exact command or setting that fixes it; empty where none is known
  bool lost = false;        // the driver says that the device is lost, and not only that this call failed
};

template <class T>
using Result = boost::system::result<T, Error>;

// Found by ADL from boost::system::result::value().
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

// The error for an errno of open(2) or read(2) on a kernel file; `what` is the path and strerror's message.
// ENOENT, ENODEV, ENXIO, ENOTDIR: absent. EACCES, EPERM: denied. All others: transient.
[[nodiscard]] Error error_from_errno(int number, std::string_view path);

}  // namespace perjoule
