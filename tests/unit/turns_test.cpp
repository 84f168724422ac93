#include <doctest/doctest.h>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "turns.hpp"

using shmd::Turns;

namespace {

constexpr int at_a_time = 4;
constexpr std::uint32_t alice = 1000, bob = 1001;

/// Streams that each take their turns, and what becomes of that.
struct Streams {
    asio::io_context loop;
    Turns turns{loop.get_executor(), at_a_time};
    std::vector<std::string> served;
    int at_once = 0;  // now, of alice
    int most_at_once = 0;

    asio::awaitable<void> run(std::uint32_t uid, std::string name, int times) {
        for (int i = 0; i < times; i++) {
            co_await turns.take(uid);
            served.push_back(name);
            if (uid == alice) most_at_once = std::max(most_at_once, ++at_once);
            co_await asio::post(loop, asio::use_awaitable);
            if (uid == alice) at_once--;
        }
    }
    void start(std::uint32_t uid, const std::string& name, int times) {
        asio::co_spawn(loop, run(uid, name, times), asio::detached);
    }
};

}  // namespace

TEST_CASE(
    "of one user's streams only a few are served between two turns of another's, and all of them in their order") {
    Streams streams;
    for (int i = 0; i < 20; i++) streams.start(alice, std::to_string(i), 3);
    streams.start(bob, "bob", 1);
    streams.loop.run();
    CHECK(streams.most_at_once == at_a_time);
    REQUIRE(streams.served.size() == 61);
    // Behind those of the other user that were let in first, however many more wait.
    CHECK(streams.served[at_a_time] == "bob");
    std::erase(streams.served, "bob");
    for (std::size_t i = 0; i < 60; i++) CHECK(streams.served[i] == std::to_string(i % 20));
}
