#include "json_document.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <type_traits>

namespace shmd::json {
namespace {

static_assert(std::is_trivially_copyable_v<Json> && std::is_trivially_default_constructible_v<Json>);

unsigned char byte_at(const char* at) {
    return static_cast<unsigned char>(*at);
}

// What stands for itself in a string and is one byte.
constexpr std::array<bool, 256> plain = [] {
    std::array<bool, 256> table{};
    for (int byte = 0x20; byte < 0x80; byte++) table[static_cast<std::size_t>(byte)] = byte != '"' && byte != '\\';
    return table;
}();

// Where the next byte is that is not plain. Eight bytes at a time: most of a message is in strings.
const char* skip_plain(const char* at, const char* end) {
    constexpr std::uint64_t ones = ~std::uint64_t{0} / 255, tops = ones << 7;
    auto has_zero = [](std::uint64_t bytes) { return (bytes - ones) & ~bytes; };  // in the top bits; a byte above one may lie
    while (end - at >= 8) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, at, sizeof bytes);
        std::uint64_t special = bytes | (bytes - ones * 0x20) | has_zero(bytes ^ ones * '"') | has_zero(bytes ^ ones * '\\');
        if ((special & tops) != 0) break;
        at += sizeof bytes;
    }
    while (at != end && plain[byte_at(at)]) at++;
    return at;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The length of the well-formed UTF-8 sequence of more than one byte that begins here (Unicode 15, table 3-7), or 0.
std::size_t utf8_sequence(const char* at, const char* end) {
    unsigned char lead = byte_at(at);
    std::size_t length = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (length == 0 || static_cast<std::size_t>(end - at) < length) return 0;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte_at(at + 1) < low || byte_at(at + 1) > high) return 0;
    for (std::size_t i = 2; i < length; i++) {
        if ((byte_at(at + i) & 0xc0) != 0x80) return 0;
    }
    return length;
}

void append_utf8(std::string& out, std::uint32_t point) {
    auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
        return;
    }
    int shift = point < 0x800 ? 6 : point < 0x10000 ? 12 : 18;
    put((shift == 6 ? 0xc0u : shift == 12 ? 0xe0u : 0xf0u) | point >> shift);
    while (shift > 0) put(0x80 | (point >> (shift -= 6) & 0x3f));
}

}  // namespace

/// One walk over a text.
class Parser {
  public:
    Parser(Document& document, std::string_view text)
        : document_(document), at_(text.data()), end_(text.data() + text.size()) {}

    bool parse() {
        skip_space();
        if (!parse_value()) return false;
        while (depth_ > 0) {
            if (!(opened_ ? parse_first() : parse_next())) return false;
        }
        skip_space();
        return at_ == end_;
    }

  private:
    [[nodiscard]] bool is_at(char c) const { return at_ != end_ && *at_ == c; }

    void skip_space() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) at_++;
    }

    Json& add(Json::Kind kind) {
        if (count_ == capacity_) grow();
        Json& value = document_.values_[count_++];
        value.kind_ = kind;
        value.extent_ = 1;
        return value;
    }

    void grow() {
        std::unique_ptr<Json[]> larger(new Json[2 * capacity_]);
        std::memcpy(static_cast<void*>(larger.get()), document_.values_, count_ * sizeof(Json));
        document_.more_values_ = std::move(larger);
        document_.values_ = document_.more_values_.get();
        capacity_ *= 2;
    }

    Json& container() { return document_.values_[open_[depth_ - 1]]; }

    bool parse_value() {
        if (at_ == end_) return false;
        opened_ = false;
        switch (*at_) {
            case '{':
                return open(Json::Kind::object);
            case '[':
                return open(Json::Kind::array);
            case '"':
                return parse_string();
            case 't':
                return parse_word("true", Json::Kind::boolean, 1);
            case 'f':
                return parse_word("false", Json::Kind::boolean, 0);
            case 'n':
                return parse_word("null", Json::Kind::null, 0);
            default:
                return parse_number();
        }
    }

    bool open(Json::Kind kind) {
        if (depth_ == limits::message_depth) return false;
        open_[depth_++] = static_cast<std::uint32_t>(count_);
        Json& value = add(kind);
        value.text_ = at_++;
        value.count_ = 0;
        opened_ = true;
        return true;
    }

    bool close() {
        Json& value = container();
        if (*at_++ != (value.is_object() ? '}' : ']')) return false;
        value.length_ = static_cast<std::uint32_t>(at_ - value.text_);
        value.extent_ = static_cast<std::uint32_t>(&document_.values_[count_] - &value);
        depth_--;
        opened_ = false;
        return true;
    }

    bool parse_first() {
        skip_space();
        return is_at('}') || is_at(']') ? close() : parse_element();
    }

    bool parse_next() {
        skip_space();
        if (at_ == end_) return false;
        if (*at_ != ',') return close();
        at_++;
        skip_space();
        return parse_element();
    }

    bool parse_element() {
        Json& into = container();
        into.count_++;
        if (!into.is_object()) return parse_value();
        if (!is_at('"') || !parse_string()) return false;
        skip_space();
        if (!is_at(':')) return false;
        at_++;
        skip_space();
        return parse_value();
    }

    bool parse_word(std::string_view word, Json::Kind kind, std::int64_t meaning) {
        if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word) return false;
        at_ += word.size();
        add(kind).integer_ = meaning;
        return true;
    }

    bool parse_string() {
        const char* begin = ++at_;
        at_ = skip_plain(at_, end_);
        if (!is_at('"')) return parse_rest_of_string(begin);
        take_string({begin, static_cast<std::size_t>(at_ - begin)});
        return true;
    }

    void take_string(std::string_view says) {
        Json& value = add(Json::Kind::string);
        value.text_ = says.data();
        value.length_ = static_cast<std::uint32_t>(says.size());
        at_++;
    }

    bool parse_rest_of_string(const char* begin) {
        std::string says(begin, at_);
        bool has_escapes = false;
        while (at_ != end_ && *at_ != '"') {
            if (*at_ == '\\') {
                has_escapes = true;
                if (!parse_escape(says)) return false;
                continue;
            }
            std::size_t length = plain[byte_at(at_)] ? 1 : utf8_sequence(at_, end_);
            if (length == 0) return false;
            says.append(at_, length);
            at_ += length;
        }
        if (at_ == end_) return false;
        if (has_escapes) {
            take_string(document_.unescaped_.emplace_front(std::move(says)));
        } else {
            take_string({begin, static_cast<std::size_t>(at_ - begin)});
        }
        return true;
    }

    bool parse_escape(std::string& says) {
        if (end_ - at_ < 2) return false;
        constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        char letter = at_[1];
        if (letter == 'u') return parse_unicode_escape(says);
        std::size_t place = letters.find(letter);
        if (place == std::string_view::npos) return false;
        says.push_back(meanings[place]);
        at_ += 2;
        return true;
    }

    bool parse_unicode_escape(std::string& says) {
        auto unit = parse_unit();
        if (!unit || (*unit >= 0xdc00 && *unit < 0xe000)) return false;
        std::uint32_t point = *unit;
        if (point >= 0xd800 && point < 0xdc00) {
            auto second = parse_unit();
            if (!second || *second < 0xdc00 || *second >= 0xe000) return false;
            point = 0x10000 + ((point - 0xd800) << 10) + (*second - 0xdc00);
        }
        append_utf8(says, point);
        return true;
    }

    // A backslash, a u and four hexadecimal digits.
    std::optional<std::uint32_t> parse_unit() {
        constexpr std::ptrdiff_t length = 6;
        if (end_ - at_ < length || at_[0] != '\\' || at_[1] != 'u') return std::nullopt;
        std::uint32_t unit = 0;
        if (std::from_chars(at_ + 2, at_ + length, unit, 16).ptr != at_ + length) return std::nullopt;
        at_ += length;
        return unit;
    }

    bool skip_digits() {
        const char* begin = at_;
        while (at_ != end_ && is_digit(*at_)) at_++;
        return at_ != begin;
    }

    bool parse_number() {
        const char* begin = at_;
        if (is_at('-')) at_++;
        bool leads_with_zero = is_at('0');
        const char* digits = at_;
        if (!skip_digits() || (leads_with_zero && at_ - digits > 1)) return false;
        if (at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E')) return parse_fraction(begin);
        auto integer = integer_of(begin, digits);
        if (!integer) return parse_fraction(begin);
        add(Json::Kind::integer).integer_ = *integer;
        return true;
    }

    // Nothing when it is too large.
    [[nodiscard]] std::optional<std::int64_t> integer_of(const char* begin, const char* digits) const {
        constexpr std::ptrdiff_t always_fit = 18;
        std::int64_t integer = 0;
        if (at_ - digits > always_fit) {
            if (std::from_chars(begin, at_, integer).ec != std::errc{}) return std::nullopt;
            return integer;
        }
        for (const char* digit = digits; digit != at_; digit++) integer = 10 * integer + (*digit - '0');
        return begin == digits ? integer : -integer;
    }

    // Nobody reads such a number, but one that no double holds is an error to most parsers.
    bool parse_fraction(const char* begin) {
        if (is_at('.')) {
            at_++;
            if (!skip_digits()) return false;
        }
        if (is_at('e') || is_at('E')) {
            at_++;
            if (is_at('+') || is_at('-')) at_++;
            if (!skip_digits()) return false;
        }
        add(Json::Kind::real);
        return std::isfinite(std::strtod(std::string(begin, at_).c_str(), nullptr));
    }

    Document& document_;
    const char* at_;
    const char* end_;
    std::size_t count_ = 0;
    std::size_t capacity_ = Document::usual_values;
    int depth_ = 0;
    bool opened_ = false;  // a container has been opened, and nothing of it read
    std::uint32_t open_[limits::message_depth];
};

Document::Document(std::string_view text) {
    valid_ = Parser(*this, text).parse();
}

const Json& empty_object() {
    static const Json object = [] {
        Json value;
        value.text_ = "{}";
        value.length_ = 2;
        value.count_ = 0;
        value.extent_ = 1;
        value.kind_ = Json::Kind::object;
        return value;
    }();
    return object;
}

}  // namespace shmd::json
