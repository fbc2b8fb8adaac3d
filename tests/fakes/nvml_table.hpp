// A fake NVML: a table of functions for one board, whose answers the test sets in members of FakeNvml.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "collectors/gpu/nvml_api.hpp"

namespace perjoule::fakes {

// The table's functions are plain C functions and find the fake of the running test here. One at a time.
struct FakeNvml;
inline FakeNvml* fake_nvml = nullptr;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

struct FakeNvml {
  FakeNvml() { fake_nvml = this; }
  ~FakeNvml() { fake_nvml = nullptr; }
  FakeNvml(const FakeNvml&) = delete;
  FakeNvml& operator=(const FakeNvml&) = delete;

  std::map<std::string, nvml::Return> results;       // by the names below; default: success
  std::map<std::uint32_t, nvml::FieldValue> fields;  // by field + 1000 * scope; default: not supported
  std::map<std::string, std::uint64_t> numbers;      // by the names below
  std::map<std::string, int> calls;
  std::string uuid = "GPU-fake";

  nvml::Return call(const char* name) {
    ++calls[name];
    const auto found = results.find(name);
    return found == results.end() ? nvml::Return::success : found->second;
  }
  [[nodiscard]] int total() const {
    int sum = 0;
    for (const auto& [name, count] : calls)
      sum += count;
    return sum;
  }
  void field(std::uint32_t id, std::uint64_t value, nvml::ValueType type = nvml::ValueType::unsigned_int) {
    nvml::FieldValue answer{};
    answer.type = type;
    answer.value.unsigned_long_long = value;
    fields[id] = answer;
  }

  template <class Integer>
  static nvml::Return number(const char* name, Integer* to) {
    *to = static_cast<Integer>(fake_nvml->numbers[name]);
    return fake_nvml->call(name);
  }
  static nvml::Return text(const char* name, const std::string& from, char* to) {
    std::memcpy(to, from.c_str(), from.size() + 1);
    return fake_nvml->call(name);
  }
  static nvml::Return field_values(nvml::Device, std::int32_t count, nvml::FieldValue* values) {
    for (std::int32_t i = 0; i < count; ++i) {
      const auto found = fake_nvml->fields.find(values[i].field + 1000 * values[i].scope);
      values[i].result = nvml::Return::not_supported;
      if (found == fake_nvml->fields.end()) continue;
      values[i].result = found->second.result;
      values[i].type = found->second.type;
      values[i].value = found->second.value;
    }
    return fake_nvml->call("fields");
  }

  static nvml::Api table() {
    using namespace nvml;
    using U32 = std::uint32_t*;
    Api api;
    api.init = [] { return fake_nvml->call("init"); };
    api.init_with_flags = [](std::uint32_t) { return fake_nvml->call("init_with_flags"); };
    api.shutdown = [] { return fake_nvml->call("shutdown"); };
    api.system_driver_version = [](char* to, std::uint32_t) { return text("driver", "1.2.3", to); };
    api.device_count = [](U32 to) {
      *to = 1;
      return fake_nvml->call("count");
    };
    api.device_by_index = [](std::uint32_t, Device*) { return fake_nvml->call("by_index"); };
    api.device_by_pci = [](const char*, Device* device) {
      static char board = 0;
      *device = reinterpret_cast<Device>(&board);
      return fake_nvml->call("by_pci");
    };
    api.device_uuid = [](Device, char* to, std::uint32_t) { return text("uuid", fake_nvml->uuid, to); };
    api.device_name = [](Device, char* to, std::uint32_t) { return text("name", "Fake", to); };
    api.device_vbios = [](Device, char* to, std::uint32_t) { return text("vbios", "1", to); };
    api.device_architecture = [](Device, U32 to) { return number("architecture", to); };
    api.device_compute_capability = [](Device, std::int32_t* major, std::int32_t* minor) {
      *minor = static_cast<std::int32_t>(fake_nvml->numbers["minor"]);
      return number("major", major);
    };
    api.device_field_values = field_values;
    api.device_power = [](Device, U32 to) { return number("power", to); };
    api.device_energy = [](Device, std::uint64_t* to) { return number("energy", to); };
    api.device_power_limit = [](Device, U32 to) { return number("limit", to); };
    api.device_power_limit_default = [](Device, U32 to) { return number("limit_default", to); };
    api.device_power_limit_range = [](Device, U32 least, U32 most) {
      number("limit_min", least);
      return number("limit_max", most);
    };
    api.device_temperature = [](Device, Sensor, U32 to) { return number("temperature", to); };
    api.device_temperature_threshold = [](Device, Threshold which, U32 to) {
      return number(which == Threshold::slowdown ? "slowdown" : "threshold", to);
    };
    api.device_margin_temperature = [](Device, MarginTemperature* to) { return number("margin", &to->margin); };
    api.device_utilization = [](Device, Utilization* to) {
      to->memory = static_cast<std::uint32_t>(fake_nvml->numbers["memory_utilization"]);
      return number("utilization", &to->gpu);
    };
    api.device_encoder = [](Device, U32 to, U32) { return number("encoder", to); };
    api.device_decoder = [](Device, U32 to, U32) { return number("decoder", to); };
    api.device_jpeg = [](Device, U32 to, U32) { return number("jpeg", to); };
    api.device_ofa = [](Device, U32 to, U32) { return number("ofa", to); };
    api.device_memory_v2 = [](Device, MemoryV2* to) {
      to->total = fake_nvml->numbers["memory_total"];
      return number("memory_used", &to->used);
    };
    api.device_clock = [](Device, nvml::Clock, U32 to) { return number("clock", to); };
    api.device_event_reasons = [](Device, std::uint64_t* to) { return number("reasons", to); };
    api.device_supported_event_reasons = [](Device, std::uint64_t* to) { return number("supported", to); };
    api.device_violation = [](Device, Policy, ViolationTime* to) { return number("violation", &to->violation_time); };
    api.device_compute_processes = [](Device, U32 to, nvml::ProcessInfo* infos) {
      const std::uint32_t room = *to;
      const Return result = number("processes", to);
      if (result != Return::success) return result;
      if (infos == nullptr ? *to > 0 : *to > room) return Return::insufficient_size;
      for (std::uint32_t i = 0; i < *to; ++i)
        infos[i] = {100 + i, 0, 0, 0};
      return Return::success;
    };
    return api;
  }
};

}  // namespace perjoule::fakes
