#include "policy.hpp"

#include <doctest/doctest.h>

using namespace shmd;

namespace {

constexpr std::uint32_t owner = 1001, creator = 1002, stranger = 1003, owner_group = 2001, creator_group = 2002;

Acl acl_with_mode(int mode) {
    return {owner, owner_group, creator, creator_group, mode};
}
Peer peer(std::uint32_t uid, std::uint32_t gid = 9999, std::vector<std::uint32_t> groups = {}) {
    return {uid, gid, 1, std::move(groups)};
}

}  // namespace

TEST_CASE("root may do everything") {
    for (int mode : {0, 0400, 0777}) {
        CHECK(check(peer(0), acl_with_mode(mode), Access::write));
        CHECK(check_describe(peer(0), acl_with_mode(mode)));
        CHECK(check_administer(peer(0), acl_with_mode(mode)));
    }
}

TEST_CASE("owner and creator are judged by the owner's bits alone") {
    for (std::uint32_t uid : {owner, creator}) {
        CHECK(check(peer(uid), acl_with_mode(0600), Access::write));
        CHECK(check(peer(uid), acl_with_mode(0400), Access::read));
        CHECK_FALSE(check(peer(uid), acl_with_mode(0400), Access::write));
        CHECK_FALSE(check(peer(uid, owner_group), acl_with_mode(0066), Access::read));
    }
}

TEST_CASE("members of the owner's or creator's group are judged by the group's bits alone") {
    for (std::uint32_t group : {owner_group, creator_group}) {
        for (const Peer& member : {peer(stranger, group), peer(stranger, 9999, {1, 2, group})}) {
            CHECK(check(member, acl_with_mode(0060), Access::write));
            CHECK(check(member, acl_with_mode(0040), Access::read));
            CHECK_FALSE(check(member, acl_with_mode(0040), Access::write));
            CHECK_FALSE(check(member, acl_with_mode(0606), Access::read));
        }
    }
}

TEST_CASE("everybody else is judged by the last bits") {
    CHECK(check(peer(stranger), acl_with_mode(0006), Access::write));
    CHECK(check(peer(stranger), acl_with_mode(0004), Access::read));
    CHECK_FALSE(check(peer(stranger), acl_with_mode(0004), Access::write));
    CHECK_FALSE(check(peer(stranger), acl_with_mode(0660), Access::read));
}

TEST_CASE("writing needs the r and the w bit, and x bits count for nothing") {
    CHECK_FALSE(check(peer(owner), acl_with_mode(0200), Access::write));
    CHECK_FALSE(check(peer(owner), acl_with_mode(0200), Access::read));
    CHECK_FALSE(check(peer(owner), acl_with_mode(0100), Access::read));
}

TEST_CASE("owner and creator may describe and administer whatever the mode, others describe what they may read") {
    for (std::uint32_t uid : {owner, creator}) {
        CHECK(check_describe(peer(uid), acl_with_mode(0)));
        CHECK(check_administer(peer(uid), acl_with_mode(0)));
    }
    CHECK(check_describe(peer(stranger), acl_with_mode(0604)));
    CHECK_FALSE(check_describe(peer(stranger), acl_with_mode(0602)));
    CHECK_FALSE(check_administer(peer(stranger), acl_with_mode(0777)));
}

TEST_CASE("a System V call asks for the bits of all three classes at once, x included, and for none with none") {
    Acl acl{1000, 100, 1000, 100, 0640};
    Peer owner{1000, 100}, member{1001, 100}, other{1002, 102};
    CHECK(check_system_v(owner, acl, 0600));
    CHECK(check_system_v(owner, acl, 0060));
    CHECK_FALSE(check_system_v(owner, acl, 0100));
    CHECK(check_system_v(member, acl, 0444));
    CHECK_FALSE(check_system_v(member, acl, 0020));
    CHECK(check_system_v(other, acl, 0));
    CHECK_FALSE(check_system_v(other, acl, 0004));
    CHECK(check_system_v(Peer{0, 0}, acl, 0777));
    acl.entries = {{AclEntry::Kind::user, 1002, Access::read}};
    CHECK(check_system_v(other, acl, 0444));
    CHECK_FALSE(check_system_v(other, acl, 0222));
}
