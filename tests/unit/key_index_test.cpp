// The index of keys against a std::map, and its hash against what CPython 3.11 makes of the same bytes with a secret of zeros.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "key_index.hpp"
#include "registry.hpp"

using namespace shmd;

namespace {

std::unique_ptr<Entry> entry_with(std::string key) {
    auto entry = std::make_unique<Entry>();
    entry->key = std::move(key);
    return entry;
}

}  // namespace

TEST_CASE("the hash is SipHash-1-3") {
    constexpr std::array<std::uint64_t, 2> zeros{};
    CHECK(sip_hash(zeros, "a") == 0x407448d2b89b1813);
    CHECK(sip_hash(zeros, "shmd/ke") == 0x51f843058afccbd0);
    CHECK(sip_hash(zeros, "shmd/key") == 0x7f9ab9268f5dc312);
    CHECK(sip_hash(zeros, "shmd/key1") == 0x4d1e95d08208be79);
    CHECK(sip_hash(zeros, "0123456789abcdef") == 0x1d42b30f7e060c24);
    CHECK(sip_hash(zeros, std::string(255, 'k')) == 0x675ee6c0275f0884);
    CHECK(sip_hash({1, 0}, "a") != sip_hash(zeros, "a"));
    CHECK(sip_hash({0, 1}, "a") != sip_hash(zeros, "a"));
}

TEST_CASE("what is inserted, replaced and erased is found, or is not, in any order") {
    std::mt19937 random(20'261'127);
    KeyIndex index;
    std::map<std::string, std::unique_ptr<Entry>> entries;
    auto any = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
    // It grows to a few hundred, and shrinks to nothing at the end.
    for (int step = 0; step < 40'000 || !entries.empty(); step++) {
        bool grows = step < 40'000 && any(1000) >= entries.size();
        if (grows) {
            std::string key = "key/" + std::to_string(any(5000));
            Entry* found = index.find(key);
            auto known = entries.find(key);
            REQUIRE(found == (known == entries.end() ? nullptr : known->second.get()));
            auto made = entry_with(key);
            if (found) {
                index.replace(*found, *made);
                known->second = std::move(made);
            } else {
                index.make_room();
                index.insert(*made);
                entries.emplace(key, std::move(made));
            }
        } else if (!entries.empty()) {
            auto victim = std::next(entries.begin(), static_cast<std::ptrdiff_t>(any(entries.size())));
            index.erase(*victim->second);
            std::string key = victim->first;
            entries.erase(victim);
            REQUIRE_FALSE(index.find(key));
        }
        if (step % 1000 != 0) continue;
        for (const auto& [key, entry] : entries) REQUIRE(index.find(key) == entry.get());
    }
}
