// Folds windows that only move forward, each element twice in all and not once per window. For window.cpp and its
// tests.
//
// Between `begin` and the middle lies the fold of every suffix, from the middle on one fold that grows at its end. When
// the window has left the middle behind, the suffixes are made anew up to the window's end. Nothing is ever taken out
// of a fold, so that the operation needs no inverse: no cancellation, and infinities end with the window they lie in.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace perjoule::query {

// `Operation` has a type Value and an associative `combine(earlier, later)`; `lift(i)` is the element at i.
template <class Operation, class Lift>
class SlidingFold {
 public:
  using Value = typename Operation::Value;

  explicit SlidingFold(Lift lift) : lift_(lift) {}

  // Elements from `begin` to before `end`, at least one; neither is ever smaller than at the call before.
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

// A sum and what rounding has taken from it (Neumaier's variant of Kahan's summation).
struct Sum {
  double value = 0;
  double lost = 0;

  void add(double term) {
    const double next = value + term;
    lost += std::fabs(value) >= std::fabs(term) ? (value - next) + term : (term - next) + value;
    value = next;
  }
  // Where the sum is infinite, what was lost is no number.
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

// A NaN counts only where there is nothing else.
struct Least {
  using Value = double;
  static double combine(double a, double b) { return b < a || std::isnan(a) ? b : a; }
};
struct Greatest {
  using Value = double;
  static double combine(double a, double b) { return b > a || std::isnan(a) ? b : a; }
};

}  // namespace perjoule::query
