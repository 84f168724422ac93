// A lookup table that is replaced under its readers: they never wait, never see a table half written, and those who are
// still in the old one keep it whole.
//
//   lookup_table publish KEY GENERATIONS    publishes so many tables, one after the other, under this key
//   lookup_table follow KEY GENERATION      looks things up in whichever is the newest, until this one has come
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <string>

#include <shmd/shmd.hpp>

namespace {

using namespace std::chrono_literals;

// What lies in the memory: a head, then the entries in the order of their keys.
struct Head {
    std::uint64_t generation;
    std::uint64_t count;
};
struct Entry {
    std::uint64_t key;
    std::uint64_t value;
};

constexpr std::uint64_t entry_count = 50'000;

std::uint64_t value_of(std::uint64_t key, std::uint64_t generation) {
    return key * 2654435761u + generation;
}

void publish(shmd::Client& client, const std::string& key, std::uint64_t generation) {
    // Staged: nobody sees it before publish(). If this process dies first, it is gone.
    auto table = client.create(key, sizeof(Head) + entry_count * sizeof(Entry), {.mode = 0644, .staged = true});
    table.as<Head>() = {generation, entry_count};
    std::span<Entry> entries(reinterpret_cast<Entry*>(table.data() + sizeof(Head)), entry_count);
    for (std::uint64_t i = 0; i < entry_count; i++) entries[i] = {3 * i, value_of(3 * i, generation)};
    // Sealed: readers need no lock and no second look, since nobody can change it any more.
    auto sealed = std::move(table).seal();
    sealed.publish(key, true);
}

// Null when there is no such key.
const Entry* find(const shmd::ReadOnlySegment& table, std::uint64_t key) {
    std::span<const Entry> entries(reinterpret_cast<const Entry*>(table.data() + sizeof(Head)), table.as<Head>().count);
    auto found = std::ranges::lower_bound(entries, key, {}, &Entry::key);
    return found != entries.end() && found->key == key ? &*found : nullptr;
}

void follow(shmd::Client& client, const std::string& key, std::uint64_t last) {
    shmd::Watch watch = client.watch(key);
    // Waits for the first one.
    (void)client.open_read(key, std::chrono::hours::max());
    auto table = client.open_sealed(key);
    std::uint64_t lookups = 0, tables = 1;
    for (std::uint64_t wanted = 0; table.as<Head>().generation < last; wanted += 7919) {
        const Entry* entry = find(table, wanted % (3 * entry_count));
        lookups++;
        if (entry && entry->value != value_of(entry->key, table.as<Head>().generation)) {
            throw std::runtime_error("a value of another table");
        }
        // Now and then: is there a newer one? The old one is unmapped here, and freed when its last reader has done so.
        if (lookups % 1000 != 0) continue;
        bool replaced = false;
        while (auto event = watch.next(0s)) replaced = replaced || event->kind == shmd::EventKind::published;
        if (!replaced) continue;
        table = client.open_sealed(key);
        tables++;
    }
    std::cout << lookups << " lookups in " << tables << " tables, the last one of generation "
              << table.as<Head>().generation << "\n";
}

}  // namespace

int main(int argc, char** argv) {
    std::string what = argc == 4 ? argv[1] : "";
    try {
        shmd::Client client;
        if (what == "publish") {
            for (std::uint64_t i = 1; i <= std::stoull(argv[3]); i++) publish(client, argv[2], i);
        } else if (what == "follow") {
            follow(client, argv[2], std::stoull(argv[3]));
        } else {
            std::cerr << "usage: lookup_table publish KEY GENERATIONS | lookup_table follow KEY GENERATION\n";
            return 2;
        }
    } catch (const std::exception& error) {
        std::cerr << "lookup_table: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
