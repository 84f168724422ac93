// A refused request, and the Result that carries either a value or that refusal. Every refusal has one name on the
// wire; error_name() is the only map between the two.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "types.hpp"

namespace shmd {

enum class ErrorCode {
    // io.shmd.Segments
    no_such_segment,  // text: key, number: id
    segment_exists,   // text: key
    size_mismatch,    // number: bytes that the segment has
    invalid_key,      // text: key
    quota_exceeded,   // text: resource, number: limit
    out_of_memory,    // number: bytes asked for
    segment_sealed,   // text: key, number: id
    not_sealed,       // text: key, number: id
    not_sealable,     // text: key, number: id
    segment_busy,     // holders
    no_lease,         // text: key, number: id
    capacity_exceeded,      // number: bytes of capacity
    placement_unavailable,  // text: setting
    draining,
    // io.shmd.Control
    no_such_process,        // number: pid
    invalid_configuration,  // text: reason
    // io.shmd.SystemV
    system_v_failed,  // text: name of the errno, number: errno
    // org.varlink.service
    permission_denied,
    invalid_parameter,       // text: parameter
    interface_not_found,     // text: interface
    method_not_found,        // text: method
    method_not_implemented,  // text: method
    expected_more,
};

/// A refused request. Which of text and number are set depends on the code; see ErrorCode.
struct Error {
    ErrorCode code;
    std::optional<std::string> text = std::nullopt;
    std::optional<std::int64_t> number = std::nullopt;
    std::vector<Holder> holders{};

    bool operator==(const Error&) const = default;

    static Error no_such_segment(std::optional<std::string> key, std::optional<std::int64_t> id) {
        return {ErrorCode::no_such_segment, std::move(key), id};
    }
    static Error segment_exists(std::string key) { return {ErrorCode::segment_exists, std::move(key)}; }
    static Error size_mismatch(std::int64_t bytes) { return {ErrorCode::size_mismatch, std::nullopt, bytes}; }
    static Error invalid_key(std::string key) { return {ErrorCode::invalid_key, std::move(key)}; }
    static Error quota_exceeded(std::string resource, std::int64_t limit) {
        return {ErrorCode::quota_exceeded, std::move(resource), limit};
    }
    static Error out_of_memory(std::int64_t bytes) { return {ErrorCode::out_of_memory, std::nullopt, bytes}; }
    static Error segment_busy(std::vector<Holder> holders) {
        return {ErrorCode::segment_busy, std::nullopt, std::nullopt, std::move(holders)};
    }
    static Error capacity_exceeded(std::int64_t bytes) { return {ErrorCode::capacity_exceeded, std::nullopt, bytes}; }
    static Error placement_unavailable(std::string setting) {
        return {ErrorCode::placement_unavailable, std::move(setting)};
    }
    static Error permission_denied() { return {ErrorCode::permission_denied}; }
    static Error invalid_parameter(std::string name) { return {ErrorCode::invalid_parameter, std::move(name)}; }
};

/// The qualified name of an error on the wire, such as "io.shmd.Segments.NoSuchSegment".
[[nodiscard]] std::string_view error_name(ErrorCode code);

/// A value or the Error that stands in its place.
template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    T& value() & { return assert(has_value()), *std::get_if<0>(&state_); }
    const T& value() const& { return assert(has_value()), *std::get_if<0>(&state_); }
    T&& value() && { return assert(has_value()), std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    Error& error() & { return assert(!has_value()), *std::get_if<1>(&state_); }
    const Error& error() const& { return assert(!has_value()), *std::get_if<1>(&state_); }
    Error&& error() && { return assert(!has_value()), std::move(*std::get_if<1>(&state_)); }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    [[nodiscard]] bool has_value() const { return !error_; }
    explicit operator bool() const { return has_value(); }
    Error& error() & { return assert(error_), *error_; }
    Error&& error() && { return assert(error_), std::move(*error_); }

  private:
    std::optional<Error> error_;
};

}  // namespace shmd
