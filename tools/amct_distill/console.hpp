// SPDX-License-Identifier: Apache-2.0
/// What the program says while it works: sentences and tables, a bar on a terminal, lines in a log, or a JSON
/// object a line.
///
///     Console console(options);              // --quiet, --log json
///     console.log_to("out/log.txt");
///     console.say("Calibrating on 2 batches ...");
///     console.table("The plan", to_table(plan, console.width()));
///     console.progress("block 1 of 4", "epoch 3 of 5, loss 1.25e-03", 0.55);
#pragma once
#include <unistd.h>

#include <amct_distill/core/number.hpp>
#include <amct_distill/core/wrap.hpp>
#include <amct_distill/io/file.hpp>
#include <amct_distill/io/terminal.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "program.hpp"
#include "ranks.hpp"

namespace tool {

using namespace std::string_view_literals;

/// In quotes, as JSON has it.
inline std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (static_cast<unsigned char>(c) < 0x20) {
            constexpr char digits[] = "0123456789abcdef";
            out += "\\u00";
            out += digits[static_cast<unsigned char>(c) >> 4];
            out += digits[static_cast<unsigned char>(c) & 15];
        } else {
            out += c;
        }
    }
    return out += '"';
}

/// "12 s", "3 min 20 s", "2 h 5 min".
inline std::string duration_text(double seconds) {
    using amct_distill::detail::concat;
    auto const s = static_cast<long long>(seconds + 0.5);
    if (s < 60) return concat(s, " s");
    if (s < 3600) return concat(s / 60, " min ", s % 60, " s");
    return concat(s / 3600, " h ", s / 60 % 60, " min");
}

class Console {
public:
    explicit Console(const Options& options)
        : quiet_(options.quiet),
          json_(options.log == "json"),
          warns_(is_first(options)),
          begin_(Clock::now()) {}
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;
    ~Console() { finish(); }

    std::size_t width() const { return amct_distill::terminal_width(); }
    double seconds() const { return since(begin_); }
    /// Everything that is said is written there too, in 100 columns. Error: it cannot be written.
    amct_distill::result<void> log_to(const std::filesystem::path& path) {
        log_.reset(std::fopen(path.c_str(), "ab"));
        if (!log_) return amct_distill::detail::file_error("write", path, errno);
        return {};
    }
    void close_log() { log_.reset(); }

    void say(std::string_view sentence) {
        if (json_)
            event("message", {{"text", json_text(sentence)}});
        else
            print(amct_distill::wrapped(sentence, width(), 0));
        log(amct_distill::wrapped(sentence, amct_distill::default_text_width, 0));
    }
    void line() {
        if (!json_) print("\n");
    }
    /// A heading, and a text that is laid out already.
    void table(std::string_view heading, std::string_view text) {
        if (json_) {
            event("table", {{"heading", json_text(heading)}, {"text", json_text(text)}});
        } else {
            print("\n");
            if (!heading.empty()) print(amct_distill::wrapped(heading, width(), 0));
            print(text);
        }
        log("\n");
        if (!heading.empty()) log(amct_distill::wrapped(heading, amct_distill::default_text_width, 0));
        log(text);
    }
    /// On standard error, also when the program is quiet.
    void warn(std::string_view text) {
        finish();
        if (!warns_) return;  // the first rank says the same
        if (json_)
            event("warning", {{"text", json_text(text)}});
        else
            std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
        log(text);
        log("\n");
    }
    void warn(const amct_distill::Diagnostics& warnings) {
        for (const auto& d : warnings) warn(amct_distill::to_string(d));
    }

    /// `part` of the whole work is done, 0 to 1.
    void progress(std::string_view task, std::string_view state, double part) {
        auto const now = Clock::now();
        if (last_part_ < 0 || part < last_part_) started_ = now, first_part_ = part;
        last_part_ = part;
        double const spent = since(started_), done = part - first_part_;
        std::string left;
        if (done > 0 && spent > 1) left = ", " + duration_text(spent * (1 - part) / done) + " left";
        bool const next_line = since(last_line_) >= 5 || task != task_;
        std::string const text(amct_distill::detail::concat(task, ", ", state, left));
        if (next_line) {
            last_line_ = now;
            task_ = task;
            log(amct_distill::detail::concat("  ", text, "\n"));
        }
        if (quiet_ || json_) {
            if (json_ && next_line)
                event("progress", {{"task", json_text(task)},
                                   {"state", json_text(state)},
                                   {"part", amct_distill::number(part)}});
        } else if (::isatty(STDOUT_FILENO) != 0) {
            if (since(last_draw_) < 0.05 && !next_line) return;  // a terminal is slow
            last_draw_ = now;
            bar_.show(task, amct_distill::detail::concat(state, left), part);
        } else if (next_line) {
            print(amct_distill::detail::concat("  ", text, "\n"));
        }
    }
    /// Clears the bar.
    void finish() {
        bar_.finish();
        last_part_ = -1;
        task_.clear();
    }

    /// A JSON object on a line of its own; values are JSON.
    void event(std::string_view name,
               std::initializer_list<std::pair<std::string_view, std::string>> members = {}) {
        if (!json_) return;
        std::string out = amct_distill::detail::concat("{\"event\": ", json_text(name),
                                                       ", \"seconds\": ", amct_distill::number(seconds()));
        for (auto const& [key, value] : members)
            amct_distill::detail::append(out,
                                         amct_distill::detail::concat(", ", json_text(key), ": ", value));
        out += "}\n";
        std::fwrite(out.data(), 1, out.size(), stdout);
        std::fflush(stdout);
    }

private:
    using Clock = std::chrono::steady_clock;
    static double since(Clock::time_point t) {
        return std::chrono::duration<double>(Clock::now() - t).count();
    }
    void print(std::string_view text) {
        if (quiet_) return;
        bar_.finish();
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
    }
    void log(std::string_view text) {
        if (!log_) return;
        std::fwrite(text.data(), 1, text.size(), log_.get());
        std::fflush(log_.get());
    }

    bool quiet_, json_, warns_;
    Clock::time_point begin_, started_{}, last_line_{}, last_draw_{};
    double last_part_ = -1, first_part_ = 0;
    std::string task_{};
    amct_distill::detail::file_handle log_{};
    amct_distill::ProgressLine bar_{};
};

/// The value, after its warnings; throws what is wrong with it.
template <class T>
T checked(amct_distill::result<T> r, Console& console) {
    if (r) console.warn(r.diagnostics());
    return std::move(r).value();
}
inline void checked(const amct_distill::result<void>& r, Console& console) {
    r.value();
    console.warn(r.diagnostics());
}

}  // namespace tool
