#include "log.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "journald.hpp"

namespace {

// What is written to standard error while this lives.
class StandardError {
  public:
    StandardError() : file_(::memfd_create("stderr", MFD_CLOEXEC)), saved_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) {
        ::dup2(file_, STDERR_FILENO);
    }
    ~StandardError() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        ::close(file_);
    }
    [[nodiscard]] std::string text() const {
        std::string text(4096, '\0');
        ssize_t length = ::pread(file_, text.data(), text.size(), 0);
        text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
        return text;
    }

  private:
    int file_;
    int saved_;
};

void set_journal_stream(const std::string& value) {
    ::setenv("JOURNAL_STREAM", value.c_str(), 1);
}

}  // namespace

TEST_CASE("a line on standard error begins with time and level, and says whom it is about") {
    ::unsetenv("JOURNAL_STREAM");
    shmd::open_log();
    shmd::set_log_level("info");
    StandardError error;
    shmd::log(shmd::LogLevel::warning, "connection closed", {.uid = 1000, .pid = 42, .key = "k"});
    std::string text = error.text();
    CHECK(text.ends_with(" warning uid 1000 pid 42: connection closed\n"));
    CHECK(text.starts_with("20"));
}

TEST_CASE("a line about nobody is the text alone") {
    StandardError error;
    shmd::log(shmd::LogLevel::notice, "ready");
    CHECK(error.text().ends_with(" info ready\n"));
}

TEST_CASE("a text that a client had a say in cannot begin a line of its own") {
    StandardError error;
    shmd::log(shmd::LogLevel::error, "refused: a\nb\x1b[31m\x7f");
    CHECK(error.text().ends_with(" refused: a?b?[31m?\n"));
}

TEST_CASE("a level below the one that is set is not shown") {
    StandardError error;
    shmd::set_log_level("warning");
    CHECK_FALSE(shmd::logs(shmd::LogLevel::notice));
    CHECK(shmd::logs(shmd::LogLevel::warning));
    shmd::log(shmd::LogLevel::notice, "nobody sees this");
    CHECK(error.text().empty());
    shmd::set_log_level("off");
    CHECK_FALSE(shmd::logs(shmd::LogLevel::critical));
    shmd::set_log_level("info");
}

TEST_CASE("standard error is the journal only when systemd says so of this very file") {
    struct stat status {};
    REQUIRE(::fstat(STDERR_FILENO, &status) == 0);
    std::string here = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
    set_journal_stream(here);
    CHECK(shmd::stderr_is_journal());
    {
        StandardError another;
        CHECK_FALSE(shmd::stderr_is_journal());
    }
    const std::string wrongs[] = {"", ":", here + "x", "x" + here, here + ":1", std::to_string(status.st_dev), "-" + here,
                                  "99999999999999999999999:1"};
    for (const std::string& wrong : wrongs) {
        CAPTURE(wrong);
        set_journal_stream(wrong);
        CHECK_FALSE(shmd::stderr_is_journal());
    }
    ::unsetenv("JOURNAL_STREAM");
    CHECK_FALSE(shmd::stderr_is_journal());
}
