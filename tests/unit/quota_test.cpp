#include "quota.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace shmd;

namespace {

constexpr std::uint32_t daemon_uid = 50, alice = 1000, bob = 1001;

Limits limits(std::int64_t total, std::int64_t per_uid) {
    Limits all;
    all.total.fill(total);
    all.per_uid.fill(per_uid);
    return all;
}

}  // namespace

TEST_CASE("a charge is on the account until it is destroyed") {
    Quota quota(limits(100, 10), daemon_uid);
    {
        auto charge = quota.charge(alice, Resource::bytes, 7);
        REQUIRE(charge);
        CHECK(quota.total(Resource::bytes) == 7);
        REQUIRE(quota.usage().size() == 1);
        CHECK(quota.usage()[0] == (Usage{alice, 0, 7, 0, 0, 10, 10, 10, 10}));
    }
    CHECK(quota.total(Resource::bytes) == 0);
    CHECK(quota.usage().empty());
}

TEST_CASE("a charge that is moved is given back once") {
    Quota quota(limits(100, 10), daemon_uid);
    Charge kept;
    {
        auto charge = quota.charge(alice, Resource::segments, 1);
        kept = std::move(charge).value();
    }
    CHECK(quota.total(Resource::segments) == 1);
    Charge last = std::move(kept);
    kept.release();
    CHECK(quota.total(Resource::segments) == 1);
    last = Charge();
    CHECK(quota.total(Resource::segments) == 0);
}

TEST_CASE("a user's limit holds for that user and names the resource and the limit") {
    Quota quota(limits(100, 10), daemon_uid);
    auto most = quota.charge(alice, Resource::bytes, 10);
    REQUIRE(most);
    auto more = quota.charge(alice, Resource::bytes, 1);
    REQUIRE_FALSE(more);
    CHECK(more.error() == Error::quota_exceeded("bytes", 10));
    CHECK(quota.charge(bob, Resource::bytes, 10));
    CHECK(quota.charge(alice, Resource::segments, 10));
}

TEST_CASE("root and the daemon's own user are held to the totals alone") {
    for (std::uint32_t uid : {0u, daemon_uid}) {
        Quota quota(limits(100, 10), daemon_uid);
        auto charge = quota.charge(uid, Resource::attachments, 100);
        REQUIRE(charge);
        auto more = quota.charge(uid, Resource::attachments, 1);
        REQUIRE_FALSE(more);
        CHECK(more.error() == Error::quota_exceeded("attachments", 100));
    }
}

TEST_CASE("a refused charge leaves no account behind") {
    Quota quota(limits(100, 10), daemon_uid);
    CHECK_FALSE(quota.charge(alice, Resource::bytes, 11));
    CHECK_FALSE(quota.charge(alice, Resource::bytes, std::numeric_limits<std::int64_t>::max()));
    CHECK(quota.usage().empty());
    CHECK(quota.total(Resource::bytes) == 0);
}

TEST_CASE("what is taken without a limit counts all the same") {
    Quota quota(limits(1, 1), daemon_uid);
    Charge first = quota.take(alice, Resource::connections, 1);
    Charge second = quota.take(alice, Resource::connections, 1);
    CHECK(quota.total(Resource::connections) == 2);
    CHECK_FALSE(quota.charge(bob, Resource::connections, 1));
    first.release();
    second.release();
    CHECK(quota.usage().empty());
}

TEST_CASE("usage is in the order of uids") {
    Quota quota(limits(100, 10), daemon_uid);
    std::vector<Charge> charges;
    for (std::uint32_t uid : {7u, 3u, 5u}) charges.push_back(quota.charge(uid, Resource::connections, 1).value());
    auto usage = quota.usage();
    REQUIRE(usage.size() == 3);
    CHECK(usage[0].uid == 3);
    CHECK(usage[2].uid == 7);
}
