#include "commands.hpp"

#include <unistd.h>

#include <algorithm>

#include "key.hpp"
#include "output.hpp"
#include "text.hpp"
#include "views.hpp"

namespace shmd::cli {
namespace {

void note_that_there_are_none(const std::string& prefix) {
    if (!is_terminal(STDOUT_FILENO)) return;
    std::string which = prefix.empty() ? "" : " whose key begins with " + in_quotes(prefix);
    complain("no segments" + which + (::geteuid() == 0 ? "" : " that you may look at"));
}

}  // namespace

void print_json(const std::string& document) {
    print(safe_json(document) + "\n");
}

Client connect(const Common& common) {
    Socket socket = segments_socket(common.socket);
    try {
        return Client(socket.path);
    } catch (const Error& error) {
        throw connect_failure(error, socket);
    }
}

Failure explained(Client& client, const Error& error, const std::string& typed_key, Action action) {
    std::optional<Info> known;
    if (is_denied(error)) {
        try {
            known = client.describe(key_from_text(typed_key));
        } catch (const Error&) {
            // Not for this user's eyes either.
        }
    }
    return call_failure(error, named(typed_key), action, known);
}

void create(const Common& common, const CreateRequest& request) {
    Client client = connect(common);
    try {
        // Reading is all that --any asks of a segment that is there.
        auto segment = client.create<Access::read>(key_from_text(request.key), request.size, request.options);
        if (common.json) print_json(to_json(segment.info()));
        if (segment.created() && request.options.lifetime == Lifetime::attached) {
            complain(named(request.key) +
                     ": made, but it goes with this command unless another process opens it first");
        }
    } catch (const Error& error) {
        throw explained(client, error, request.key, Action::create);
    }
}

void stat(const Common& common, const std::string& key) {
    Client client = connect(common);
    try {
        Info segment = client.describe(key_from_text(key));
        common.json ? print_json(to_json(segment)) : print(segment_view(segment));
    } catch (const Error& error) {
        throw call_failure(error, named(key), Action::describe);
    }
}

void list(const Common& common, const std::string& prefix) {
    Client client = connect(common);
    std::vector<Info> segments;
    try {
        segments = client.list(prefix);
    } catch (const Error& error) {
        throw call_failure(error, printable(prefix), Action::list);
    }
    std::ranges::sort(segments, {}, &Info::key);
    if (common.json) return print_json(to_json(segments));
    if (segments.empty()) return note_that_there_are_none(prefix);
    print(segments_view(segments, terminal_width(STDOUT_FILENO)));
}

void list_system_v(const Common& common) {
    Client client = connect(common);
    try {
        std::string statuses = items_of(client.call_many("io.shmd.SystemV.List"), "status");
        common.json ? print_json(indented(statuses)) : print(system_v_view(statuses));
    } catch (const Error& error) {
        throw call_failure(error, {}, Action::list);
    }
}

Exit remove(const Common& common, const std::vector<std::string>& keys) {
    Client client = connect(common);
    Exit exit = Exit::ok;
    for (const std::string& key : keys) {
        try {
            client.delete_segment(key_from_text(key));
        } catch (const Error& error) {
            Failure failure = explained(client, error, key, Action::remove);
            if (failure.exit() == Exit::no_daemon) throw failure;
            complain(failure.what());
            exit = failure.exit();
        }
    }
    return exit;
}

void watch(const Common& common, const std::string& prefix) {
    Client client = connect(common);
    try {
        Watch events = client.watch(prefix);
        for (;;) {
            Event event = events.next();
            if (common.json) {
                print_json(event_json(event));
            } else if (event.kind != EventKind::ready) {
                print(event_line(event));
            }
        }
    } catch (const Error& error) {
        throw call_failure(error, printable(prefix), Action::list);
    }
}

void wait(const Common& common, const std::string& key, std::optional<std::chrono::microseconds> timeout) {
    Client client = connect(common);
    try {
        auto segment = client.open_read(key_from_text(key), timeout.value_or(std::chrono::microseconds::max()));
        if (common.json) print_json(to_json(segment.info()));
    } catch (const Error& error) {
        throw explained(client, error, key, Action::wait);
    }
}

}  // namespace shmd::cli
