// The commands that move bytes: write and read.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "key.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "stream.hpp"
#include "text.hpp"
#include "unique_fd.hpp"

namespace shmd::cli {
namespace {

// Where the bytes of a write come from.
struct Input {
    std::string name;
    int fd = STDIN_FILENO;
    UniqueFd opened{};
    std::optional<std::uint64_t> bytes{};  // how many will come, if that is known
};

Input open_input(const std::string& file) {
    Input input;
    input.name = "the input";
    if (file != "-") {
        input.name = named(file);
        input.opened.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (!input.opened) throw system_failure(input.name, errno);
        input.fd = input.opened.get();
    }
    struct stat status {};
    if (::fstat(input.fd, &status) != 0) throw system_failure(input.name, errno);
    if (S_ISDIR(status.st_mode)) throw system_failure(input.name, EISDIR);
    // Files of /proc and the like say 0 and have more.
    if (!S_ISREG(status.st_mode) || status.st_size == 0) return input;
    off_t position = ::lseek(input.fd, 0, SEEK_CUR);
    if (position >= 0) input.bytes = static_cast<std::uint64_t>(std::max<off_t>(status.st_size - position, 0));
    return input;
}

Failure out_of_range(const std::string& key, const std::string& what, std::uint64_t size) {
    return {Exit::refused, named(key) + ": " + what + " the end of the segment, which has " + exact_size(size)};
}

void check_offset(const std::string& key, std::uint64_t offset, std::uint64_t size) {
    if (offset > size) throw out_of_range(key, "--offset " + std::to_string(offset) + " is beyond", size);
}

// A transfer that the memory broke: lazy segments get theirs as it is touched.
Failure no_memory(const std::string& key) {
    return {Exit::refused, named(key) + ": this machine has no memory left for the segment's pages"};
}

void check_filled(const Transfer& transfer, const WriteRequest& request, const Input& input, std::uint64_t written) {
    std::string key = named(request.key);
    if (transfer.surplus) {
        throw Failure(Exit::refused, key + ": " + input.name + " is too long: the segment is full after " +
                                         exact_size(written) + " of it; those were written, the rest was not");
    }
    if (transfer.error == EFAULT) throw no_memory(request.key);
    if (transfer.error == 0) return;
    throw system_failure(key + ": cannot read " + input.name + " after " + exact_size(written), transfer.error);
}

}  // namespace

void write(const Common& common, const WriteRequest& request) {
    Input input = open_input(request.file);
    Client client = connect(common);
    std::optional<Segment> segment;
    try {
        segment = client.open_write(key_from_text(request.key));
    } catch (const Error& error) {
        throw explained(client, error, request.key, Action::write);
    }
    check_offset(request.key, request.offset, segment->size());
    std::uint64_t room = segment->size() - request.offset;
    if (input.bytes.value_or(0) > room) {
        throw Failure(Exit::refused, named(request.key) + ": " + input.name + " has " + exact_size(*input.bytes) +
                                         ", but from offset " + std::to_string(request.offset) +
                                         " on there is room for " + exact_size(room) + "; nothing was written");
    }
    Progress progress(input.bytes, is_terminal(STDERR_FILENO) && !is_terminal(input.fd));
    Transfer transfer = fill_from(input.fd, segment->bytes().subspan(request.offset), progress);
    progress.stop();
    check_filled(transfer, request, input, progress.done());
}

void read(const Common& common, const ReadRequest& request) {
    Client client = connect(common);
    std::optional<ReadOnlySegment> segment;
    try {
        segment = client.open_read(key_from_text(request.key));
    } catch (const Error& error) {
        throw explained(client, error, request.key, Action::read);
    }
    std::uint64_t size = segment->size();
    check_offset(request.key, request.offset, size);
    std::uint64_t length = request.length.value_or(size - request.offset);
    if (length > size - request.offset) {
        throw out_of_range(
            request.key,
            "--length " + std::to_string(length) + " from offset " + std::to_string(request.offset) + " goes beyond",
            size);
    }
    Progress progress(length, is_terminal(STDERR_FILENO) && !is_terminal(STDOUT_FILENO));
    Transfer transfer = copy_to(STDOUT_FILENO, segment->bytes().subspan(request.offset, length), progress);
    progress.stop();
    if (transfer.error == 0) return;
    if (transfer.error == EFAULT) throw no_memory(request.key);
    throw output_failure(transfer.error, " after " + exact_size(progress.done()));
}

// Of unknown length, such as a pipe: all of it, in memory of this process.
std::vector<std::byte> read_all(const Input& input) {
    constexpr std::size_t chunk = 1 << 20;
    std::vector<std::byte> bytes;
    for (;;) {
        std::size_t old_size = bytes.size();
        bytes.resize(old_size + chunk);
        ssize_t count = ::read(input.fd, bytes.data() + old_size, chunk);
        int error = errno;
        bytes.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count == 0) return bytes;
        if (count < 0 && error != EINTR) throw system_failure("cannot read " + input.name, error);
    }
}

// The input while it is copied must stay as long as it was when the segment was made for it.
void fill(Segment& segment, const Input& input, const PublishRequest& request) {
    Progress progress(input.bytes, is_terminal(STDERR_FILENO));
    Transfer transfer = fill_from(input.fd, segment.bytes(), progress);
    progress.stop();
    if (transfer.error == EFAULT) throw no_memory(request.key);
    if (transfer.error != 0) throw system_failure("cannot read " + input.name, transfer.error);
    if (transfer.surplus || progress.done() != segment.size()) {
        throw Failure(Exit::refused, named(request.key) + ": " + input.name + " changed while it was read; nothing was published");
    }
}

void publish(const Common& common, const PublishRequest& request) {
    Input input = open_input(request.file);
    std::vector<std::byte> bytes;
    if (!input.bytes) bytes = read_all(input);
    std::uint64_t size = input.bytes.value_or(bytes.size());
    if (size == 0) {
        throw Failure(Exit::refused, named(request.key) + ": " + input.name + " is empty, and a segment has at least 1 byte");
    }
    Client client = connect(common);
    CreateOptions options = request.options;
    options.staged = true;
    try {
        Segment segment = client.create(key_from_text(request.key), size, options);
        if (input.bytes) {
            fill(segment, input, request);
        } else {
            std::ranges::copy(bytes, segment.data());
        }
        if (request.seal) {
            ReadOnlySegment sealed = std::move(segment).seal();
            sealed.publish(nullptr, request.replace);
            if (common.json) print_json(to_json(sealed.info()));
        } else {
            segment.publish(nullptr, request.replace);
            if (common.json) print_json(to_json(segment.info()));
        }
    } catch (const Error& error) {
        throw explained(client, error, request.key, Action::publish);
    }
}

}  // namespace shmd::cli
