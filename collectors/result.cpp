#include "collectors/result.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace perjoule {

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  throw std::runtime_error(
      fmt::format("{}:{}: value() of a failed result: {}", where.file_name(), where.line(), error.what));
}

Error error_from_errno(int number, std::string_view path) {
  Fault fault = Fault::transient;
  switch (number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ENOTDIR:
    case ENODATA:     // the driver has no value now: a link is down, a sensor is not connected
    case EOPNOTSUPP:  // and will never have one
      fault = Fault::absent;
      break;
    case EACCES:
    case EPERM:
      fault = Fault::denied;
      break;
    default:
      break;
  }
  return Error{fault, fmt::format("{}: {}", path, std::generic_category().message(number))};
}

}  // namespace perjoule
