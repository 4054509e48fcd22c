// A vector that keeps up to N elements in itself: shapes, strides and operand lists are short, and
// an op call should not pay for a heap allocation to hold them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <new>
#include <span>
#include <utility>

namespace tenon {

template <class T, size_t N>
class SmallVec {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVec() = default;
  explicit SmallVec(size_t n, const T& value = T()) { resize(n, value); }
  SmallVec(std::initializer_list<T> list) : SmallVec(list.begin(), list.end()) {}
  template <std::input_iterator It>
  SmallVec(It first, It last) {
    for (; first != last; ++first) push_back(*first);
  }
  explicit SmallVec(std::span<const T> s) : SmallVec(s.begin(), s.end()) {}
  SmallVec(const SmallVec& o) : SmallVec(o.begin(), o.end()) {}
  SmallVec(SmallVec&& o) noexcept { take(o); }
  SmallVec& operator=(const SmallVec& o) {
    if (this != &o) {
      clear();
      for (const T& x : o) push_back(x);
    }
    return *this;
  }
  SmallVec& operator=(SmallVec&& o) noexcept {
    if (this != &o) {
      destroy();
      take(o);
    }
    return *this;
  }
  ~SmallVec() { destroy(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return heap_ ? heap_ : inline_data(); }
  const T* data() const { return heap_ ? heap_ : inline_data(); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T& front() { return data()[0]; }
  const T& front() const { return data()[0]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }

  void push_back(T x) {
    if (size_ == capacity_) grow(capacity_ * 2);
    new (data() + size_) T(std::move(x));
    ++size_;
  }
  void pop_back() { data()[--size_].~T(); }
  void resize(size_t n, const T& value = T()) {
    while (size_ > n) pop_back();
    if (n > capacity_) grow(n);
    while (size_ < n) push_back(value);
  }
  void clear() { resize(0); }
  void insert(size_t at, T x) {
    push_back(std::move(x));
    std::rotate(begin() + at, end() - 1, end());
  }
  void erase(size_t at) {
    std::rotate(begin() + at, begin() + at + 1, end());
    pop_back();
  }

  operator std::span<const T>() const { return {data(), size_}; }
  operator std::span<T>() { return {data(), size_}; }
  friend bool operator==(const SmallVec& a, const SmallVec& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  T* inline_data() { return std::launder(reinterpret_cast<T*>(buffer_)); }
  const T* inline_data() const { return std::launder(reinterpret_cast<const T*>(buffer_)); }
  void grow(size_t capacity) {
    T* heap = static_cast<T*>(::operator new(capacity * sizeof(T), std::align_val_t(alignof(T))));
    T* old = data();
    for (size_t i = 0; i < size_; ++i) {
      new (heap + i) T(std::move(old[i]));
      old[i].~T();
    }
    if (heap_) ::operator delete(heap_, std::align_val_t(alignof(T)));
    heap_ = heap;
    capacity_ = capacity;
  }
  void destroy() {
    T* p = data();
    for (size_t i = 0; i < size_; ++i) p[i].~T();
    if (heap_) ::operator delete(heap_, std::align_val_t(alignof(T)));
    heap_ = nullptr;
    size_ = 0;
    capacity_ = N;
  }
  void take(SmallVec& o) {  // this is empty
    if (o.heap_) {
      heap_ = std::exchange(o.heap_, nullptr);
      size_ = std::exchange(o.size_, 0);
      capacity_ = std::exchange(o.capacity_, N);
    } else {
      for (T& x : o) {
        new (inline_data() + size_) T(std::move(x));
        ++size_;
      }
      o.clear();
    }
  }

  size_t size_ = 0, capacity_ = N;
  T* heap_ = nullptr;
  alignas(T) unsigned char buffer_[N * sizeof(T)];
};

// A shape or a list of strides or axes. Sizes are 64-bit everywhere on the host.
using Dims = SmallVec<int64_t, 6>;

}  // namespace tenon
