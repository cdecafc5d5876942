// SPDX-License-Identifier: Apache-2.0
/// Tables and a progress line for a terminal, or for a log.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace terminal {

using Row = std::vector<std::string>;

/// Prints columns as wide as their widest cell, two blanks between them; the first row is the heading.
void print_table(const std::vector<Row>& rows);
void print_heading(std::string_view text);

/// "1.25e-03": three digits, for losses.
std::string number(double x);
/// "98.49 %"
std::string percent(double part);

/// A bar that redraws on a terminal; elsewhere a line per task, without the detail.
class Progress {
public:
    void show(std::string_view task, std::string_view detail, double part);
    void finish();

private:
    std::string last_{};
};

}  // namespace terminal
