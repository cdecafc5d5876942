// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/prefix_cache.hpp>

#include "support/catch.hpp"
#include "support/failing_files.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace distill_prefix_cache_test {

using namespace amct_distill;

TEST_CASE("what a node reads is the same from wherever the network is continued, within any budget") {
    nn::Network net = support::small_network();
    // A branch, so that two outputs are live at once.
    net.output(net.add_function("again", nn::Add{}, {*net.find("relu2"), *net.find("conv2")}));
    auto const batches = support::small_batches(3, 2);
    for (std::size_t bytes : {std::size_t{0}, std::size_t{1200}, std::size_t{1} << 20}) {
        CacheBudget budget(bytes);
        {
            PrefixRunner prefix(net, batches, budget);
            for (std::string_view name : {"conv1", "conv2", "flatten", "again"})
                for (std::size_t i = 0; i != 3; ++i) {
                    nn::Tape tape;
                    net.forward(batches[i], tape, nn::Mode::evaluate);
                    nn::NodeId const to = *net.find(name);
                    prefix.advance(i, to).value();
                    for (nn::NodeId input : net.node(to).inputs)
                        CHECK(prefix.value(input) == tape.output(input));
                }
            CHECK((bytes == 0) == (budget.free() == bytes));
            prefix.forget();
        }
        CHECK(budget.free() == bytes);
    }
}

TEST_CASE("what has no room is kept in a file, and batches are not loaded again") {
    support::temporary_directory const dir;
    nn::Network const net = support::small_network();
    struct Counted {
        std::vector<nn::Tensor> batches = support::small_batches(3, 2);
        int* loaded;
        std::size_t size() const { return batches.size(); }
        result<Batch> load(std::size_t i) const {
            ++*loaded;
            return Batch{batches[i]};
        }
    };
    int loaded = 0;
    Counted const batches{.loaded = &loaded};
    // Nothing fits; one batch does.
    for (std::size_t bytes : {std::size_t{0}, std::size_t{1200}}) {
        loaded = 0;
        CacheBudget budget(bytes, dir.path());
        PrefixRunner prefix(net, batches, budget);
        for (std::string_view name : {"conv1", "conv2", "flatten", "fc"})
            for (std::size_t i = 0; i != 3; ++i) {
                nn::Tape tape;
                net.forward(batches.batches[i], tape, nn::Mode::evaluate);
                nn::NodeId const to = *net.find(name);
                prefix.advance(i, to).value();
                for (nn::NodeId input : net.node(to).inputs) CHECK(prefix.value(input) == tape.output(input));
            }
        CHECK(loaded == 3);
        prefix.forget();
        prefix.advance(0, *net.find("fc")).value();
        CHECK(loaded == 4);
    }
    CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("after a change of parameters that it has passed, it is told to forget") {
    nn::Network net = support::small_network();
    auto const batches = support::small_batches(1, 2);
    CacheBudget budget(1 << 20);
    PrefixRunner prefix(net, batches, budget);
    nn::NodeId const fc = *net.find("fc"), flat = *net.find("flatten");
    prefix.advance(0, fc).value();
    nn::Tensor const before = prefix.value(flat);
    net.module("conv2").get_if<nn::Conv2d>()->weight()[0] += 1;
    prefix.advance(0, fc).value();
    CHECK(prefix.value(flat) == before);
    prefix.forget();
    prefix.advance(0, fc).value();
    CHECK(prefix.value(flat) != before);
}

TEST_CASE("an earlier node begins at the inputs again, and a value that was not asked for is misuse") {
    nn::Network net = support::small_network();
    auto const batches = support::small_batches(1, 2);
    CacheBudget budget(1 << 20);
    PrefixRunner prefix(net, batches, budget);
    CHECK_THROWS_WITH(prefix.value(*net.find("relu1")), "PrefixRunner: a value that was not asked for");
    nn::Tape tape;
    net.forward(batches[0], tape, nn::Mode::evaluate);
    prefix.advance(0, *net.find("fc")).value();
    CHECK(prefix.value(*net.find("flatten")) == tape.output(*net.find("flatten")));
    prefix.advance(0, *net.find("conv2")).value();
    CHECK(prefix.value(*net.find("relu1")) == tape.output(*net.find("relu1")));
    CHECK_THROWS_WITH(prefix.value(*net.find("flatten")), "PrefixRunner: a value that was not asked for");
}

TEST_CASE("constants are not kept: whoever reads them has them") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {3});
    nn::NodeId const table = net.constant("table", nn::Tensor({3}, {1, 2, 3}));
    nn::NodeId const twice = net.add_function("twice", nn::Add{}, {x, x});
    net.output(net.add_function("sum", nn::Add{}, {twice, table}));
    std::vector<nn::Tensor> const batches{nn::Tensor({1, 3}, {1, 1, 2})};
    CacheBudget budget(1 << 20);
    PrefixRunner prefix(net, batches, budget);
    prefix.advance(0, *net.find("sum")).value();
    CHECK(budget.free() == (1 << 20) - 3 * sizeof(float));
    prefix.advance_to_end(0).value();
    CHECK(prefix.value(*net.find("sum")) == nn::Tensor({1, 3}, {3, 4, 7}));
}

TEST_CASE("a file of values that is cut, or has no room, is an error") {
    support::temporary_directory const dir;
    nn::Network const net = support::small_network();
    auto const batches = support::small_batches(1, 2);
    CacheBudget budget(0, dir.path());
    PrefixRunner prefix(net, batches, budget);
    prefix.advance(0, *net.find("conv2")).value();
    CHECK(support::empty_files_below(dir.path()) == 1);
    auto const cut = prefix.advance(0, *net.find("fc"));
    REQUIRE_FALSE(cut);
    CHECK(cut.diagnostics()[0].message.starts_with("cannot read the file of blocks' values in "));
    PrefixRunner other(net, batches, budget);
    support::FileSizeLimit const limit(10);
    auto const full = other.advance(0, *net.find("conv2"));
    REQUIRE_FALSE(full);
    CHECK(full.diagnostics()[0].message.starts_with("cannot write the file of blocks' values in "));
}

}  // namespace distill_prefix_cache_test
