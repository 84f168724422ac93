// Redis and memcached, through the C libraries that their projects name first. What is not there when this is built is
// said to be missing.
#include <unistd.h>

#include <cstdlib>

#include "bench_server.hpp"
#include "exchange.hpp"

#ifdef SHMD_BENCH_HIREDIS
#include <hiredis/hiredis.h>
#endif
#ifdef SHMD_BENCH_LIBMEMCACHED
#include <libmemcached/memcached.h>
#endif

namespace shmd::bench {
namespace {

[[maybe_unused]] constexpr std::string_view object_key = "bench/object";

#ifdef SHMD_BENCH_HIREDIS

struct EndRedis {
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

class Redis : public Exchange {
  public:
    void connect_writer() override { connect(); }
    void connect_reader() override { connect(); }
    void put(std::span<const std::byte> data) override {
        Reply reply = ask({"SET", object_key, {reinterpret_cast<const char*>(data.data()), data.size()}});
        if (reply->type != REDIS_REPLY_STATUS) test::fail(std::string("SET: ") + reply->str);
    }
    std::uint64_t get() override {
        Reply reply = ask({"GET", object_key});
        if (reply->type != REDIS_REPLY_STRING) test::fail("GET gives no string");
        return sum_of({reinterpret_cast<const std::byte*>(reply->str), reply->len});
    }
    [[nodiscard]] std::vector<pid_t> servers() const override { return server_.threads(); }

  private:
    using Reply = std::unique_ptr<redisReply, EndRedis>;

    void connect() {
        context_.reset(redisConnectUnix(server_.socket().c_str()));
        if (!context_ || context_->err != 0) test::fail("cannot connect to Redis");
    }
    Reply ask(std::vector<std::string_view> words) {
        std::vector<const char*> starts;
        std::vector<std::size_t> lengths;
        for (std::string_view word : words) {
            starts.push_back(word.data());
            lengths.push_back(word.size());
        }
        auto count = static_cast<int>(words.size());
        Reply reply(static_cast<redisReply*>(redisCommandArgv(context_.get(), count, starts.data(), lengths.data())));
        if (!reply) test::fail(std::string("Redis: ") + context_->errstr);
        return reply;
    }

    BenchServer server_{[](const std::string& socket) {
        // Nothing on a disk, nothing on the network.
        return std::vector<std::string>{"redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                                        "--appendonly", "no"};
    }};
    std::unique_ptr<redisContext, EndRedis> context_;
};

#endif
#ifdef SHMD_BENCH_LIBMEMCACHED

struct EndMemcached {
    void operator()(memcached_st* client) const { memcached_free(client); }
    void operator()(char* value) const { std::free(value); }
};

class Memcached : public Exchange {
  public:
    void connect_writer() override { connect(); }
    void connect_reader() override { connect(); }
    void put(std::span<const std::byte> data) override {
        check(memcached_set(client_.get(), object_key.data(), object_key.size(),
                            reinterpret_cast<const char*>(data.data()), data.size(), 0, 0),
              "set");
    }
    std::uint64_t get() override {
        std::size_t bytes = 0;
        std::uint32_t flags = 0;
        memcached_return_t result = MEMCACHED_SUCCESS;
        std::unique_ptr<char, EndMemcached> value(
            memcached_get(client_.get(), object_key.data(), object_key.size(), &bytes, &flags, &result));
        check(result, "get");
        return sum_of({reinterpret_cast<const std::byte*>(value.get()), bytes});
    }
    [[nodiscard]] std::vector<pid_t> servers() const override { return server_.threads(); }

  private:
    void connect() {
        client_.reset(memcached_create(nullptr));
        check(memcached_server_add_unix_socket(client_.get(), server_.socket().c_str()), "connection");
    }
    void check(memcached_return_t result, const char* what) const {
        if (result == MEMCACHED_SUCCESS) return;
        test::fail(std::string("memcached, ") + what + ": " + memcached_strerror(client_.get(), result));
    }

    BenchServer server_{[](const std::string& socket) {
        // One worker, as there is one client at a time; memory for the largest object, old and new.
        std::vector<std::string> arguments{"memcached", "-s", socket, "-t", "1", "-I", "128m", "-m", "1024"};
        if (::geteuid() == 0) arguments.insert(arguments.end(), {"-u", "root"});
        return arguments;
    }};
    std::unique_ptr<memcached_st, EndMemcached> client_;
};

#endif

template <typename Made>
[[maybe_unused]] ServedExchange with_program(const std::string& program) {
    if (!has_program(program)) return {nullptr, program + " is not installed"};
    return {std::make_unique<Made>(), ""};
}

}  // namespace

ServedExchange exchange_by_redis() {
#ifdef SHMD_BENCH_HIREDIS
    return with_program<Redis>("redis-server");
#else
    return {nullptr, "libhiredis-dev was not installed when this was built"};
#endif
}

ServedExchange exchange_by_memcached() {
#ifdef SHMD_BENCH_LIBMEMCACHED
    return with_program<Memcached>("memcached");
#else
    return {nullptr, "libmemcached-dev was not installed when this was built"};
#endif
}

}  // namespace shmd::bench
