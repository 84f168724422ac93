// shmdctl exec: a program with its System V calls served by shmd.
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "commands.hpp"
#include "failure.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* library_name = "libshmd-sysv.so";
// As env(1) and the shells have them.
constexpr auto cannot_run = static_cast<Exit>(126);
constexpr auto not_found = static_cast<Exit>(127);

// Beside this program: where both are installed to, or where both are built.
std::string find_library() {
    std::error_code ignored;
    fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    for (const char* directory : {SHMD_BIN_TO_LIB, "../sysv"}) {
        fs::path candidate = fs::weakly_canonical(here / directory / library_name, ignored);
        if (::access(candidate.c_str(), R_OK) == 0) return candidate;
    }
    throw Failure(Exit::refused, std::string(library_name) + " is not installed: it is in the package libshmd-sysv");
}

// As execvp(3) looks for it. Empty: nowhere.
std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* path = ::getenv("PATH");
    std::istringstream directories(path ? path : "/usr/local/bin:/usr/bin:/bin");
    for (std::string directory; std::getline(directories, directory, ':');) {
        std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
        struct stat status {};
        if (::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    return {};
}

// The program that a script names in its first line, or nothing.
std::optional<std::string> interpreter_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (file.get() != '#' || file.get() != '!' || !std::getline(file, line)) return std::nullopt;
    std::istringstream words(line);
    std::string interpreter;
    words >> interpreter;
    return interpreter;
}

// False only for an ELF program of this kind of machine that no loader starts.
bool is_dynamic(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    Elf64_Ehdr header{};
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return true;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment{};
        file.seekg(static_cast<std::streamoff>(header.e_phoff + std::uint64_t{i} * header.e_phentsize));
        file.read(reinterpret_cast<char*>(&segment), sizeof segment);
        if (file && segment.p_type == PT_INTERP) return true;
    }
    return false;
}

// The loader takes no library into a program that runs as another user than its caller.
bool changes_user(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return false;
    bool user = (status.st_mode & S_ISUID) != 0 && status.st_uid != ::getuid();
    bool group = (status.st_mode & S_ISGID) != 0 && status.st_gid != ::getgid();
    return user || group;
}

void refuse_what_cannot_be_served(const std::string& name, const std::string& path) {
    std::string program = interpreter_of(path).value_or(path);
    if (changes_user(path)) {
        throw Failure(cannot_run, named(name) + ": it is set-uid or set-gid, so its calls cannot be taken over");
    }
    if (!is_dynamic(program)) {
        throw Failure(cannot_run, named(name) + ": it is statically linked, so its calls cannot be taken over");
    }
}

void put_first(const char* variable, const std::string& value) {
    const char* rest = ::getenv(variable);
    ::setenv(variable, (rest && *rest ? value + ":" + rest : value).c_str(), 1);
}

}  // namespace

void exec(const Common& common, const ExecRequest& request) {
    const std::string& name = request.program.front();
    std::string library = find_library();
    std::string path = find_program(name);
    if (path.empty()) throw Failure(not_found, named(name) + ": no such program");
    refuse_what_cannot_be_served(name, path);
    if (!request.fallback) (void)connect(common);
    if (!common.socket.empty()) ::setenv("SHMD_SOCKET", fs::absolute(common.socket).c_str(), 1);
    if (request.fallback) ::setenv("SHMD_SYSV_FALLBACK", "kernel", 1);
    put_first("LD_PRELOAD", library);

    std::vector<char*> arguments;
    for (const std::string& argument : request.program) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execv(path.c_str(), arguments.data());
    int error = errno;
    // A script without a first line is the shell's, as with execvp(3).
    if (error == ENOEXEC) ::execvp(path.c_str(), arguments.data());
    throw Failure(error == ENOENT ? not_found : cannot_run, system_failure(named(name), error).what());
}

}  // namespace shmd::cli
