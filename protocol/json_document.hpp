// JSON text as values, for the codecs in this directory alone. Every request passes here once on either side, so a usual
// message takes one look at each byte and no memory but the Document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "limits.hpp"

namespace shmd::json {

class Members;
class Items;

/// A value of a Document, valid as long as that. What an array or an object holds lies right behind it.
class Json {
  public:
    enum class Kind : std::uint8_t { null, boolean, integer, real, string, array, object };

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] bool is_null() const { return kind_ == Kind::null; }
    [[nodiscard]] bool is_bool() const { return kind_ == Kind::boolean; }
    /// A number of std::int64_t without fraction and exponent.
    [[nodiscard]] bool is_integer() const { return kind_ == Kind::integer; }
    [[nodiscard]] bool is_string() const { return kind_ == Kind::string; }
    [[nodiscard]] bool is_array() const { return kind_ == Kind::array; }
    [[nodiscard]] bool is_object() const { return kind_ == Kind::object; }

    [[nodiscard]] bool as_bool() const { return integer_ != 0; }
    [[nodiscard]] std::int64_t as_integer() const { return integer_; }
    /// What the string says, without quotes and escapes.
    [[nodiscard]] std::string_view as_string() const { return {text_, length_}; }
    /// Of an array or an object: the JSON that it was parsed from.
    [[nodiscard]] std::string_view text() const { return {text_, length_}; }
    /// How many items or members.
    [[nodiscard]] std::size_t count() const { return count_; }

    [[nodiscard]] Items items() const;
    [[nodiscard]] Members members() const;

    /// The value behind this one.
    [[nodiscard]] const Json* next() const { return this + extent_; }

  private:
    friend class Parser;
    friend const Json& empty_object();

    // A usual message must not pay for the values it does not have: nothing is initialised.
    union {
        const char* text_;
        std::int64_t integer_;
    };
    std::uint32_t length_;  // in bytes
    std::uint32_t count_;
    std::uint32_t extent_;  // in values: itself and what it holds
    Kind kind_;
};

/// An object's member.
struct Member {
    const Json& name;
    const Json& value;
};

/// Forward through an object's members.
class MemberIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Member;
    using pointer = void;
    using reference = Member;

    explicit MemberIterator(const Json* name) : name_(name) {}
    Member operator*() const { return {*name_, name_[1]}; }
    MemberIterator& operator++() {
        name_ = name_[1].next();
        return *this;
    }
    bool operator==(const MemberIterator&) const = default;

  private:
    const Json* name_;
};

class Members {
  public:
    explicit Members(const Json& object) : object_(object) {}
    [[nodiscard]] MemberIterator begin() const { return MemberIterator(&object_ + 1); }
    [[nodiscard]] MemberIterator end() const { return MemberIterator(object_.next()); }

  private:
    const Json& object_;
};

/// Forward through an array's items.
class ItemIterator {
  public:
    explicit ItemIterator(const Json* item) : item_(item) {}
    const Json& operator*() const { return *item_; }
    ItemIterator& operator++() {
        item_ = item_->next();
        return *this;
    }
    bool operator==(const ItemIterator&) const = default;

  private:
    const Json* item_;
};

class Items {
  public:
    explicit Items(const Json& array) : array_(array) {}
    [[nodiscard]] ItemIterator begin() const { return ItemIterator(&array_ + 1); }
    [[nodiscard]] ItemIterator end() const { return ItemIterator(array_.next()); }

  private:
    const Json& array_;
};

inline Items Json::items() const {
    return Items(*this);
}
inline Members Json::members() const {
    return Members(*this);
}

/// An object without members.
[[nodiscard]] const Json& empty_object();

/// A parsed text: JSON of RFC 8259 in valid UTF-8 whose numbers a double can hold, that nests at most
/// limits::message_depth deep. The text must outlive it.
class Document {
  public:
    explicit Document(std::string_view text);
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;

    /// Null when the text is not as it must be.
    [[nodiscard]] const Json* root() const { return valid_ ? values_ : nullptr; }

  private:
    friend class Parser;

    static constexpr std::size_t usual_values = 96;  // a Grant has 64

    Json first_values_[usual_values];
    std::unique_ptr<Json[]> more_values_;  // all of them, when there are more
    Json* values_ = first_values_;
    std::forward_list<std::string> unescaped_;  // what strings with escapes say
    bool valid_ = false;
};

}  // namespace shmd::json
