#include "bad_client.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "limits.hpp"
#include "varlink_client.hpp"

namespace shmd::bench {
namespace {

constexpr std::int64_t mebibyte = std::int64_t{1} << 20;

void append_message(std::string& all, const CallBody& body, CallFlags flags = {}) {
    all += encode_call(body, flags);
    all += '\0';
}

Create temporary(std::int64_t size, Reserve reserve) {
    Create call;
    call.size_bytes = size;
    call.reserve = reserve;
    call.lifetime = Lifetime::attached;
    return call;
}

/// One connection, calls and their answers in turns.
class Asker : public BadClient {
  public:
    explicit Asker(const std::string& socket) : client_(socket) {}

  protected:
    void end(const std::vector<std::uint32_t>& attachments) {
        std::string all;
        for (std::uint32_t each : attachments) append_message(all, Detach{each}, {.oneway = true});
        client_.send_bytes(all);
    }
    test::RawClient client_;
};

class OpensMany : public Asker {
  public:
    OpensMany(const std::string& socket, OpenMany call) : Asker(socket), call_(std::move(call)) {}
    void ask() override {
        auto received = client_.call(call_);
        std::vector<std::uint32_t> opened;
        for (const auto& result : received.value().results) opened.push_back(result.grant.value().attachment);
        end(opened);
    }

  private:
    OpenMany call_;
};

// As much as is reserved without leaving the event loop.
class CreatesMany : public Asker {
  public:
    explicit CreatesMany(const std::string& socket) : Asker(socket) {
        call_.segments.assign(limits::batch, temporary(1024, Reserve::populate));
    }
    void ask() override {
        auto received = client_.call(call_);
        std::vector<std::uint32_t> made;
        for (const Grant& grant : received.value().grants) made.push_back(grant.attachment);
        end(made);
    }

  private:
    CreateMany call_;
};

/// The same text again and again.
class Repeats : public Asker {
  public:
    Repeats(const std::string& socket, std::string message) : Asker(socket), message_(std::move(message)) {}
    void ask() override {
        client_.send_bytes(message_);
        (void)client_.receive();
    }

  private:
    std::string message_;
};

// Every element is a value of its own for whoever parses it.
std::string largest_message() {
    std::string text = R"({"method":"io.shmd.Segments.Resume","parameters":{"attachments":[1)";
    while (text.size() + 8 < limits::message_bytes) text += ",1";
    text += "]}}";
    return text + '\0';
}

// Every character is an escape.
std::string largest_string() {
    std::string text = R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":")";
    while (text.size() + 16 < limits::message_bytes) text += "\\u00e4";
    text += "\"}}";
    return text + '\0';
}

class Populates : public Asker {
  public:
    Populates(const std::string& socket, std::int64_t size)
        : Asker(socket), call_(temporary(size, Reserve::populate)) {}
    void ask() override {
        auto received = client_.call(call_);
        end({received.value().attachment});
    }

  private:
    Create call_;
};

// What is large, and fits into this machine beside the rest.
std::int64_t large_size() {
    std::int64_t memory = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
    return std::min<std::int64_t>(256, memory / mebibyte / 32) * mebibyte;
}

constexpr int watchers_of_a_user = 128;

/// As many watchers as one user may have, and one connection that makes events for them and for others.
class Watches : public Asker {
  public:
    Watches(const std::string& socket, bool reads) : Asker(socket) {
        for (int i = 0; i < watchers_of_a_user; i++) {
            watchers_.emplace_back(socket);
            watchers_.back().send(Watch{}, {.more = true});
            (void)watchers_.back().receive();
            ::fcntl(watchers_.back().socket(), F_SETFL, O_NONBLOCK);
        }
        if (reads) read_bytes_.resize(64 << 10);
    }
    void ask() override {
        auto received = client_.call(temporary(1, Reserve::lazy));
        end({received.value().attachment});
        for (test::RawClient& watcher : watchers_) {
            if (!read_bytes_.empty()) (void)!::read(watcher.socket(), read_bytes_.data(), read_bytes_.size());
        }
    }

  private:
    std::vector<test::RawClient> watchers_;
    std::vector<char> read_bytes_;
};

/// Calls without a pause, as many as the sockets hold, on connections whose answers are read without looking, or not at
/// all.
class Floods : public BadClient {
  public:
    Floods(const std::string& socket, int connections, const CallBody& call, CallFlags flags, bool reads)
        : reads_(reads) {
        for (int i = 0; i < connections; i++) {
            clients_.push_back({test::RawClient(socket)});
            ::fcntl(clients_.back().raw.socket(), F_SETFL, O_NONBLOCK);
        }
        while (messages_.size() < 16 << 10) append_message(messages_, call, flags);
    }
    void ask() override {
        bool moved = false;
        for (Connection& each : clients_) {
            ssize_t sent = ::write(each.raw.socket(), messages_.data() + each.at, messages_.size() - each.at);
            if (sent > 0) each.at = (each.at + static_cast<std::size_t>(sent)) % messages_.size();
            ssize_t got = reads_ ? ::read(each.raw.socket(), read_bytes_.data(), read_bytes_.size()) : 0;
            moved = moved || sent > 0 || got > 0;
        }
        if (!moved) ::usleep(1000);
    }

  private:
    struct Connection {
        test::RawClient raw;
        std::size_t at = 0;  // what was sent of the messages, which begin anew at their end
    };
    bool reads_;
    std::vector<Connection> clients_;
    std::string messages_;
    std::array<char, 64 << 10> read_bytes_{};
};

/// A connection after the other; each has asked something when it ends.
class Connects : public BadClient {
  public:
    explicit Connects(std::string socket) : socket_(std::move(socket)) {}
    void ask() override {
        test::RawClient client(socket_);
        (void)client.call(GetInfo{});
    }

  private:
    std::string socket_;
};

template <typename T, auto... arguments>
std::unique_ptr<BadClient> make(const std::string& socket) {
    return std::make_unique<T>(socket, arguments()...);
}

constexpr auto small_size = [] { return std::int64_t{256} << 10; };
constexpr auto yes = [] { return true; };
constexpr auto no = [] { return false; };
constexpr auto one = [] { return 1; };
constexpr auto many = [] { return 16; };
constexpr auto very_many = [] { return 128; };
constexpr auto more = [] { return CallFlags{.more = true}; };
constexpr auto alone = [] { return CallFlags{}; };
constexpr auto list = [] { return CallBody{List{}}; };
constexpr auto open_one = [] { return CallBody{Open{{bad_client_target(0), std::nullopt}, Access::read}}; };
constexpr auto open_all = [] {
    OpenMany call;
    for (int i = 0; i < bad_client_targets; i++) call.targets.push_back({bad_client_target(i), std::nullopt});
    return call;
};

constexpr std::array kinds{
    BadKind{"250 opens at once", make<OpensMany, open_all>},
    BadKind{"250 creates at once", make<CreatesMany>},
    BadKind{"1 MiB of numbers", make<Repeats, largest_message>},
    BadKind{"1 MiB of escapes", make<Repeats, largest_string>},
    BadKind{"256 MiB populated", make<Populates, large_size>},
    BadKind{"256 KiB populated", make<Populates, small_size>},
    BadKind{"128 watchers, not read", make<Watches, no>},
    BadKind{"128 watchers, read", make<Watches, yes>},
    BadKind{"lists in a row, read", make<Floods, one, list, more, yes>},
    BadKind{"opens in a row, not read", make<Floods, many, open_all, alone, no>},
    BadKind{"128 connections, read", make<Floods, very_many, open_one, alone, yes>},
    BadKind{"connections in a row", make<Connects>},
};

}  // namespace

std::span<const BadKind> bad_kinds() {
    return kinds;
}

std::string bad_client_target(int number) {
    return "bench/target/" + std::to_string(number);
}

}  // namespace shmd::bench
