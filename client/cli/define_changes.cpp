// The commands that change a segment that is there.
#include "definitions.hpp"
#include "option_values.hpp"

namespace shmd::cli {
namespace {

void define_seal_and_renew(CLI::App& app, Invocation& invocation) {
    CLI::App& seal_command = add_command(app, "seal", "Make segments immutable for ever",
                                         "  shmdctl seal app/table\n"
                                         "Nobody may have it open for writing: \"shmdctl who\" tells who has.");
    add_keys(seal_command, invocation.keys);
    on_command_with_exit(seal_command, invocation, [&] { return seal(invocation.common, invocation.keys); });

    CLI::App& renew_command =
        add_command(app, "renew", "Begin the leases of segments anew", "  shmdctl renew app/session");
    add_keys(renew_command, invocation.keys);
    on_command_with_exit(renew_command, invocation, [&] { return renew(invocation.common, invocation.keys); });
}

void define_resize(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "resize", "Make a segment larger or smaller, within its capacity",
                                    "  shmdctl create app/log --size 1M --capacity 64M\n"
                                    "  shmdctl resize app/log 8M");
    add_key(command, invocation.key);
    command
        .add_option_function<std::string>(
            "SIZE", [&](const std::string& text) { invocation.size = size_from("SIZE", text, true); },
            "How many bytes: 100, 4K, 16M, 2G or 1T")
        ->required()
        ->type_name("");
    on_command(command, invocation, [&] { resize(invocation.common, invocation.key, invocation.size); });
}

void define_mode_and_owner(CLI::App& app, Invocation& invocation) {
    ChangeRequest& request = invocation.change;
    CLI::App& chmod_command = add_command(app, "chmod", "Change who may use segments", "  shmdctl chmod 0640 app/cache");
    chmod_command
        .add_option_function<std::string>(
            "MODE", [&](const std::string& text) { request.attributes.mode = mode_from("MODE", text); },
            "As in chmod(1), octal")
        ->required()
        ->type_name("");
    add_keys(chmod_command, request.keys);
    on_command_with_exit(chmod_command, invocation, [&] { return change(invocation.common, request); });

    CLI::App& chown_command = add_command(app, "chown", "Change the owner of segments",
                                          "  shmdctl chown alice app/cache\n"
                                          "  shmdctl chown alice:staff app/cache\n"
                                          "  shmdctl chown :staff app/cache");
    chown_command
        .add_option_function<std::string>(
            "OWNER",
            [&](const std::string& text) {
                std::size_t colon = text.find(':');
                std::string owner = text.substr(0, colon);
                if (!owner.empty()) request.attributes.owner_uid = user_from("OWNER", owner);
                if (colon != std::string::npos) request.attributes.owner_gid = group_from("OWNER", text.substr(colon + 1));
                if (text.empty()) throw wrong_value("OWNER", text, "a user; write it as USER, USER:GROUP or :GROUP");
            },
            "USER, USER:GROUP or :GROUP; names or numbers")
        ->required()
        ->type_name("");
    add_keys(chown_command, request.keys);
    on_command_with_exit(chown_command, invocation, [&] { return change(invocation.common, request); });
}

void define_acl(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "acl", "Show or change the access of further users and groups",
                                    "  shmdctl acl app/cache\n"
                                    "  shmdctl acl app/cache --add u:alice:rw --add g:staff:r\n"
                                    "  shmdctl acl app/cache --remove u:alice\n"
                                    "  shmdctl acl app/cache --clear");
    AclRequest& request = invocation.acl;
    add_key(command, request.key);
    add_repeated(command, "--add", "ENTRY", "u:NAME:r, u:NAME:rw, g:NAME:r or g:NAME:rw; takes\nthe place of an earlier one",
                 [&](const std::string& text) { request.add.push_back(acl_entry_from("--add", text)); });
    add_repeated(command, "--remove", "WHO", "u:NAME or g:NAME",
                 [&](const std::string& text) { request.remove.push_back(acl_subject_from("--remove", text)); });
    command.add_flag("--clear", request.clear, "Take all away first");
    on_command(command, invocation, [&] { acl(invocation.common, request); });
}

void define_label(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "label", "Add, change or remove the texts that a segment carries",
                                    "  shmdctl label app/cache team=billing version=7\n"
                                    "  shmdctl label app/cache --remove version");
    ChangeRequest& request = invocation.change;
    add_key(command, invocation.key);
    command
        .add_option_function<std::vector<std::string>>(
            "NAME=VALUE",
            [&](const std::vector<std::string>& texts) {
                for (const std::string& text : texts) add_label(request.attributes.labels, "NAME=VALUE", text);
            },
            "A label to add or to change")
        ->option_text("...");
    add_repeated(command, "--remove", "NAME", "A label to take away; may be repeated",
                 [&](const std::string& text) { request.attributes.remove_labels.push_back(text); });
    on_command_with_exit(command, invocation, [&] {
        request.keys = {invocation.key};
        if (request.attributes.labels.empty() && request.attributes.remove_labels.empty()) {
            throw Failure(Exit::wrong_usage, "label: nothing to change; give NAME=VALUE or --remove NAME");
        }
        return change(invocation.common, request);
    });
}

void define_lifetime(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "lifetime", "Change how long a segment lasts",
                                    "  shmdctl lifetime app/cache --lease 2h\n"
                                    "  shmdctl lifetime app/cache persistent\n"
                                    "  shmdctl lifetime app/cache --evictable yes");
    Attributes& attributes = invocation.change.attributes;
    add_key(command, invocation.key);
    command
        .add_option_function<std::string>(
            "HOW",
            [&](const std::string& text) {
                attributes.lifetime = choice_from<Lifetime>("HOW", text,
                                                            {{"persistent", Lifetime::persistent},
                                                             {"attached", Lifetime::attached},
                                                             {"creator", Lifetime::creator}});
            },
            "persistent, attached or creator")
        ->type_name("");
    add_value(command, "--lease", "TIME", "Until so long nobody has renewed it: 30s, 5m, 2h", [&](const std::string& text) {
        attributes.lifetime = Lifetime::lease;
        attributes.lease = lease_from("--lease", text);
    });
    add_value(command, "--evictable", "yes|no", "Whether it may be dropped when memory runs short",
              [&](const std::string& text) {
                  attributes.evictable = choice_from<bool>("--evictable", text, {{"yes", true}, {"no", false}});
              });
    on_command_with_exit(command, invocation, [&] {
        invocation.change.keys = {invocation.key};
        if (!attributes.lifetime && !attributes.evictable) {
            throw Failure(Exit::wrong_usage, "lifetime: nothing to change; give HOW, --lease or --evictable");
        }
        return change(invocation.common, invocation.change);
    });
}

}  // namespace

void define_changes(CLI::App& app, Invocation& invocation) {
    define_seal_and_renew(app, invocation);
    define_resize(app, invocation);
    define_mode_and_owner(app, invocation);
    define_acl(app, invocation);
    define_label(app, invocation);
    define_lifetime(app, invocation);
}

}  // namespace shmd::cli
