// Counts the bytes of response bodies from when they are made until the last response that shares them is sent or
// dropped, over all clients: a client that does not read must not be able to fill the memory. Thread-safe; bodies may
// outlive the budget.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

namespace perjoule::http {

class BodyBudget {
 public:
  explicit BodyBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Whether `bytes` more are within the budget.
  [[nodiscard]] bool has_room(std::size_t bytes) const { return *held_ + bytes <= bytes_max_; }
  [[nodiscard]] std::size_t held() const { return *held_; }

  // A body that counts until nothing refers to it any more.
  [[nodiscard]] std::shared_ptr<const std::string> hold(std::string text) const {
    struct Counted {
      Counted(std::string body, std::shared_ptr<std::atomic<std::size_t>> counter)
          : text(std::move(body)), held(std::move(counter)) {
        *held += text.size();
      }
      ~Counted() { *held -= text.size(); }
      Counted(const Counted&) = delete;
      Counted& operator=(const Counted&) = delete;
      std::string text;
      std::shared_ptr<std::atomic<std::size_t>> held;
    };
    if (text.capacity() > text.size() + text.size() / 8) text.shrink_to_fit();  // a copy, so only where it gains
    const auto counted = std::make_shared<const Counted>(std::move(text), held_);
    return {counted, &counted->text};
  }

 private:
  std::size_t bytes_max_;
  std::shared_ptr<std::atomic<std::size_t>> held_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace perjoule::http
