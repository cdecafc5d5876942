// SPDX-License-Identifier: Apache-2.0
#include "terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>

namespace terminal {

void print_heading(std::string_view text) {
    std::printf("\n%.*s\n", static_cast<int>(text.size()), text.data());
}

void print_table(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (const Row& row : rows) {
        widths.resize((std::max)(widths.size(), row.size()));
        for (std::size_t k = 0; k != row.size(); ++k) widths[k] = (std::max)(widths[k], row[k].size());
    }
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t k = 0; k != row.size(); ++k) {
            line += "  ";
            line += row[k];
            line.append(widths[k] - row[k].size(), ' ');
        }
        line.resize(line.find_last_not_of(' ') + 1);
        std::printf("%s\n", line.c_str());
    }
}

std::string number(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2e", x);
    return text;
}
std::string percent(double part) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f %%", 100 * part);
    return text;
}

void Progress::show(std::string_view task, std::string_view detail, double part) {
    bool const next = task != last_;
    last_ = task;
    if (isatty(STDOUT_FILENO) == 0) {
        if (next) std::printf("  %s\n", last_.c_str());
        return;
    }
    constexpr int width = 30;
    int const filled = static_cast<int>(std::lround(width * part));
    std::string bar(static_cast<std::size_t>(filled), '#');
    bar.append(static_cast<std::size_t>(width - filled), '.');
    std::printf("\r  [%s] %s, %-40.*s", bar.c_str(), last_.c_str(), static_cast<int>(detail.size()),
                detail.data());
    std::fflush(stdout);
}
void Progress::finish() {
    if (isatty(STDOUT_FILENO) != 0 && !last_.empty()) std::printf("\r%96s\r", "");
    last_.clear();
}

}  // namespace terminal
