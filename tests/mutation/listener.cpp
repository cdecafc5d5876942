// SPDX-License-Identifier: Apache-2.0
// Chooses the mutant of AMCT_MUTANT; with AMCT_MUTANT_RECORD=FILE writes for each test how long it took and
// which mutants it reached.
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include "mutant.hpp"
#include "support/catch.hpp"

namespace {

__attribute__((constructor(101))) void choose() {
    if (const char* number = std::getenv("AMCT_MUTANT")) amct_mutation::active = std::atoi(number);
}

#if __has_include(<catch2/catch_all.hpp>)
using Base = Catch::EventListenerBase;
#else
using Base = Catch::TestEventListenerBase;
#endif

struct Record : Base {
    using Base::Base;

    void testCaseStarting(const Catch::TestCaseInfo& test) override {
        Base::testCaseStarting(test);
        name_ = test.name;
        begin_ = std::chrono::steady_clock::now();
    }

    void testCaseEnded(const Catch::TestCaseStats& test) override {
        Base::testCaseEnded(test);
        const char* path = std::getenv("AMCT_MUTANT_RECORD");
        std::FILE* file = path ? std::fopen(path, "a") : nullptr;
        if (!file) return;
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
        std::fprintf(file, "%s\t%d\t%.3f\t", name_.c_str(), test.totals.assertions.failed > 0, took.count());
        for (int i = 0; i < amct_mutation::most; ++i) {
            if (amct_mutation::reached[i]) std::fprintf(file, "%d ", i);
            amct_mutation::reached[i] = 0;
        }
        std::fprintf(file, "\n");
        std::fclose(file);
    }

    std::string name_;
    std::chrono::steady_clock::time_point begin_;
};

CATCH_REGISTER_LISTENER(Record)

}  // namespace
