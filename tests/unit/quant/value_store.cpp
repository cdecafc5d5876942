#include <amct_distill/quant/value_store.hpp>

#include <numeric>
#include <utility>

#include "support/catch.hpp"

namespace quant_value_store_test {

using namespace amct_distill;

namespace {

std::vector<float> all(const detail::ValueStore& store) {
    std::vector<float> out;
    CHECK(store.for_each_part(
        [&](std::span<const float> part) { out.insert(out.end(), part.begin(), part.end()); }));
    return out;
}

}  // namespace

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

TEST_CASE("parts are multiples of what a thread takes, but the last") {
    std::vector<float> const x(150000);
    detail::ValueStore store(0);
    REQUIRE(store.append(x));
    std::vector<std::size_t> sizes;
    REQUIRE(store.for_each_part([&](std::span<const float> part) { sizes.push_back(part.size()); }));
    CHECK(sizes ==
          std::vector<std::size_t>{detail::task_size, detail::task_size, 150000 - 2 * detail::task_size});
}

}  // namespace quant_value_store_test
