// A client that goes on with what it has, while what it has is deleted, replaced, forbidden, or the daemon is another
// one: what libshmd does in one trip for many, what it keeps mapped, and what it remembers of a connection.
#include <doctest/doctest.h>
#include <shmd/shmd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "libshmd_handles.hpp"
#include "process.hpp"
#include "service_manager.hpp"

using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001, bob = 61002;
constexpr gid_t group = 62001;
constexpr std::size_t count = 300;  // more than one trip

/// Segments k0, k1, … that hold their number, and their keys as the C interface takes them.
class Many {
  public:
    explicit Many(Client& client, unsigned mode = 0600) {
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.mode = mode;
        for (std::size_t i = 0; i < count; i++) names_.push_back("k" + std::to_string(i));
        for (const std::string& name : names_) {
            keys_.push_back(name.c_str());
            std::strcpy(client.create(name.c_str(), 100, &options).data(), name.c_str());
        }
    }
    [[nodiscard]] const char* key(std::size_t i) const { return keys_[i]; }
    [[nodiscard]] const std::vector<const char*>& keys() const { return keys_; }

  private:
    std::vector<std::string> names_;
    std::vector<const char*> keys_;
};

/// What one trip, or several, has opened. All end together.
class Opened {
  public:
    Opened(shmd_client* client, const Many& many, shmd_access access = SHMD_READ) : segments_(count), codes_(count) {
        number_ = shmd_open_many(client, many.keys().data(), count, access, segments_.data(), codes_.data());
    }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    ~Opened() { close(); }

    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] int code(std::size_t i) const { return codes_[i]; }
    [[nodiscard]] std::string text(std::size_t i) const { return static_cast<const char*>(shmd_data(segments_[i])); }
    void close() {
        shmd_close_many(segments_.data(), segments_.size());
        segments_.clear();
    }

  private:
    std::vector<shmd_segment*> segments_;
    std::vector<int> codes_;
    int number_ = 0;
};

void replace(Client& client, const char* key, const char* text) {
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.staged = 1;
    Segment staged = client.create(key, 100, &options);
    std::strcpy(staged.data(), text);
    REQUIRE(shmd_publish(staged.get(), nullptr, 1) == 0);
}

// -errno of an attempt, 0 when it goes well.
int attempt(shmd_client* client, const char* key, shmd_access access) {
    shmd_segment* segment = nullptr;
    int code = shmd_open(client, key, access, &segment);
    shmd_close(segment);
    return code;
}

void set_mode(Client& client, const char* key, unsigned mode) {
    shmd_attributes attributes = SHMD_ATTRIBUTES_INIT;
    attributes.set = SHMD_SET_MODE;
    attributes.mode = mode;
    REQUIRE(shmd_set_attributes(client.get(), key, &attributes, nullptr) == 0);
}

}  // namespace

TEST_CASE(
    "of many that are opened again, one that was deleted meanwhile is missing, and one made anew is the new one") {
    Daemon daemon;
    Client owner(daemon), client(daemon);
    Many many(owner);
    Opened before(client.get(), many);
    REQUIRE(before.number() == count);
    REQUIRE(shmd_delete(owner.get(), many.key(7)) == 0);
    REQUIRE(shmd_delete(owner.get(), many.key(299)) == 0);
    std::strcpy(owner.create(many.key(299), 100).data(), "anew");
    // What is mapped stays what it was.
    CHECK(before.text(7) == "k7");
    CHECK(before.text(299) == "k299");

    Opened after(client.get(), many);
    CHECK(after.number() == count - 1);
    CHECK(after.code(7) == -ENOENT);
    CHECK(after.text(299) == "anew");
    CHECK(after.text(6) == "k6");
    CHECK(attempt(client.get(), many.key(7), SHMD_READ) == -ENOENT);
    // The ends of the old ones reach what they were of, and nobody else.
    before.close();
    CHECK(client.attachments(many.key(299)) == 1);
    CHECK(client.attachments(many.key(6)) == 1);
}

TEST_CASE("of many that are opened again, one that was replaced meanwhile is the one that took its place") {
    Daemon daemon;
    Client owner(daemon), client(daemon);
    Many many(owner);
    Opened before(client.get(), many);
    replace(owner, many.key(0), "first");
    replace(owner, many.key(250), "second");
    Opened after(client.get(), many);
    CHECK(after.number() == count);
    CHECK(before.text(0) == "k0");
    CHECK(after.text(0) == "first");
    CHECK(before.text(250) == "k250");
    CHECK(after.text(250) == "second");
    CHECK(after.text(1) == "k1");
    before.close();
    CHECK(client.attachments(many.key(250)) == 1);
}

TEST_CASE("a permission that is taken away holds from the next open on, for one and for many; mappings stay" *
          doctest::skip(!is_root())) {
    Daemon daemon;
    Client owner(daemon);
    Many many(owner, 0666);
    ChildProcess reader(User{alice, group, {}}, [&](Turns& turns) {
        Client client(daemon.socket());
        Opened before(client.get(), many);
        if (before.number() != count || attempt(client.get(), many.key(3), SHMD_WRITE) != 0) return 1;
        turns.signal();
        turns.wait();
        // On the same connection as before.
        if (attempt(client.get(), many.key(3), SHMD_READ) != -EACCES) return 2;
        if (attempt(client.get(), many.key(4), SHMD_WRITE) != -EACCES) return 3;
        if (attempt(client.get(), many.key(4), SHMD_READ) != 0) return 4;
        Opened after(client.get(), many);
        if (after.number() != count - 1 || after.code(3) != -EACCES || after.text(4) != "k4") return 5;
        Opened writing(client.get(), many, SHMD_WRITE);
        if (writing.number() != count - 2 || writing.code(3) != -EACCES || writing.code(4) != -EACCES) return 6;
        if (before.text(3) != "k3") return 7;
        turns.signal();
        turns.wait();
        return attempt(client.get(), many.key(3), SHMD_WRITE) == 0 ? 0 : 8;
    });
    reader.wait_for_byte();
    set_mode(owner, many.key(3), 0600);
    set_mode(owner, many.key(4), 0644);
    reader.send_byte();
    reader.wait_for_byte();
    set_mode(owner, many.key(3), 0666);
    reader.send_byte();
    CHECK(reader.wait() == 0);
}

TEST_CASE("a segment that is given to another user is that user's at the next call of either" *
          doctest::skip(!is_root())) {
    Daemon daemon;
    Client root(daemon);
    Many many(root);
    auto give_to = [&](uid_t user) {
        shmd_attributes attributes = SHMD_ATTRIBUTES_INIT;
        attributes.set = SHMD_SET_OWNER_UID;
        attributes.owner_uid = user;
        REQUIRE(shmd_set_attributes(root.get(), many.key(1), &attributes, nullptr) == 0);
    };
    auto opens_when_told = [&](Turns& turns, int first, int second) {
        Client client(daemon.socket());
        for (int wanted : {first, second}) {
            turns.signal();
            turns.wait();
            if (attempt(client.get(), many.key(1), SHMD_WRITE) != wanted) return 1;
            Opened all(client.get(), many);
            if (all.code(1) != wanted || all.number() != (wanted == 0 ? 1 : 0)) return 2;
        }
        turns.signal();
        return 0;
    };
    give_to(alice);
    ChildProcess one(User{alice, group, {}}, [&](Turns& turns) { return opens_when_told(turns, 0, -EACCES); });
    ChildProcess other(User{bob, group, {}}, [&](Turns& turns) { return opens_when_told(turns, -EACCES, 0); });
    auto both = [&](void (ChildProcess::*step)() const) { (one.*step)(), (other.*step)(); };
    both(&ChildProcess::wait_for_byte);
    both(&ChildProcess::send_byte);
    both(&ChildProcess::wait_for_byte);
    give_to(bob);
    both(&ChildProcess::send_byte);
    both(&ChildProcess::wait_for_byte);
    CHECK(one.wait() == 0);
    CHECK(other.wait() == 0);
}

TEST_CASE("many that are held over a restart go on, and what is opened then is what the key names then") {
    ServiceManager manager({.store = 2000});
    manager.start();
    Client owner(manager.socket()), client(manager.socket());
    Many many(owner);
    Opened before(client.get(), many);
    REQUIRE(before.number() == count);
    REQUIRE(shmd_delete(owner.get(), many.key(5)) == 0);
    manager.kill();
    manager.start();
    replace(owner, many.key(2), "after");
    CHECK(before.text(2) == "k2");
    CHECK(before.text(5) == "k5");
    Opened after(client.get(), many);
    CHECK(after.number() == count - 1);
    CHECK(after.code(5) == -ENOENT);
    CHECK(after.text(2) == "after");
    CHECK(client.attachments(many.key(9)) == 2);
    before.close();
    CHECK(client.attachments(many.key(9)) == 1);
    CHECK(client.attachments(many.key(2)) == 1);
}

TEST_CASE("after a restart that nothing outlived, many are missing and what is mapped stays") {
    Daemon daemon;
    Client owner(daemon), client(daemon);
    Many many(owner);
    Opened before(client.get(), many);
    daemon.kill();
    daemon.restart();
    Opened after(client.get(), many);
    CHECK(after.number() == 0);
    for (std::size_t i = 0; i < count; i++) REQUIRE(after.code(i) == -ENOENT);
    CHECK(before.text(299) == "k299");
    std::strcpy(owner.create(many.key(299), 100).data(), "new");
    // Ends what there was before, and not what has its key now.
    before.close();
    Segment open = client.open(many.key(299), SHMD_READ);
    CHECK(std::string(open.data()) == "new");
    CHECK(client.attachments(many.key(299)) == 1);
}
