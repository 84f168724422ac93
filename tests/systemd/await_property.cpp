// Waits until a property of a unit matches, told by systemd of every change, and prints it.
//   await_property UNIT PROPERTY EXTENDED_REGEX     exit status 1 after a minute; --user first: of this user's manager
#include <systemd/sd-bus.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>

namespace {

constexpr auto patience = std::chrono::minutes(1);

struct Free {
    void operator()(char* text) const { std::free(text); }
};

int check(int result, const char* what) {
    if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(-result));
    return result;
}

// "s", "u", "t", "i" and "b" are what the tests ask for.
std::string read_property(sd_bus* bus, const char* path, const char* property) {
    for (const char* interface : {"org.freedesktop.systemd1.Service", "org.freedesktop.systemd1.Unit"}) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message* reply = nullptr;
        int found = sd_bus_call_method(bus, "org.freedesktop.systemd1", path, "org.freedesktop.DBus.Properties", "Get",
                                       &error, &reply, "ss", interface, property);
        sd_bus_error_free(&error);
        if (found < 0) continue;
        std::unique_ptr<sd_bus_message, decltype(&sd_bus_message_unref)> owner(reply, sd_bus_message_unref);
        const char* type = nullptr;
        check(sd_bus_message_peek_type(reply, nullptr, &type), "peek");
        check(sd_bus_message_enter_container(reply, 'v', type), "enter");
        union {
            const char* text;
            std::uint32_t number;
            std::uint64_t large;
            int integer;
        } value{};
        check(sd_bus_message_read_basic(reply, *type, &value), "read");
        switch (*type) {
            case 's':
                return value.text;
            case 'u':
                return std::to_string(value.number);
            case 't':
                return std::to_string(value.large);
            default:
                return std::to_string(value.integer);
        }
    }
    throw std::runtime_error(std::string("no such property: ") + property);
}

int wait_for(bool user, const std::string& unit, const char* property, const std::string& pattern) {
    sd_bus* opened = nullptr;
    check(user ? sd_bus_open_user(&opened) : sd_bus_open_system(&opened), "connect");
    std::unique_ptr<sd_bus, decltype(&sd_bus_flush_close_unref)> bus(opened, sd_bus_flush_close_unref);
    char* path = nullptr;
    check(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(), &path), "path");
    std::unique_ptr<char, Free> path_owner(path);
    check(sd_bus_match_signal(bus.get(), nullptr, "org.freedesktop.systemd1", path, "org.freedesktop.DBus.Properties",
                              "PropertiesChanged", nullptr, nullptr),
          "match");
    check(sd_bus_call_method(bus.get(), "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                             "org.freedesktop.systemd1.Manager", "Subscribe", nullptr, nullptr, ""),
          "subscribe");
    const std::regex wanted(pattern, std::regex::extended);
    auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        std::string value = read_property(bus.get(), path, property);
        bool matches = std::regex_search(value, wanted);
        auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now());
        if (matches || left.count() <= 0) {
            std::printf("%s\n", value.c_str());
            return matches ? 0 : 1;
        }
        check(sd_bus_wait(bus.get(), static_cast<std::uint64_t>(left.count())), "wait");
        while (check(sd_bus_process(bus.get(), nullptr), "process") > 0) {
        }
    }
}

}  // namespace

int main(int argc, char** argv) try {
    bool user = argc > 1 && std::strcmp(argv[1], "--user") == 0;
    if (argc != (user ? 5 : 4)) {
        std::fprintf(stderr, "usage: await_property [--user] UNIT PROPERTY REGEX\n");
        return 2;
    }
    argv += user ? 1 : 0;
    return wait_for(user, argv[1], argv[2], argv[3]);
} catch (const std::exception& error) {
    std::fprintf(stderr, "await_property: %s\n", error.what());
    return 1;
}
