// SPDX-License-Identifier: Apache-2.0
// in_terminal WIDTH COMMAND...: runs the command in a pseudo-terminal of WIDTH columns, and shows what the
// terminal then shows: a line that is drawn again and again appears as it was last. Fails when the command
// does, with its exit code, and with 3 when a character is put into a column that the terminal does not have:
// a real one would begin another line there.
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <amct_distill/core/utf8.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

int main(int argc, char** argv) {
    int const width = argc < 3 ? 0 : std::atoi(argv[1]);
    if (width < 1 || width > 1000) return std::fprintf(stderr, "usage: in_terminal WIDTH COMMAND...\n"), 2;
    winsize size{};
    size.ws_col = static_cast<unsigned short>(width);
    size.ws_row = 50;
    int terminal = -1;
    pid_t const child = forkpty(&terminal, nullptr, nullptr, &size);
    if (child < 0) return std::perror("forkpty"), 2;
    if (child == 0) {
        unsetenv("COLUMNS");
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<std::size_t>(n));
    int status = 0;
    waitpid(child, &status, 0);

    int too_long = 0, drawn = 0;
    for (std::size_t at = 0; at < all.size();) {
        std::size_t const end = all.find('\n', at);
        std::string_view line = std::string_view(all).substr(at, end == all.npos ? end : end - at);
        std::string_view shown;
        while (!line.empty()) {  // what stands between two carriage returns
            std::size_t const next = line.find('\r');
            std::string_view const part = line.substr(0, next);
            if (amct_distill::detail::columns(part) > static_cast<std::size_t>(width)) {
                std::fprintf(stderr, "wider than %d columns: %.*s\n", width, static_cast<int>(part.size()),
                             part.data());
                ++too_long;
            }
            if (!part.empty()) shown = part, ++drawn;
            line.remove_prefix(next == line.npos ? line.size() : next + 1);
        }
        std::printf("%.*s\n", static_cast<int>(shown.size()), shown.data());
        if (end == all.npos) break;
        at = end + 1;
    }
    std::printf("lines drawn: %d\n", drawn);
    if (!WIFEXITED(status)) return 1;
    int const code = WEXITSTATUS(status);
    return code == 0 && too_long != 0 ? 3 : code;
}
