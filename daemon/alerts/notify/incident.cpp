#include "daemon/alerts/notify/incident.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "config/json_reader.hpp"
#include "config/json_writer.hpp"

namespace perjoule::alerts {

namespace {

namespace json = config::json;

constexpr std::array<std::string_view, 3> delivery_words = {"nothing", "firing", "resolved"};
constexpr double time_max_ms = 1e14;  // the year 5138

// Reads the members of an object. good() is false once a member is missing or has another type.
class Reader {
 public:
  explicit Reader(const json::Value* object) : object_(object) {}

  std::string text(std::string_view key) {
    const json::Value* value = member(key, json::Type::text);
    return value == nullptr ? std::string() : value->text;
  }
  std::int64_t milliseconds(std::string_view key) {
    const json::Value* value = member(key, json::Type::integer);
    if (value != nullptr && std::abs(value->number) <= time_max_ms) return std::llround(value->number);
    good_ = false;
    return 0;
  }
  Labels labels(std::string_view key) {
    Labels labels;
    if (const json::Value* value = member(key, json::Type::object)) {
      for (const json::Value& item : value->items) {
        good_ = good_ && item.type == json::Type::text;
        labels.emplace_back(item.key, item.text);
      }
    }
    std::sort(labels.begin(), labels.end());
    return labels;
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  const json::Value* member(std::string_view key, json::Type type) {
    if (object_ != nullptr) {
      for (const json::Value& item : object_->items) {
        if (item.key == key && item.type == type) return &item;
      }
    }
    good_ = false;
    return nullptr;
  }

  const json::Value* object_;
  bool good_ = true;
};

}  // namespace

// The member "told" (what was sent to each receiver) keeps its name, because ledgers of 0.1.0 contain it.
std::string to_text(const Incident& incident) {
  const Alert& alert = incident.alert;
  Labels sent;
  for (const auto& [receiver, delivery] : incident.deliveries)
    sent.emplace_back(receiver, delivery_words[static_cast<std::size_t>(delivery.sent)]);
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("alert", alert.name).member("severity", alert.severity).key("labels");
  append_json(out, alert.labels);
  json.key("external");
  append_json(out, incident.external);
  json.member("phase", alert.phase == Phase::resolved ? "resolved" : "firing");
  json.key("starts_ms").integer(alert.starts_ms).key("ends_ms").integer(alert.ends_ms);
  json.member("reason", alert.reason).member("summary", alert.summary).member("runbook", alert.runbook).key("told");
  append_json(out, sent);
  json.end_object();
  return out;
}

std::optional<Incident> incident_from(std::string_view text) {
  const json::Document document = json::read(text);
  if (!document.root || !document.problems.empty() || document.root->type != json::Type::object) return std::nullopt;
  Reader reader(&*document.root);
  Incident incident;
  Alert& alert = incident.alert;
  alert.name = reader.text("alert");
  alert.severity = reader.text("severity");
  alert.labels = reader.labels("labels");
  incident.external = reader.labels("external");
  const std::string phase = reader.text("phase");
  alert.phase = phase == "resolved" ? Phase::resolved : Phase::firing;
  alert.starts_ms = reader.milliseconds("starts_ms");
  alert.ends_ms = reader.milliseconds("ends_ms");
  alert.reason = reader.text("reason");
  alert.summary = reader.text("summary");
  alert.runbook = reader.text("runbook");
  const Labels sent = reader.labels("told");
  if (!reader.good() || alert.name.empty() || (phase != "firing" && phase != "resolved")) return std::nullopt;
  for (const auto& [receiver, word] : sent) {
    const auto* const found = std::find(delivery_words.begin(), delivery_words.end(), word);
    if (found == delivery_words.end()) return std::nullopt;
    incident.deliveries[receiver].sent = static_cast<Delivery>(found - delivery_words.begin());
  }
  return incident;
}

}  // namespace perjoule::alerts
