#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shmd/sync.h>
#include <cerrno>

#include "exchange.hpp"
#include "libshmd.hpp"
#include "unique_fd.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/object";
constexpr std::int64_t patience_usec = 60'000'000;

void check_call(bool done, const char* what) {
    if (!done) test::fail(std::string(what) + ": " + std::strerror(errno));
}

std::span<const std::byte> bytes_of(const shmd_segment* segment) {
    return {static_cast<const std::byte*>(shmd_data(segment)), shmd_size(segment)};
}

// ---- shmd ----

class NewSegment : public Exchange {
  public:
    explicit NewSegment(std::string socket) : socket_(std::move(socket)) {}

    void connect_writer() override { client_ = connect_to(socket_); }
    void connect_reader() override { client_ = connect_to(socket_); }
    void put(std::span<const std::byte> data) override {
        LibSegment segment = create_segment(client_.get(), key, data.size());
        std::memcpy(shmd_data(segment.get()), data.data(), data.size());
    }
    std::uint64_t get() override {
        shmd_segment* segment = nullptr;
        check(shmd_open(client_.get(), key, SHMD_READ, &segment));
        LibSegment owner(segment);
        return sum_of(bytes_of(segment));
    }
    void remove() override { check(shmd_delete(client_.get(), key)); }

  private:
    std::string socket_;
    LibClient client_;
};

class KeptSegment : public Exchange {
  public:
    KeptSegment(std::string socket, std::size_t bytes) : socket_(std::move(socket)) {
        LibClient creator = connect_to(socket_);
        create_segment(creator.get(), kept_key, bytes);
    }

    void connect_writer() override { open(SHMD_WRITE); }
    void connect_reader() override { open(SHMD_READ); }
    void put(std::span<const std::byte> data) override {
        check(shmd_begin_write(segment_.get(), patience_usec));
        std::memcpy(shmd_data(segment_.get()), data.data(), data.size());
        check(shmd_end_write(segment_.get()));
    }
    std::uint64_t get() override {
        for (;;) {
            std::uint64_t sequence = 0;
            check(shmd_begin_read(segment_.get(), patience_usec, &sequence));
            std::uint64_t sum = sum_of(bytes_of(segment_.get()));
            if (shmd_end_read(segment_.get(), sequence) == 0) return sum;
        }
    }

  private:
    static constexpr const char* kept_key = "bench/kept-object";

    void open(shmd_access access) {
        client_ = connect_to(socket_);
        shmd_segment* segment = nullptr;
        check(shmd_open(client_.get(), kept_key, access, &segment));
        segment_.reset(segment);
    }

    std::string socket_;
    LibClient client_;
    LibSegment segment_;
};

// ---- the kernel ----

void write_new(int fd, std::span<const std::byte> data) {
    check_call(::ftruncate(fd, static_cast<off_t>(data.size())) == 0, "ftruncate");
    void* address = ::mmap(nullptr, data.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check_call(address != MAP_FAILED, "mmap");
    std::memcpy(address, data.data(), data.size());
    ::munmap(address, data.size());
}

std::uint64_t sum_of_file(UniqueFd fd) {
    struct stat status {};
    check_call(::fstat(fd.get(), &status) == 0, "fstat");
    auto bytes = static_cast<std::size_t>(status.st_size);
    void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
    check_call(address != MAP_FAILED, "mmap");
    fd.reset();
    std::uint64_t sum = sum_of({static_cast<const std::byte*>(address), bytes});
    ::munmap(address, bytes);
    return sum;
}

class PosixObject : public Exchange {
  public:
    ~PosixObject() override { ::shm_unlink(name_.c_str()); }  // where a put() is the last that was done

    void put(std::span<const std::byte> data) override {
        UniqueFd fd(::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
        check_call(bool(fd), "shm_open");
        write_new(fd.get(), data);
    }
    std::uint64_t get() override {
        UniqueFd fd(::shm_open(name_.c_str(), O_RDONLY, 0));
        check_call(bool(fd), "shm_open");
        return sum_of_file(std::move(fd));
    }
    void remove() override { check_call(::shm_unlink(name_.c_str()) == 0, "shm_unlink"); }

  private:
    std::string name_ = "/shmd-bench-object-" + std::to_string(::getpid());
};

class SystemVObject : public Exchange {
  public:
    ~SystemVObject() override {
        if (id_ >= 0) ::shmctl(id_, IPC_RMID, nullptr);
    }

    void put(std::span<const std::byte> data) override {
        id_ = ::shmget(key_, data.size(), IPC_CREAT | IPC_EXCL | 0600);
        check_call(id_ >= 0, "shmget");
        void* address = attach(id_, 0);
        std::memcpy(address, data.data(), data.size());
        ::shmdt(address);
    }
    std::uint64_t get() override {
        int id = ::shmget(key_, 0, 0);
        void* address = attach(id, SHM_RDONLY);
        shmid_ds status{};
        check_call(::shmctl(id, IPC_STAT, &status) == 0, "shmctl");
        std::uint64_t sum = sum_of({static_cast<const std::byte*>(address), status.shm_segsz});
        ::shmdt(address);
        return sum;
    }
    void remove() override {
        check_call(::shmctl(id_, IPC_RMID, nullptr) == 0, "shmctl");
        id_ = -1;
    }

  private:
    static void* attach(int id, int flags) {
        void* address = ::shmat(id, nullptr, flags);
        check_call(address != reinterpret_cast<void*>(-1), "shmat");
        return address;
    }

    key_t key_ = 0x5c000000 | (::getpid() & 0xffffff);
    int id_ = -1;
};

/// A byte and room for a descriptor. Not to be moved: it points into itself.
struct FdMessage {
    FdMessage() {
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = room;
        header.msg_controllen = sizeof room;
        cmsghdr* rights = control();
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
    }
    FdMessage(const FdMessage&) = delete;
    FdMessage& operator=(const FdMessage&) = delete;
    [[nodiscard]] cmsghdr* control() { return CMSG_FIRSTHDR(&header); }

    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
    msghdr header{};
};

class PassedMemfd : public Exchange {
  public:
    PassedMemfd() {
        int ends[2];
        check_call(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
        writer_ = UniqueFd(ends[0]);
        reader_ = UniqueFd(ends[1]);
    }

    void put(std::span<const std::byte> data) override {
        UniqueFd fd(::memfd_create("object", MFD_CLOEXEC));
        check_call(bool(fd), "memfd_create");
        write_new(fd.get(), data);
        FdMessage message;
        int number = fd.get();
        std::memcpy(CMSG_DATA(message.control()), &number, sizeof number);
        check_call(::sendmsg(writer_.get(), &message.header, MSG_NOSIGNAL) == 1, "sendmsg");
    }
    std::uint64_t get() override {
        FdMessage message;
        check_call(::recvmsg(reader_.get(), &message.header, MSG_CMSG_CLOEXEC) == 1, "recvmsg");
        int number = -1;
        std::memcpy(&number, CMSG_DATA(message.control()), sizeof number);
        return sum_of_file(UniqueFd(number));
    }

  private:
    UniqueFd writer_, reader_;
};

}  // namespace

std::unique_ptr<Exchange> exchange_by_new_segment(const std::string& socket) {
    return std::make_unique<NewSegment>(socket);
}

std::unique_ptr<Exchange> exchange_by_kept_segment(const std::string& socket, std::size_t bytes) {
    return std::make_unique<KeptSegment>(socket, bytes);
}

std::unique_ptr<Exchange> exchange_by_posix() {
    return std::make_unique<PosixObject>();
}

std::unique_ptr<Exchange> exchange_by_system_v() {
    return std::make_unique<SystemVObject>();
}

std::unique_ptr<Exchange> exchange_by_memfd() {
    return std::make_unique<PassedMemfd>();
}

}  // namespace shmd::bench
