// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/directory_lock.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace io_directory_lock_test {

using namespace amct_distill;

TEST_CASE("a directory is one run's at a time, and nothing stays behind") {
    support::temporary_directory const dir;
    {
        auto const lock = DirectoryLock::take(dir.path());
        REQUIRE(lock);
        CHECK(lock.diagnostics().empty());
        auto const second = DirectoryLock::take(dir.path());
        REQUIRE_FALSE(second);
        CHECK(second.diagnostics()[0].message ==
              detail::concat("process ", getpid(), " (this one) works in ", dir.path().string(),
                             "; wait for its end, or use another directory"));
        CHECK(dir.files() == 1);
    }
    CHECK(dir.files() == 0);
    auto moved = DirectoryLock::take(dir.path()).value();
    DirectoryLock const owner = std::move(moved);
    CHECK_FALSE(DirectoryLock::take(dir.path()));
}

TEST_CASE("another process is named, and a killed one leaves no lock") {
    support::temporary_directory const dir;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t const child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto const lock = DirectoryLock::take(dir.path());
        char const said = lock ? 'y' : 'n';
        if (write(ends[1], &said, 1) != 1) _exit(1);
        for (;;) pause();
    }
    char said = 0;
    REQUIRE(read(ends[0], &said, 1) == 1);
    CHECK(said == 'y');
    auto const refused = DirectoryLock::take(dir.path());
    REQUIRE_FALSE(refused);
    CHECK(refused.diagnostics()[0].message.starts_with(
        detail::concat("process ", child, " works in ", dir.path().string(), ";")));
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    close(ends[0]);
    close(ends[1]);
    CHECK(dir.files() == 1);  // the file, which nobody holds
    CHECK(DirectoryLock::take(dir.path()));
    CHECK(dir.files() == 0);
}

TEST_CASE("a directory that does not exist is an error that names the file") {
    support::temporary_directory const dir;
    auto const lock = DirectoryLock::take(dir.path() / "none");
    REQUIRE_FALSE(lock);
    CHECK(lock.diagnostics()[0].message.find((dir.path() / "none" / "lock").string()) != std::string::npos);
}

TEST_CASE("a lock whose owner did not say who it is") {
    support::temporary_directory const dir;
    int const file = ::open((dir.path() / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    REQUIRE(file >= 0);
    REQUIRE(::flock(file, LOCK_EX | LOCK_NB) == 0);
    auto const refused = DirectoryLock::take(dir.path());
    REQUIRE_FALSE(refused);
    CHECK(refused.diagnostics()[0].message ==
          "another process works in " + dir.path().string() + "; wait for its end, or use another directory");
    ::close(file);
    CHECK(DirectoryLock::take(dir.path()));
}

TEST_CASE("a full disk leaves no lock file behind") {
    support::temporary_directory const dir;
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit const none{0, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
    auto const refused = DirectoryLock::take(dir.path());
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    REQUIRE_FALSE(refused);
    CHECK(refused.diagnostics()[0].message ==
          "cannot write " + (dir.path() / "lock").string() + ": File too large");
    CHECK(dir.files() == 0);
}

TEST_CASE("a lock that is assigned is held, and the one before it is let go of") {
    support::temporary_directory const one, two;
    {
        auto owner = DirectoryLock::take(one.path()).value();
        owner = DirectoryLock::take(two.path()).value();
        CHECK(one.files() == 0);
        CHECK(DirectoryLock::take(one.path()));
        CHECK_FALSE(DirectoryLock::take(two.path()));
    }
    CHECK(two.files() == 0);
}

TEST_CASE("a file that was removed, or replaced, is not the one that is at its name") {
    support::temporary_directory const dir;
    auto const path = dir.path() / "lock";
    int const file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    REQUIRE(file >= 0);
    CHECK(detail::is_still_at(path, file));
    std::filesystem::rename(path, dir.path() / "moved");
    CHECK_FALSE(detail::is_still_at(path, file));
    REQUIRE(write_file(path, "another one"));
    CHECK_FALSE(detail::is_still_at(path, file));
    CHECK_FALSE(detail::is_still_at("/dev/null", file));
    ::close(file);
    CHECK_FALSE(detail::is_still_at(path, file));
}

}  // namespace io_directory_lock_test
