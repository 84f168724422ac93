#include "failure.hpp"

#include <unistd.h>

#include <cerrno>
#include <exception>

namespace shmd::client {
namespace {

int code_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::no_such_segment:
            return ENOENT;
        case ErrorCode::segment_exists:
            return EEXIST;
        case ErrorCode::size_mismatch:
            return ERANGE;
        case ErrorCode::quota_exceeded:
            return EDQUOT;
        case ErrorCode::out_of_memory:
            return ENOMEM;
        case ErrorCode::segment_sealed:
            return EROFS;
        case ErrorCode::not_sealed:
        case ErrorCode::not_sealable:
        case ErrorCode::no_lease:
            return EBADFD;
        case ErrorCode::capacity_exceeded:
            return EFBIG;
        case ErrorCode::placement_unavailable:
            return ENODEV;
        case ErrorCode::segment_busy:
            return EBUSY;
        case ErrorCode::draining:
            return ESHUTDOWN;
        case ErrorCode::no_such_process:
            return ESRCH;
        case ErrorCode::system_v_failed:
            return error.number.value_or(0) > 0 ? static_cast<int>(*error.number) : EREMOTEIO;
        case ErrorCode::permission_denied:
            return EACCES;
        case ErrorCode::invalid_key:
        case ErrorCode::invalid_parameter:
        case ErrorCode::invalid_configuration:
        case ErrorCode::expected_more:
            return EINVAL;
        case ErrorCode::interface_not_found:
        case ErrorCode::method_not_found:
        case ErrorCode::method_not_implemented:
            return ENOTSUP;
    }
    return EREMOTEIO;
}

std::string quoted(const std::optional<std::string>& text) {
    std::string out(1, '\'');  // Begun this way, GCC 12 gives no false warning (its bug 105329).
    return out.append(text.value_or("?")).append(1, '\'');
}

std::string counted(const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : "?";
}

std::string busy(const std::vector<Holder>& holders) {
    if (holders.empty()) return "somebody is resizing it, or has it mapped for writing though detached from it";
    std::string words = "it is open in";
    for (const Holder& holder : holders) {
        words += (&holder == &holders.front() ? " process " : ", process ") + std::to_string(holder.pid) + " of user " +
                 std::to_string(holder.uid);
    }
    return words;
}

std::string words_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::no_such_segment:
            return error.text ? "no segment has this key" : "no segment has this id";
        case ErrorCode::segment_exists:
            return "the key " + quoted(error.text) + " is taken: open that segment, or choose another key";
        case ErrorCode::size_mismatch:
            return "the existing segment has only " + counted(error.number) + " bytes";
        case ErrorCode::invalid_key:
            return quoted(error.text) + " is not a key: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, " +
                   "the first one a letter or a digit";
        case ErrorCode::quota_exceeded:
            return "the limit of " + counted(error.number) + " on " + error.text.value_or("a resource") +
                   " is reached: close or delete something, or have the limit raised";
        case ErrorCode::out_of_memory:
            return "this machine has not " + counted(error.number) + " bytes of memory to give";
        case ErrorCode::segment_sealed:
            return "it is sealed: its content cannot be changed any more";
        case ErrorCode::not_sealed:
            return "it is not sealed: its content may still change";
        case ErrorCode::not_sealable:
            return "it was created so that it can never be sealed";
        case ErrorCode::no_lease:
            return "it has no lease";
        case ErrorCode::capacity_exceeded:
            return "its capacity is " + counted(error.number) + " bytes, and it cannot grow further";
        case ErrorCode::placement_unavailable:
            return "this machine has no such memory to give now; " + error.text.value_or("?") + " decides that";
        case ErrorCode::segment_busy:
            return busy(error.holders);
        case ErrorCode::draining:
            return "the daemon is being drained and makes no new segments";
        case ErrorCode::no_such_process:
            return "process " + counted(error.number) + " is not connected";
        case ErrorCode::system_v_failed:
            return "as a System V call it fails with " + error.text.value_or("?");
        case ErrorCode::invalid_configuration:
            return "the configuration cannot be used: " + error.text.value_or("?");
        case ErrorCode::permission_denied:
            return "user " + std::to_string(::geteuid()) + " is not allowed to: the segment's owner and mode decide";
        case ErrorCode::invalid_parameter:
            return "the daemon does not accept the parameter " + quoted(error.text);
        case ErrorCode::interface_not_found:
            return "the daemon has no interface " + quoted(error.text) + " at this socket";
        case ErrorCode::method_not_found:
        case ErrorCode::method_not_implemented:
            return "the daemon has no method " + quoted(error.text);
        case ErrorCode::expected_more:
            return "the method answers more than once";
    }
    return "the daemon refused";
}

// Apart from its texts, so that it can still be read and set when they are gone: at the end of a thread its other
// thread-local and static objects may be making calls.
thread_local constinit shmd_error view{0, "", "{}", ""};
thread_local constinit bool texts_gone = false;

struct Texts {
    std::string name;
    std::string parameters;
    std::string message;

    Texts() = default;
    Texts(const Texts&) = delete;
    Texts& operator=(const Texts&) = delete;
    ~Texts() {
        texts_gone = true;
        view = {view.code, "", "{}", ""};
    }
};

Texts& texts() noexcept {
    thread_local Texts instance;
    return instance;
}

}  // namespace

Failure in_context(Failure failure, std::string_view tried) {
    failure.message.insert(0, "cannot " + std::string(tried) + ": ");
    return failure;
}

Failure from_remote(const RemoteError& error) {
    Failure failure{EREMOTEIO, {}, error.name, error.parameters};
    if (error.known) {
        failure.code = code_of(*error.known);
        failure.message = words_of(*error.known);
    } else {
        failure.message = "the daemon answered " + error.name + " " + error.parameters;
    }
    return failure;
}

Failure nonsense(std::string why) {
    return {EPROTO, "the daemon's answer makes no sense: " + std::move(why)};
}

int report(const Failure& failure) noexcept {
    if (texts_gone) return report(failure.code, "a call at the end of its thread failed");
    try {
        Texts& kept = texts();
        kept.name = failure.name;
        kept.parameters = failure.parameters;
        kept.message = failure.message;
        view = {-failure.code, kept.name.c_str(), kept.parameters.c_str(), kept.message.c_str()};
    } catch (const std::exception&) {
        return report(failure.code, "there is no memory left to say what failed");
    }
    return -failure.code;
}

int report(int code, const char* message) noexcept {
    view = {-code, "", "{}", message};
    return -code;
}

const shmd_error& last_error() noexcept {
    return view;
}

}  // namespace shmd::client
