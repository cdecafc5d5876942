// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/value_store.hpp>

#include <amct_distill/io/file.hpp>
#include <amct_distill/quant/ifmr.hpp>

#include <sys/resource.h>
#include <csignal>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/child_process.hpp"
#include "support/failing_files.hpp"
#include "support/temporary_directory.hpp"

namespace quant_value_store_test {

using namespace amct_distill;

namespace {

std::vector<float> all(const detail::ValueStore& store) {
    std::vector<float> out;
    CHECK(store.for_each_part(
        [&](std::span<const float> part) { out.insert(out.end(), part.begin(), part.end()); }));
    return out;
}

/// What `body` returns in a process of its own, in which `limit` is set.
std::string with_limit(int limit, rlim_t value, const std::function<std::string()>& body) {
    return child_process::run([&] {
        std::signal(SIGXFSZ, SIG_IGN);  // the write fails instead
        rlimit const both{value, value};
        return setrlimit(limit, &both) == 0 ? body() : std::string("no limit set");
    });
}

}  // namespace

TEST_CASE("a batch for which the temporary file has no room is an error, and is not added") {
    auto const observe = [] {
        std::vector<float> x(3 * detail::task_size);
        std::iota(x.begin(), x.end(), 1.0f);
        IfmrOptions options;
        options.max_bytes = 1;
        Ifmr<Int8> ifmr(options);
        auto const text = [](const auto& r) {
            return r ? std::string("ok\n") : to_string(r.diagnostics()) + "\n";
        };
        std::string all = text(ifmr.observe(std::span(x).first(100)));
        all += text(ifmr.observe(x));
        all += text(ifmr.observe(std::span(x).subspan(100, 100)));
        all += text(ifmr.finish());
        Ifmr<Int8> other;
        all += text(other.observe(std::span(x).first(200)));
        return all + (ifmr.finish()->losses == other.finish()->losses ? "same" : "other");
    };
    auto const says = [](std::string const& why) {
        std::string const error = "error: cannot write the temporary file of observed values: " + why +
                                  "; make room for it, or allow more memory\n";
        return "ok\n" + error + "ok\nok\nok\nsame";
    };
    CHECK(with_limit(RLIMIT_FSIZE, 100000, observe) == says("File too large"));
    CHECK(with_limit(RLIMIT_NOFILE, 0, observe) == says("Too many open files"));
}

TEST_CASE("a store that had written before a write failed holds what it held") {
    auto const observe = [] {
        std::vector<float> x(7 * detail::task_size + 10);
        std::iota(x.begin(), x.end(), 0.0f);
        detail::ValueStore store(0);
        std::size_t const held = 2 * detail::task_size + 500;
        if (!store.append(std::span(x).first(held))) return std::string("cannot begin");
        for (int k = 0; k != 3; ++k) {  // two parts still fit
            if (store.append(std::span(x).subspan(held))) return std::string("no failure");
            if (store.size() != held ||
                all(store) != std::vector(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(held)))
                return std::string("changed");
        }
        if (!store.append(std::span(x).subspan(held, detail::task_size))) return std::string("cannot go on");
        auto const now = held + detail::task_size;
        return std::string(all(store) == std::vector(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(now))
                               ? "as before"
                               : "lost");
    };
    CHECK(with_limit(RLIMIT_FSIZE, 5 * detail::task_size * sizeof(float), observe) == "as before");
}

TEST_CASE("values come back in the order they were appended, from memory or from a file") {
    std::vector<float> x(200001);
    std::iota(x.begin(), x.end(), 0.0f);
    for (std::size_t bytes : {std::size_t{0}, std::size_t{1} << 20, static_cast<std::size_t>(-1)}) {
        INFO(bytes);
        detail::ValueStore store(bytes);
        CHECK(all(store).empty());
        REQUIRE(store.append(std::span(x).first(5)));
        REQUIRE(store.append(std::span(x).subspan(5, 99995)));
        CHECK(all(store) == std::vector(x.begin(), x.begin() + 100000));
        REQUIRE(store.append(std::span(x).subspan(100000)));  // after it was read
        CHECK(store.size() == x.size());
        CHECK(store.uses_file() == (bytes <= std::size_t{1} << 20));
        CHECK(all(store) == x);
        auto const moved = std::move(store);
        CHECK(all(moved) == x);
    }
}

TEST_CASE("the file is where it should be, and has no name") {
    support::temporary_directory const dir;
    std::vector<float> x(200001);
    std::iota(x.begin(), x.end(), 0.0f);
    detail::ValueStore store(0), other(0), nowhere(0);
    store.limit(0, dir.path().string());
    other.limit(0, dir.path().string());
    nowhere.limit(0, (dir.path() / "none").string());
    REQUIRE(store.append(x));
    REQUIRE(other.append(std::span(x).first(150000)));
    CHECK(store.uses_file());
    CHECK(all(store) == x);
    CHECK(dir.files() == 0);
    auto const failed = nowhere.append(x);
    REQUIRE_FALSE(failed);
    CHECK(failed.diagnostics()[0].message.find("No such file or directory; make room for it") !=
          std::string::npos);
}

TEST_CASE("parts are multiples of what a thread takes, but the last") {
    std::vector<float> const x(150000);
    detail::ValueStore store(0);
    REQUIRE(store.append(x));
    std::vector<std::size_t> sizes;
    REQUIRE(store.for_each_part([&](std::span<const float> part) { sizes.push_back(part.size()); }));
    CHECK(sizes ==
          std::vector<std::size_t>{detail::task_size, detail::task_size, 150000 - 2 * detail::task_size});
}

TEST_CASE("the file takes a name that is free, and one that is cut is an error") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "observed_0", "another run's"));
    std::vector<float> const x(detail::task_size + 1, 1.0f);
    detail::ValueStore store(0);
    store.limit(0, dir.path().string());
    REQUIRE(store.append(x));
    CHECK(all(store) == x);
    CHECK(support::empty_files_below(dir.path()) == 1);
    auto const cut = store.for_each_part([](std::span<const float>) {});
    REQUIRE_FALSE(cut);
    CHECK(cut.diagnostics()[0].message.starts_with("cannot read the temporary file of observed values: "));
    support::FileSizeLimit const limit(1000);
    auto const full = store.append(x);
    REQUIRE_FALSE(full);
    CHECK(full.diagnostics()[0].message ==
          "cannot write the temporary file of observed values: File too large; make room for it, or allow "
          "more memory");
}

}  // namespace quant_value_store_test
