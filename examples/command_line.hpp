// SPDX-License-Identifier: Apache-2.0
/// The options of an example's command line.
///
///     parse_command_line(argc, argv, usage, {{"--config", &text}, {"--epochs", &number}, {"--verify", &flag}});
#pragma once
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

/// Exits with 2 on anything that is not understood, with 0 after --help. Numbers are whole and not negative.
inline void parse_command_line(
    int argc, char** argv, const char* usage,
    const std::map<std::string_view, std::variant<std::string*, int*, bool*>>& known) {
    auto const fail = [&](std::string_view what, std::string_view why, std::string_view value = "") {
        std::fprintf(stderr, "%s: %.*s%.*s%.*s\n\n%s", std::string(argv[0]).c_str(), int(what.size()),
                     what.data(), int(why.size()), why.data(), int(value.size()), value.data(), usage);
        std::exit(2);
    };
    for (int i = 1; i < argc; ++i) {
        std::string_view const name = argv[i];
        if (name == "--help" || name == "-h") std::exit(std::fputs(usage, stdout) < 0);
        auto const found = known.find(name);
        if (found == known.end()) return fail("unknown option: ", name);
        if (auto const* flag = std::get_if<bool*>(&found->second)) {
            **flag = true;
            continue;
        }
        if (++i == argc) return fail(name, " needs a value");
        std::string_view const value = argv[i];
        if (auto const* text = std::get_if<std::string*>(&found->second)) {
            **text = value;
            continue;
        }
        int& number = *std::get<int*>(found->second);
        auto const [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc{} || end != value.data() + value.size() || number < 0)
            return fail(name, " needs a whole number; found ", value);
    }
}
