// SPDX-License-Identifier: Apache-2.0
// Each allocation fails once, and from there on: std::bad_alloc comes out, nothing is left allocated, and
// what was given is as before.
#include <amct_distill/definitions.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>

#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "counted.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/small_network.hpp"

namespace allocations_failing_test {

using namespace amct_distill;

namespace {

struct Outcomes {
    long tried = 0, thrown = 0, told = 0, unharmed = 0, wrong = 0, leaks = 0;
};

/// What a failure may also become: an error of a file that could not be opened without memory.
template <class T>
bool tells_of_memory(const result<T>& r) {
    return !r && to_string(r.diagnostics()).find("memory") != std::string::npos;
}

/// make() with each allocation failing that it makes, or about `most` of them; same(what it made) is whether
/// nothing is wrong with that.
template <class Make, class Same>
Outcomes fail_each(Make make, Same same, long most) {
    Outcomes out;
    if (!same(make())) throw std::logic_error("it does not work with all memory");
    long const before = counted::allocations;
    static_cast<void>(make());
    long const count = counted::allocations - before, step = (count + most - 1) / most;
    for (bool on : {false, true})
        for (long n = on ? step / 2 : 0; n < count; n += step) {
            long const live = counted::live;
            {
                std::optional<decltype(make())> made;
                bool thrown = false;
                counted::fail_from(n, on);
                try {
                    made.emplace(make());
                } catch (const std::bad_alloc&) {
                    thrown = true;
                } catch (...) {}
                counted::fail_never();
                ++out.tried;
                if (thrown)
                    ++out.thrown;
                else if (made && same(*made))
                    ++out.unharmed;  // memory that would only have made it faster
                else if (made && tells_of_memory(*made))
                    ++out.told;
                else
                    ++out.wrong;
            }
            if (counted::live != live) ++out.leaks;
        }
    return out;
}

void check(const Outcomes& o) {
    INFO(o.tried << " tried, " << o.thrown << " thrown, " << o.told << " told, " << o.unharmed
                 << " unharmed");
    CHECK(o.tried >= 20);
    CHECK(o.thrown > o.tried / 2);
    CHECK(o.wrong == 0);
    CHECK(o.leaks == 0);
}

/// All numbers of a network.
std::vector<float> values_of(const nn::Network& network) {
    std::vector<float> out;
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters()) out.insert(out.end(), p.values.begin(), p.values.end());
    return out;
}

}  // namespace

TEST_CASE("without memory, reading a text ends with bad_alloc and leaves nothing") {
    std::string const text = golden::read_file("documentation_example.cfg"),
                      bad = text + "\nnone { x: 1 }\n]";
    auto const config = read<AMCTDistillConfig>(text).value();
    check(fail_each([&] { return read<AMCTDistillConfig>(text); },
                    [&](const auto& r) { return r && *r == config; }, 1000));
    auto const why = to_string(read<AMCTDistillConfig>(bad).diagnostics());
    check(fail_each([&] { return read<AMCTDistillConfig>(bad); },
                    [&](const auto& r) { return !r && to_string(r.diagnostics()) == why; }, 1000));
}

TEST_CASE("without memory, an import ends with bad_alloc and leaves nothing") {
    for (const char* name : {"gemm_variants", "bn_odd_fold", "two_inputs", "v_external", "r_if"}) {
        INFO(name);
        std::string const path = detail::concat(AMCT_DISTILL_GOLDEN_DIR, "/zoo/", name, ".onnx");
        auto const expected = onnx::import_network(path);
        std::string const why = expected ? std::string() : to_string(expected.diagnostics());
        std::vector<float> const values = expected ? values_of(expected->network) : std::vector<float>();
        check(fail_each([&] { return onnx::import_network(path); },
                        [&](const auto& r) {
                            return bool(r) == bool(expected) &&
                                   (r ? values_of(r->network) == values : to_string(r.diagnostics()) == why);
                        },
                        300));
    }
}

TEST_CASE("without memory, no student and no deployment is made, and what they are made of stays") {
    nn::Network const teacher = support::small_network();
    auto const before = values_of(teacher);
    auto const plan = support::plan_for(teacher, support::int4_config);
    auto const batches = support::small_batches(2, 4);
    Student student = make_student(teacher, plan).value();
    auto const fresh = values_of(student.network());
    check(fail_each([&] { return make_student(teacher, plan); },
                    [&](const auto& r) { return r && values_of(r->network()) == fresh; }, 500));
    CHECK(values_of(teacher) == before);

    calibrate(student, std::span(batches)).value();
    nn::Tensor const output = student.predict(batches[0]);
    nn::Tensor const expected = integer_network(deploy(student).value()).predict(batches[0]);
    check(fail_each([&] { return deploy(student); },
                    [&](const auto& r) { return r && integer_network(*r).predict(batches[0]) == expected; },
                    500));
    CHECK(student.predict(batches[0]) == output);

    // What changes a student changes all of it, or nothing.
    auto const values = values_of(student.network());
    bool is_through = false;
    for (long n = 0; !is_through; n += 7) {
        Student work = student;
        counted::fail_from(n, n % 2 == 0);
        try {
            correct_biases(teacher, work, std::span(batches)).value();
            is_through = true;
        } catch (const std::bad_alloc&) {}
        counted::fail_never();
        if (values_of(work.network()) != values && !is_through) FAIL("changed, and failed at " << n);
    }
}

}  // namespace allocations_failing_test
