#include "listener.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "paths.hpp"

namespace shmd {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
    throw std::runtime_error(what + ": " + std::generic_category().message(error));
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::runtime_error("cannot listen on " + path + ": the path is longer than " +
                                 std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Dropping the last reference to a descriptor that a client sent can take as long as the client likes (SO_LINGER). From
// Linux 6.16 on they are refused to the sender; connections inherit this.
void refuse_descriptors(int socket) {
#ifndef SO_PASSRIGHTS
    constexpr int SO_PASSRIGHTS = 83;
#endif
    int off = 0;
    (void)::setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off);
}

UniqueFd stream_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) fail("cannot make a socket", errno);
    return fd;
}

// Held while a stale file is replaced, so that of two daemons that start at once one sees the other. Anybody who may
// read the directory can hold the lock for ever: after a while the check is made without it.
UniqueFd lock_directory_of(const std::string& path) {
    std::size_t slash = path.rfind('/');
    std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) fail("cannot listen on " + path + ": cannot open its directory", errno);
    constexpr int attempts = 100;
    constexpr timespec pause{0, 20'000'000};
    for (int i = 0; i < attempts && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0; i++) ::nanosleep(&pause, nullptr);
    return fd;
}

void remove_stale_socket(const std::string& path, const sockaddr_un& address) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return;
        fail("cannot listen on " + path, errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        throw std::runtime_error("cannot listen on " + path +
                                 ": a file that is not a socket is in the way; remove it, "
                                 "or choose another path with --socket or --control-socket");
    }
    UniqueFd probe = stream_socket();
    bool answers = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (answers || errno != ECONNREFUSED) {
        throw std::runtime_error("cannot listen on " + path +
                                 ": another daemon is running there; stop it, or choose "
                                 "another path with --socket and --control-socket");
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("cannot remove the stale socket " + path, errno);
}

std::optional<Endpoint> endpoint_named(std::string_view name) {
    if (name.ends_with("io.shmd.Segments")) return Endpoint::segments;
    if (name.ends_with("io.shmd.Control")) return Endpoint::control;
    return std::nullopt;
}

std::string path_of(int socket) {
    sockaddr_un address{};
    socklen_t length = sizeof address;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
    return std::string(address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path));
}

}  // namespace

Listener Listener::make(Endpoint endpoint, const std::string& path, mode_t mode, std::optional<gid_t> group) {
    sockaddr_un address = address_of(path);
    UniqueFd lock = lock_directory_of(path);
    remove_stale_socket(path, address);
    UniqueFd socket = stream_socket();
    refuse_descriptors(socket.get());
    // The file is made with its mode: there is no moment in which more is allowed.
    mode_t old_mask = ::umask(0777 & ~mode);
    int error = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
    ::umask(old_mask);
    if (error != 0) fail("cannot listen on " + path, error);

    Listener listener(endpoint, path, std::move(socket));
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) listener.file_ = File{status.st_dev, status.st_ino};
    if (group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
        fail("cannot give " + path + " to its group", errno);
    }
    if (::listen(listener.socket_.get(), SOMAXCONN) != 0) fail("cannot listen on " + path, errno);
    return listener;
}

Listener::Passed Listener::from_systemd() {
    char** names = nullptr;
    int count = ::sd_listen_fds_with_names(/*unset_environment=*/1, &names);
    if (count < 0) fail("cannot take the sockets from systemd", -count);
    Passed passed;
    for (int i = 0; i < count; i++) {
        UniqueFd fd(SD_LISTEN_FDS_START + i);
        std::string name = names && names[i] ? names[i] : "";
        if (auto slot = FdStore::slot_named(name)) {
            passed.stored.emplace(*slot, std::move(fd));
            continue;
        }
        std::string path = path_of(fd.get());
        auto endpoint = endpoint_named(name);
        if (!endpoint) endpoint = endpoint_named(path);
        if (!endpoint || ::sd_is_socket(fd.get(), AF_UNIX, SOCK_STREAM, 1) <= 0) {
            throw std::runtime_error("systemd passed '" + name + "' (" + path + "): neither io.shmd.Segments nor " +
                                     "io.shmd.Control; check FileDescriptorName= in the socket units");
        }
        refuse_descriptors(fd.get());
        ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
        passed.listeners.push_back(Listener(*endpoint, path, std::move(fd)));
    }
    for (int i = 0; i < count && names; i++) std::free(names[i]);
    std::free(names);
    return passed;
}

Listener::~Listener() {
    struct stat status {};
    if (!file_ || ::lstat(path_.c_str(), &status) != 0) return;
    if (status.st_dev == file_->device && status.st_ino == file_->inode) ::unlink(path_.c_str());
}

void prepare_user_directory(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) fail("cannot make " + directory, errno);
    if (!is_private_directory(directory)) {
        throw std::runtime_error("cannot use " + directory +
                                 ": it must be a directory of this user that no other may write; remove it, or set "
                                 "XDG_RUNTIME_DIR, or name a socket with --socket");
    }
}

}  // namespace shmd
