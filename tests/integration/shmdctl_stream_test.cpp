// write and read with much more than memory should hold, and with readers that leave.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <fstream>

#include "shmdctl_runner.hpp"

using namespace shmd::test;
using shmd::UniqueFd;

namespace {

constexpr std::size_t large_bytes = std::size_t{300} << 20;
constexpr std::int64_t most_kib = 64 << 10;

// Bytes that never repeat within any chunk, and their checksum.
class Noise {
  public:
    std::string_view next(std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; i += sizeof state_) {
            state_ ^= state_ << 13;
            state_ ^= state_ >> 7;
            state_ ^= state_ << 17;
            std::memcpy(buffer_.data() + i, &state_, sizeof state_);
        }
        return {buffer_.data(), bytes};
    }

  private:
    std::uint64_t state_ = 88172645463325252;
    std::array<char, 1 << 16> buffer_{};
};

class Checksum {
  public:
    void add(std::string_view bytes) {
        for (char c : bytes) value_ = (value_ ^ static_cast<unsigned char>(c)) * 1099511628211U;
        count_ += bytes.size();
    }
    bool operator==(const Checksum&) const = default;

  private:
    std::uint64_t value_ = 14695981039346656037U;
    std::size_t count_ = 0;
};

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count <= 0) fail(std::string("write: ") + std::strerror(errno));
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

std::int64_t peak_kib(pid_t process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:")) return std::stoll(line.substr(std::strlen("VmHWM:")));
    }
    fail("the process has ended");
}

OwnedProcess start(const Shmdctl& shmdctl, const Arguments& arguments, int in, int out) {
    SpawnOptions options;
    options.environment = plain_environment;
    options.in = in;
    options.out = out;
    return spawn(shmdctl.command(arguments), options);
}

}  // namespace

TEST_CASE("300 MiB go through write and read in constant memory, and come out as they went in") {
    std::signal(SIGPIPE, SIG_IGN);
    Shmdctl shmdctl;
    shmdctl.must({"create", "large", "--size", "300M"});
    Checksum in, out;
    {
        Pipe pipe;
        OwnedProcess writer = start(shmdctl, {"write", "large"}, pipe.out.get(), -1);
        pipe.out.reset();
        Noise noise;
        for (std::size_t sent = 0; sent < large_bytes; sent += 1 << 16) {
            std::string_view chunk = noise.next(1 << 16);
            in.add(chunk);
            write_all(pipe.in.get(), chunk);
        }
        // All but what the pipe holds has passed through it, and it waits for the end.
        if (!sanitized) CHECK(peak_kib(writer.pid()) < most_kib);
        pipe.in.reset();
        CHECK(writer.wait() == ok);
    }
    Pipe pipe;
    OwnedProcess reader = start(shmdctl, {"read", "large"}, -1, pipe.in.get());
    pipe.in.reset();
    std::array<char, 1 << 16> buffer;
    std::size_t received = 0;
    bool measured = false;
    for (ssize_t count = 0; (count = ::read(pipe.out.get(), buffer.data(), buffer.size())) > 0;) {
        out.add({buffer.data(), static_cast<std::size_t>(count)});
        received += static_cast<std::size_t>(count);
        // More than a pipe holds is still to come, so it is alive.
        if (!measured && received > large_bytes - (std::size_t{8} << 20)) {
            if (!sanitized) CHECK(peak_kib(reader.pid()) < most_kib);
            measured = true;
        }
    }
    CHECK(measured);
    CHECK(reader.wait() == ok);
    CHECK(out == in);
}

TEST_CASE("a reader that leaves ends read without a word, as it ends cat") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "8M"});
    Pipe pipe, err;
    SpawnOptions options;
    options.environment = plain_environment;
    options.out = pipe.in.get();
    options.err = err.in.get();
    SUBCASE("by SIGPIPE") {
        OwnedProcess reader = spawn(shmdctl.command({"read", "k"}), options);
        pipe.in.reset();
        pipe.out.reset();
        CHECK(reader.wait() == 128 + SIGPIPE);
    }
    SUBCASE("by an error where SIGPIPE is ignored") {
        Arguments command = shmdctl.command({"read", "k"});
        command.insert(command.begin(), {"sh", "-c", "trap '' PIPE; exec \"$0\" \"$@\""});
        OwnedProcess reader = spawn(command, options);
        pipe.in.reset();
        pipe.out.reset();
        CHECK(reader.wait() == refused);
    }
    err.in.reset();
    char byte = 0;
    CHECK(::read(err.out.get(), &byte, 1) == 0);
}

TEST_CASE("a full disk ends read with what was written until then") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "8M"});
    std::string script = "ulimit -f 2048; trap '' XFSZ; exec \"$0\" --socket \"$1\" read k >\"$2\"";
    TemporaryDirectory directory;
    CommandResult result = run_command(
        {"bash", "-c", script, SHMDCTL_PATH, shmdctl.daemon().socket(), directory.path() / "out"}, plain_environment);
    CHECK(result.status == refused);
    CHECK(result.err == "shmdctl: cannot write the output after 2097152 bytes (2.0M): File too large\n");
}

TEST_CASE("descriptors that somebody made non-blocking are waited for") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "1M"});
    Pipe in;
    REQUIRE(::fcntl(in.out.get(), F_SETFL, O_NONBLOCK) == 0);
    OwnedProcess writer = start(shmdctl, {"write", "k"}, in.out.get(), -1);
    write_all(in.in.get(), std::string(1 << 20, 'x'));
    in.in.reset();
    CHECK(writer.wait() == ok);

    Pipe out;
    REQUIRE(::fcntl(out.in.get(), F_SETFL, O_NONBLOCK) == 0);
    OwnedProcess reader = start(shmdctl, {"read", "k"}, -1, out.in.get());
    out.in.reset();
    std::string received;
    std::array<char, 1 << 16> buffer;
    for (ssize_t count = 0; (count = ::read(out.out.get(), buffer.data(), buffer.size())) > 0;) {
        received.append(buffer.data(), static_cast<std::size_t>(count));
    }
    CHECK(reader.wait() == ok);
    CHECK(received == std::string(1 << 20, 'x'));
}
