// Readings of a sensor, for whoever wants them, in whatever language: a ring in shared memory. readings.py reads them.
//
//   readings KEY COUNT    produces so many, and an empty record, which is the end
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <utility>

#include <shmd/ring.hpp>

namespace {

struct Reading {
    std::uint64_t number;
    double value;
};

void produce(const std::string& key, std::uint64_t count) {
    shmd::Client client;
    // Staged: it is a ring before anybody sees it.
    shmd::ring::Producer producer(client.create(key, 1 << 20, {.mode = 0644, .staged = true}));
    producer.segment().publish();
    for (std::uint64_t i = 0; i < count; i++) {
        // Written where it will lie.
        std::span<std::byte> place = producer.reserve(sizeof(Reading));
        Reading reading{i, std::sin(static_cast<double>(i))};
        std::memcpy(place.data(), &reading, sizeof reading);
        producer.commit();
    }
    producer.push({});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: readings KEY COUNT\n";
        return 2;
    }
    try {
        produce(argv[1], std::stoull(argv[2]));
    } catch (const std::exception& error) {
        std::cerr << "readings: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
