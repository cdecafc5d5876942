// SPDX-License-Identifier: Apache-2.0
// The walker of constant evaluation takes what X3 takes: random strings, for every token rule.
//
//     conformance_grammar [COUNT]
#include <amct_distill/text/grammar.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

namespace grammar = amct_distill::grammar;

namespace {

/// The strings on which the two disagree, of `count`.
template <class Rule>
std::size_t disagreements(std::string_view name, const Rule& rule, std::size_t count) {
    std::mt19937 random(7);
    std::string_view const alphabet = "01789aAfFxX.eE+-_\"'\\ \n#:{}z\xff\t\v\f";
    std::size_t wrong = 0, taken = 0;
    for (std::size_t i = 0; i != count; ++i) {
        std::string s(random() % 12, ' ');
        for (char& c : s) c = alphabet[random() % alphabet.size()];
        // Strings and numbers are rare among random characters.
        if (i % 4 == 1) s.insert(0, 1, "\"'"[i / 4 % 2]).append(1, "\"'"[i / 4 % 2]);
        if (i % 4 == 2) s.insert(0, 1, static_cast<char>('0' + random() % 10));
        const char *by_x3 = s.data(), *by_walker = by_x3, *const end = by_x3 + s.size();
        bool const x3 = grammar::x3::parse(by_x3, end, rule), walker = grammar::walk(rule, by_walker, end);
        wrong += x3 != walker || by_x3 != by_walker;
        taken += x3 && by_x3 != s.data();
    }
    std::printf("conformance: %zu strings, %zu taken by `%.*s`, %zu disagreements of walker and X3\n", count,
                taken, static_cast<int>(name.size()), name.data(), wrong);
    return wrong + (taken == 0);
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t const count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 60000;
    std::size_t wrong = 0;
    wrong += disagreements("skipped", grammar::skipped, count);
    wrong += disagreements("identifier", grammar::identifier, count);
    wrong += disagreements("whole", grammar::whole, count);
    wrong += disagreements("octal", grammar::octal, count);
    wrong += disagreements("hex", grammar::hex, count);
    wrong += disagreements("decimal", grammar::decimal, count);
    wrong += disagreements("number", grammar::number, count);
    wrong += disagreements("quoted", grammar::quoted, count);
    wrong += disagreements("word", grammar::word, count);
    return wrong == 0 ? 0 : 1;
}
