// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/directory_lock.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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

}  // namespace io_directory_lock_test
