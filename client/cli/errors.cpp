#include "errors.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "text.hpp"

namespace shmd::cli {
namespace {

using Json = nlohmann::json;

// An error of the daemon, looked at from the command that met it.
struct Refusal {
    std::string name;  // without its interface
    Json parameters;
    Action action;
    const std::optional<Info>& known;

    [[nodiscard]] std::string text(const char* field) const {
        auto found = parameters.find(field);
        return found != parameters.end() && found->is_string() ? printable(found->get<std::string>()) : "?";
    }
    [[nodiscard]] std::uint64_t number(const char* field) const {
        auto found = parameters.find(field);
        return found != parameters.end() && found->is_number_integer() ? found->get<std::uint64_t>() : 0;
    }
};

std::string words_of(int error) {
    return std::generic_category().message(error);
}

std::string this_user() {
    return "user " + user_name(::geteuid());
}

const char* verb(Action action) {
    switch (action) {
        case Action::create:
        case Action::read:
        case Action::wait:
            return "read";
        case Action::publish:
            return "replace";
        case Action::change:
            return "change";
        case Action::seal:
            return "seal";
        case Action::renew:
            return "renew";
        case Action::resize:
            return "resize";
        case Action::write:
            return "write";
        case Action::describe:
        case Action::list:
            return "look at";
        case Action::remove:
            return "delete";
        case Action::administer:
            return "administer";
    }
    return "use";
}

std::string no_such_segment(const Refusal& refusal) {
    std::string words = "there is no segment with this key; ";
    if (refusal.action == Action::wait) return "it has not come in this time";
    if (refusal.action == Action::write) return words + "make it with \"shmdctl create\" first";
    return words + "\"shmdctl ls\" shows those there are";
}

std::string segment_exists(const Refusal&) {
    return "there is a segment with this key already; take it as it is with --any, or delete it first";
}

std::string size_mismatch(const Refusal& refusal) {
    return "the segment with this key is smaller: " + exact_size(refusal.number("sizeBytes")) +
           "; ask for no more than that, or delete it first";
}

std::string invalid_key(const Refusal&) {
    return "this cannot be a key; keys are 1 to 255 of A-Z a-z 0-9 . _ : / @ + = - and begin with a letter or a digit";
}

std::string quota_exceeded(const Refusal& refusal) {
    std::string resource = refusal.text("resource");
    std::uint64_t limit = refusal.number("limit");
    bool deleting_helps = resource == "bytes" || resource == "segments" || resource == "stagedBytes";
    if (resource == "fileDescriptors") resource = "file descriptors";
    std::string amount = resource == "bytes" || resource == "stagedBytes" ? exact_size(limit) : std::to_string(limit) + " " + resource;
    return "this would go over the limit of " + amount +
           (deleting_helps ? "; delete segments, or have the limit raised"
                           : "; try again when others have finished, or have the limit raised");
}

std::string out_of_memory(const Refusal& refusal) {
    return "this machine has not " + exact_size(refusal.number("sizeBytes")) +
           " of memory to give; ask for less, or free some";
}

std::string permission_denied(const Refusal& refusal) {
    std::string who = this_user() + " may not " + verb(refusal.action) + " it: ";
    const auto& info = refusal.known;
    if (refusal.action == Action::remove || refusal.action == Action::change || refusal.action == Action::publish) {
        std::string owner = info ? "its owner " + user_name(info->owner_uid) : "its owner";
        return who + "only " + owner + ", its creator and root may";
    }
    if (!info) return who + "its owner and mode do not allow it; run this as its owner or as root";
    return who + "it belongs to user " + user_name(info->owner_uid) + " and group " + group_name(info->owner_gid) +
           " and has mode " + octal_mode(info->mode) + " (" + letters_of_mode(info->mode) + ")";
}

std::string invalid_parameter(const Refusal& refusal) {
    std::string parameter = refusal.text("parameter");
    if (parameter == "labels") {
        return "the labels do not fit: at most 32 of them, names of 1 to 63 bytes, values of at most 1024, 4096 in all";
    }
    if (parameter == "capacityBytes") return "the capacity is smaller than the size";
    if (parameter == "numaNodes") return "this machine has no memory on one of these NUMA nodes";
    if (parameter == "acl") return "there can be at most 32 entries";
    if (parameter == "lifetime") return "its creator is gone, or cannot be seen by the daemon";
    if (parameter == "prefix") {
        return "no key begins like this; keys are made of A-Z a-z 0-9 . _ : / @ + = - and begin with a letter or a "
               "digit";
    }
    return "the daemon does not accept the parameter \"" + parameter + "\"";
}

std::string sealed(const Refusal&) {
    return "it is sealed: nobody can change it any more; put another in its place with \"shmdctl publish\"";
}

std::string not_sealable(const Refusal&) {
    return "it was created so that nobody can seal it";
}

std::string busy(const Refusal& refusal) {
    std::string who;
    auto holders = refusal.parameters.find("holders");
    if (holders == refusal.parameters.end() || !holders->is_array() || holders->empty()) {
        return "somebody is resizing it, or has it mapped though no longer open; try again when that has ended";
    }
    for (const Json& holder : *holders) {
        if (!holder.is_object()) continue;
        who += (who.empty() ? "process " : ", process ") + std::to_string(holder.value("pid", std::int64_t{0})) + " of user " +
               user_name(static_cast<uid_t>(holder.value("uid", std::int64_t{0})));
    }
    return std::string("it is open ") + (refusal.action == Action::seal ? "for writing " : "") + "in " + who;
}

std::string no_lease(const Refusal&) {
    return "it has no lease; give it one with \"shmdctl lifetime\"";
}

std::string capacity_exceeded(const Refusal& refusal) {
    return "it cannot grow beyond its capacity of " + exact_size(refusal.number("capacityBytes")) +
           ", which is chosen at create";
}

std::string placement_unavailable(const Refusal& refusal) {
    return "this machine has no such memory to give now: " + refusal.text("setting") +
           " decides that; change it, or do without with --fallback";
}

std::string draining(const Refusal&) {
    return "the daemon is being drained and makes no new segments; \"shmdctl drain --off\" ends that";
}

std::string no_such_process(const Refusal&) {
    return "it has no connection to the daemon";
}

std::string invalid_configuration(const Refusal& refusal) {
    return "the daemon goes on with the old configuration: " + refusal.text("reason");
}

std::string not_there(const Refusal& refusal) {
    if (refusal.action == Action::administer) {
        return "this is not the control socket of a daemon that can do this; name it with --control-socket";
    }
    return "the daemon cannot do this; it may be older than this program";
}

struct Words {
    std::string_view name;
    std::string (*words)(const Refusal& refusal);
};

constexpr std::array all_words{
    Words{"NoSuchSegment", no_such_segment},      Words{"SegmentExists", segment_exists},
    Words{"SizeMismatch", size_mismatch},         Words{"InvalidKey", invalid_key},
    Words{"QuotaExceeded", quota_exceeded},       Words{"OutOfMemory", out_of_memory},
    Words{"PermissionDenied", permission_denied}, Words{"InvalidParameter", invalid_parameter},
    Words{"SegmentSealed", sealed},               Words{"NotSealable", not_sealable},
    Words{"SegmentBusy", busy},                   Words{"NoLease", no_lease},
    Words{"CapacityExceeded", capacity_exceeded}, Words{"PlacementUnavailable", placement_unavailable},
    Words{"Draining", draining},                  Words{"NoSuchProcess", no_such_process},
    Words{"InvalidConfiguration", invalid_configuration},
    Words{"InterfaceNotFound", not_there},        Words{"MethodNotFound", not_there},
    Words{"MethodNotImplemented", not_there},
};

std::string words_of(const Refusal& refusal) {
    for (const Words& known : all_words) {
        if (known.name == refusal.name) return known.words(refusal);
    }
    return "the daemon refuses: " + printable(refusal.parameters.dump());
}

std::string short_name(const std::string& name) {
    return name.substr(name.rfind('.') + 1);
}

std::string prefixed(std::string_view subject, const std::string& words) {
    return subject.empty() ? words : std::string(subject) + ": " + words;
}

// A call that the daemon did not answer.
Failure unanswered(const Error& error, std::string_view subject) {
    switch (error.code().value()) {
        case ECONNRESET:
            return {Exit::no_daemon,
                    prefixed(subject, "the daemon went away before it answered; whether this was done is not known")};
        case ECONNREFUSED:
        case EPROTO:
            return {Exit::no_daemon, prefixed(subject, error.what())};
        default:
            return {Exit::refused, prefixed(subject, error.what())};
    }
}

}  // namespace

Failure connect_failure(const Error& error, const Socket& socket) {
    std::string path = printable(socket.path);
    int code = error.code().value();
    struct stat status {};
    int unseen = ::stat(socket.path.c_str(), &status) == 0 ? 0 : errno;
    if (code == EACCES && unseen) {
        return {Exit::refused, this_user() + " cannot reach " + path + ": a directory on the way is closed to it"};
    }
    if (code == EACCES) {
        return {Exit::refused, this_user() + " may not connect to " + path + ": it is for user " +
                                   user_name(status.st_uid) + " and group " + group_name(status.st_gid) +
                                   "; run this as one of them"};
    }
    // The library says the same of a socket that is missing and of one where nobody listens.
    if (code == ECONNREFUSED && unseen) code = unseen;
    return {Exit::no_daemon, "no daemon answers at " + path + ": " + words_of(code) + "; " + socket.remedy};
}

Failure call_failure(const Error& error, std::string_view subject, Action action, const std::optional<Info>& known) {
    if (error.name().empty()) return unanswered(error, subject);
    Json parameters = Json::parse(error.parameters(), nullptr, false);
    if (!parameters.is_object()) parameters = Json::object();
    Refusal refusal{short_name(error.name()), std::move(parameters), action, known};
    return {Exit::refused, prefixed(subject, words_of(refusal) + " (" + printable(refusal.name) + ")")};
}

bool is_denied(const Error& error) {
    return short_name(error.name()) == "PermissionDenied";
}

}  // namespace shmd::cli
