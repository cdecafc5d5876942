// SPDX-License-Identifier: Apache-2.0
/// The terminal that a program writes to, and a line on it that is drawn again and again.
///
///     std::cout << to_table(report, terminal_width());
///     ProgressLine line;
///     line.show("block 1 of 4", "epoch 3 of 5, loss 1.25e-03", 0.55);
///     //   [################..............] block 1 of 4, epoch 3 of 5, loss 1.25e-03
///     line.finish();
#pragma once
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

#include "../core/concat.hpp"
#include "../core/table.hpp"
#include "../core/utf8.hpp"

namespace amct_distill {

/// The columns of standard output: as the variable COLUMNS has it, else as the terminal says, else 100.
inline std::size_t terminal_width() {
    if (const char* set = std::getenv("COLUMNS")) {
        std::string_view const text = set;
        std::size_t n = 0;
        auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (error == std::errc{} && end == text.data() + text.size() && n > 0) return n;
    }
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) return size.ws_col;
    return default_text_width;
}

/// On a terminal a bar and a text in one line, which never reaches the last column, since some terminals then
/// begin another. Elsewhere a line per task, without the state. Standard output.
class ProgressLine {
public:
    /// `part`: how much of the task is done, 0 to 1.
    void show(std::string_view task, std::string_view state, double part) {
        bool const next = task != task_;
        task_ = task;
        if (isatty(STDOUT_FILENO) == 0) {
            if (next) std::printf("  %s\n", task_.c_str());
            return;
        }
        std::size_t const width = (std::max)(terminal_width(), std::size_t{10}) - 1;
        std::string text = detail::concat(task, ", ", state);
        std::size_t const bar = (std::min)(std::size_t{30}, width / 3);
        if (detail::columns(text) + bar + 5 > width) text = task;
        std::string line;
        if (detail::columns(text) + bar + 5 <= width) {
            auto const filled =
                static_cast<std::size_t>(std::lround(static_cast<double>(bar) * std::clamp(part, 0.0, 1.0)));
            line = detail::concat("  [", std::string(filled, '#'), std::string(bar - filled, '.'), "] ");
        }
        draw(detail::shortened(line + text, width));
    }
    /// Clears the line.
    void finish() {
        if (drawn_ != 0) draw("");
        task_.clear();
    }

private:
    void draw(const std::string& line) {
        std::size_t const taken = detail::columns(line);
        std::printf("\r%s%s%s", line.c_str(), std::string(drawn_ > taken ? drawn_ - taken : 0, ' ').c_str(),
                    line.empty() ? "\r" : "");
        std::fflush(stdout);
        drawn_ = taken;
    }

    std::string task_{};
    std::size_t drawn_ = 0;  ///< columns that the line takes
};

}  // namespace amct_distill
