// The commands that change a segment that is there.
#include <algorithm>
#include <functional>

#include "commands.hpp"
#include "key.hpp"
#include "output.hpp"
#include "text.hpp"
#include "views.hpp"

namespace shmd::cli {
namespace {

using Act = std::function<Info(Client& client, const Key& key)>;

Exit for_each(const Common& common, const std::vector<std::string>& keys, Action action, const Act& act) {
    Client client = connect(common);
    std::vector<Info> changed;
    Exit exit = Exit::ok;
    for (const std::string& key : keys) {
        try {
            changed.push_back(act(client, key_from_text(key)));
        } catch (const Error& error) {
            Failure failure = explained(client, error, key, action);
            if (failure.exit() == Exit::no_daemon) throw failure;
            complain(failure.what());
            exit = failure.exit();
        }
    }
    if (common.json) print_json(to_json(changed));
    return exit;
}

bool same_subject(const AclEntry& a, const AclEntry& b) {
    return a.kind == b.kind && a.id == b.id;
}

}  // namespace

Exit change(const Common& common, const ChangeRequest& request) {
    return for_each(common, request.keys, Action::change,
                    [&](Client& client, const Key& key) { return client.set_attributes(key, request.attributes); });
}

Exit seal(const Common& common, const std::vector<std::string>& keys) {
    return for_each(common, keys, Action::seal, [](Client& client, const Key& key) { return client.seal(key); });
}

Exit renew(const Common& common, const std::vector<std::string>& keys) {
    return for_each(common, keys, Action::renew, [](Client& client, const Key& key) { return client.renew(key); });
}

void resize(const Common& common, const std::string& key, std::uint64_t size) {
    Client client = connect(common);
    try {
        Info segment = client.resize(key_from_text(key), size);
        if (common.json) print_json(to_json(segment));
    } catch (const Error& error) {
        throw explained(client, error, key, Action::resize);
    }
}

void acl(const Common& common, const AclRequest& request) {
    Client client = connect(common);
    bool only_show = request.add.empty() && request.remove.empty() && !request.clear;
    try {
        Key key(key_from_text(request.key));
        Info segment = client.describe(key);
        if (!only_show) {
            std::vector<AclEntry> entries = request.clear ? std::vector<AclEntry>{} : segment.acl;
            auto drop = [&entries](const AclEntry& who) {
                std::erase_if(entries, [&](const AclEntry& entry) { return same_subject(entry, who); });
            };
            for (const AclEntry& who : request.remove) drop(who);
            for (const AclEntry& entry : request.add) {
                drop(entry);
                entries.push_back(entry);
            }
            // By id: what was looked at is what is changed.
            segment = client.set_attributes(Id{segment.id}, {.acl = std::move(entries)});
        }
        if (common.json) return print_json(to_json(segment));
        if (only_show) print(acl_view(segment));
    } catch (const Error& error) {
        throw explained(client, error, request.key, only_show ? Action::describe : Action::change);
    }
}

}  // namespace shmd::cli
