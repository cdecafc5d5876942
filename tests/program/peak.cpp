// SPDX-License-Identifier: Apache-2.0
// peak FILE COMMAND...: runs the command, and writes to the file how much memory it had at most, in KiB. Exit
// code: the command's own.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
    if (argc < 3) return std::fputs("usage: peak FILE COMMAND...\n", stderr), 2;
    pid_t const child = fork();
    if (child < 0) return std::perror("fork"), 2;
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status = 0;
    rusage used{};
    if (wait4(child, &status, 0, &used) != child) return std::perror("wait4"), 2;
    std::FILE* const file = std::fopen(argv[1], "w");
    if (file == nullptr) return std::perror(argv[1]), 2;
    std::fprintf(file, "%ld", used.ru_maxrss);
    if (std::fclose(file) != 0) return std::perror(argv[1]), 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
