// Folds windows that only move forward. Each element is read at most twice in total, instead of once per window (the
// two-stack algorithm for sliding-window aggregation). Used by window.cpp. One thread at a time.
//
//        begin             middle          end
//     ----[-----------------|---------------)----
//          one fold of each   one fold, grows
//          suffix up to       with `end`
//          the middle
//
// A window is the suffix fold at `begin` combined with the fold behind the middle. When `begin` reaches the middle, the
// suffix folds are rebuilt up to `end`, which becomes the middle. No element is ever removed from a fold, so the
// operation needs no inverse: there is no cancellation, and an infinity disappears with the windows that contain it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace perjoule::query {

// `Operation` has a type Value and an associative `combine(earlier, later)`; `lift(i)` returns the element at index i.
template <class Operation, class Lift>
class SlidingFold {
 public:
  using Value = typename Operation::Value;

  explicit SlidingFold(Lift lift) : lift_(lift) {}

  // The fold of the elements [begin, end), at least one. Neither index may be smaller than in the previous call.
  Value over(std::size_t begin, std::size_t end) {
    if (begin >= middle_) {
      rebuild(begin, end);
    } else {
      for (; grown_ < end; ++grown_)
        tail_ = grown_ == middle_ ? lift_(grown_) : Operation::combine(tail_, lift_(grown_));
    }
    const Value& head = suffixes_[begin - base_];
    return grown_ == middle_ ? head : Operation::combine(head, tail_);
  }

 private:
  void rebuild(std::size_t begin, std::size_t end) {
    base_ = begin;
    middle_ = grown_ = end;
    suffixes_.resize(end - begin);
    Value fold = lift_(end - 1);
    suffixes_[end - 1 - begin] = fold;
    for (std::size_t i = end - 1; i > begin; --i) {
      fold = Operation::combine(lift_(i - 1), fold);
      suffixes_[i - 1 - begin] = fold;
    }
  }

  Lift lift_;
  std::vector<Value> suffixes_;  // of [base_, middle_)
  Value tail_{};                 // of [middle_, grown_)
  std::size_t base_ = 0;
  std::size_t middle_ = 0;
  std::size_t grown_ = 0;
};

// A sum and its accumulated rounding error (Kahan summation, Neumaier's variant).
struct Sum {
  double value = 0;
  double lost = 0;

  void add(double term) {
    const double next = value + term;
    lost += std::fabs(value) >= std::fabs(term) ? (value - next) + term : (term - next) + value;
    value = next;
  }
  // For an infinite sum the rounding error is NaN, so it is left out.
  [[nodiscard]] double total() const { return std::isinf(value) ? value : value + lost; }
};

struct Adding {
  using Value = Sum;
  static Sum combine(const Sum& a, const Sum& b) {
    Sum both = a;
    both.add(b.value);
    both.lost += b.lost;
    return both;
  }
};

// NaN is ignored unless all elements are NaN.
struct Least {
  using Value = double;
  static double combine(double a, double b) { return b < a || std::isnan(a) ? b : a; }
};
struct Greatest {
  using Value = double;
  static double combine(double a, double b) { return b > a || std::isnan(a) ? b : a; }
};

}  // namespace perjoule::query
