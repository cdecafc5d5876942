// SPDX-License-Identifier: Apache-2.0
// measure COMMAND...: runs it and prints the seconds of processor time and the megabytes of memory that it
// took. Processor time, since other work on the machine adds little to it.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
    if (argc < 2) return std::fprintf(stderr, "usage: measure COMMAND...\n"), 2;
    pid_t const child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    int status = 0;
    rusage used{};
    if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) return 1;
    auto const seconds = [](timeval t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    std::printf("%.2f %ld\n", seconds(used.ru_utime) + seconds(used.ru_stime),
                used.ru_maxrss * 1024 / 1000000);
}
