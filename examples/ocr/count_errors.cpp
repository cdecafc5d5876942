// SPDX-License-Identifier: Apache-2.0
// count_errors KEYS TEXTS NAME=OUTPUTS.npy...: reads lines from a recognizer's outputs, and counts the
// characters that are wrong.
//
// KEYS has a character a line: class k of the outputs is line k, counted from 1; 0 is "nothing new", and the
// class after the last line a blank. TEXTS has what the lines say. OUTPUTS is [lines, steps, classes], as
// `amct-distill infer` writes it: the greatest class of each step, repetitions once (CTC).
#include <algorithm>
#include <amct_distill/core/concat.hpp>
#include <amct_distill/core/number.hpp>
#include <amct_distill/core/table.hpp>
#include <amct_distill/io/npy.hpp>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using amct_distill::detail::concat;
using Keys = std::vector<std::string>;

std::vector<std::string> lines_of(const char* path) {
    std::string const text = amct_distill::read_file(path).value();
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = (std::min)(text.find('\n', at), text.size());
        out.push_back(text.substr(at, end - at));
        if (out.back().ends_with('\r')) out.back().pop_back();
        at = end + 1;
    }
    return out;
}

/// What a line says: a class for each step.
std::string read_line(const float* steps, std::size_t count, std::size_t classes, const Keys& keys) {
    std::string out;
    std::size_t before = 0;
    for (std::size_t s = 0; s != count; ++s, steps += classes) {
        auto const best = static_cast<std::size_t>(std::max_element(steps, steps + classes) - steps);
        if (best != 0 && best != before) out += best <= keys.size() ? keys[best - 1] : " ";
        before = best;
    }
    std::size_t const first = out.find_first_not_of(' '), last = out.find_last_not_of(' ');
    return first == out.npos ? std::string() : out.substr(first, last + 1 - first);
}

/// Insertions, deletions and replacements (Levenshtein) that make one text of the other, in bytes: what is
/// drawn here is ASCII.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i != a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j != b.size(); ++j) {
            std::size_t const replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = (std::min)({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row[b.size()];
}

std::string percent(std::size_t part, std::size_t whole) {
    double const share = whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
    return concat(amct_distill::number(share, std::chars_format::fixed, 2), " %");
}

void run(const char* keys_file, const char* texts_file, char** begin, char** end) {
    Keys const keys = lines_of(keys_file);
    std::vector<std::string> const texts = lines_of(texts_file);
    amct_distill::Table table(
        {{"network"}, {"characters wrong"}, {"of"}, {"lines right"}, {"one that is not"}});
    for (; begin != end; ++begin) {
        std::string_view const argument = *begin;
        std::size_t const equals = argument.find('=');
        if (equals == argument.npos)
            throw std::invalid_argument(concat("expected NAME=OUTPUTS.npy, found `", argument, "`"));
        std::string const file(argument.substr(equals + 1));
        auto const read = amct_distill::read_npy_array(file);
        const amct_distill::NpyArray& outputs = read.value();
        if (outputs.shape.size() != 3 || static_cast<std::size_t>(outputs.shape[0]) != texts.size() ||
            static_cast<std::size_t>(outputs.shape[2]) != keys.size() + 2)
            throw std::invalid_argument(concat(file, ": expected [", texts.size(), ", steps, ",
                                               keys.size() + 2, "], found ",
                                               amct_distill::detail::npy_shape(outputs.shape)));
        auto const steps = static_cast<std::size_t>(outputs.shape[1]),
                   classes = static_cast<std::size_t>(outputs.shape[2]);
        std::size_t wrong = 0, characters = 0, right = 0;
        std::string example;
        for (std::size_t n = 0; n != texts.size(); ++n) {
            std::string const found =
                read_line(outputs.values.data() + n * steps * classes, steps, classes, keys);
            std::size_t const errors = distance(found, texts[n]);
            wrong += errors;
            characters += texts[n].size();
            right += errors == 0 ? 1 : 0;
            if (errors != 0 && example.empty()) example = concat(texts[n], " > ", found);
        }
        table.add({std::string(argument.substr(0, equals)),
                   concat(wrong, " (", percent(wrong, characters), ")"), amct_distill::number(characters),
                   concat(right, " of ", texts.size()), example});
    }
    std::fputs(table.text(120).c_str(), stdout);
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 4) {
        std::fprintf(stderr, "count_errors KEYS TEXTS NAME=OUTPUTS.npy...\n");
        return 2;
    }
    run(argv[1], argv[2], argv + 3, argv + argc);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
}
