// SPDX-License-Identifier: Apache-2.0
/// What a function says that may spend or limit what a whole process has: it runs in a child of its own.
///
///     std::string const said = child_process::run([&] { limit_files(2000); return work(); });
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "support/catch.hpp"

namespace child_process {

/// The text that `f` returns; the child must end well.
template <class F>
std::string run(const F& f) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    std::fflush(nullptr);
    pid_t const child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::string const said = f();
        _exit(write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
    }
    close(ends[1]);
    std::string said;
    char some[4096];
    for (ssize_t n = 0; (n = read(ends[0], some, sizeof some)) > 0;)
        said.append(some, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    return said;
}

}  // namespace child_process
