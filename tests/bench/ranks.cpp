// SPDX-License-Identifier: Apache-2.0
// mpirun -n 2 bench_ranks CASE SAMPLES BATCH SLICES: a distillation of one epoch, what each rank sent and
// held, and what an exchange costs. A line of numbers, which ranks.py compares with the model of
// docs/scaling.md.
#include <amct_distill/adapters/mpi.hpp>
#include <amct_distill/amct_distill.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

using namespace amct_distill;

namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Counts what goes through an exchange, and how long this rank is in it.
class CountedRanks : public Ranks {
public:
    explicit CountedRanks(Ranks& ranks) : ranks_(ranks) {}
    std::size_t rank() const override { return ranks_.rank(); }
    std::size_t size() const override { return ranks_.size(); }
    void exchange(std::span<const std::span<const std::byte>> to,
                  std::span<const std::span<std::byte>> from) override {
        double const begin = now();
        ranks_.exchange(to, from);
        seconds += now() - begin;
        ++times;
        for (std::size_t r = 0; r != size(); ++r)
            if (r != rank()) bytes += static_cast<double>(to[r].size());
    }
    void fail(std::string_view why) noexcept override { ranks_.fail(why); }

    double bytes = 0, seconds = 0, times = 0;

private:
    Ranks& ranks_;
};

/// Samples that are a function of their number.
struct Numbers {
    std::size_t count = 0, batch = 0;
    nn::Shape shape{};

    std::size_t size() const { return count / batch; }
    std::size_t samples(std::size_t) const { return batch; }
    result<Batch> load(std::size_t i) const { return load(i, {0, static_cast<nn::Index>(batch)}); }
    result<Batch> load(std::size_t i, BatchSlice part) const {
        nn::Tensor t;
        t.resize_batch(shape, part.size());
        std::size_t const each = part.size() == 0 ? 0 : t.size() / static_cast<std::size_t>(part.size());
        for (nn::Index s = 0; s != part.size(); ++s) {
            std::minstd_rand random(static_cast<unsigned>(i * batch) + static_cast<unsigned>(part.begin + s) +
                                    1);
            for (std::size_t k = 0; k != each; ++k)
                t[static_cast<std::size_t>(s) * each + k] = static_cast<float>(random() % 2001) / 1000 - 1;
        }
        return Batch{std::move(t)};
    }
};

/// Four convolutions, which compute a lot with few numbers, or three matrices, which have many.
nn::Network network(bool matrices) {
    nn::Network net;
    nn::NodeId x = matrices ? net.input("x", {1024}) : net.input("x", {32, 32, 32});
    for (int i = 0; i != (matrices ? 3 : 4); ++i) {
        std::string const name = detail::concat("layer", i);
        x = matrices
                ? net.add(name, nn::Linear({.in_features = 1024, .out_features = 1024}), {x})
                : net.add(name,
                          nn::Conv2d(
                              {.in_channels = 32, .out_channels = 32, .kernel = {3, 3}, .padding = {1, 1}}),
                          {x});
        x = net.add(detail::concat("relu", i), nn::ReLU{}, {x});
    }
    net.output(x);
    nn::initialize(net, 1);
    return net;
}

/// The peak of this process's memory, in bytes.
double peak() {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;)
        if (word == "VmHWM:") {
            double kib = 0;
            in >> kib;
            return kib * 1024;
        }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    MpiRanks mpi(argc, argv);
    if (argc != 5) {
        std::fputs("bench_ranks convolutions|matrices SAMPLES BATCH SLICES\n", stderr);
        return mpi.finish(2);
    }
    CountedRanks ranks(mpi);
    bool const matrices = argv[1] == std::string("matrices");
    nn::Network const teacher = network(matrices);
    Numbers const data{std::strtoul(argv[2], nullptr, 10), std::strtoul(argv[3], nullptr, 10),
                       teacher.node(teacher.inputs()[0]).shape};
    auto const plan = resolve(read<AMCTDistillConfig>("batch_num: 1").value(), teacher.topology()).value();
    Student student = make_student(teacher, plan).value();
    RunOptions run{.ranks = &ranks};
    calibrate(student, data, run).value();

    // What an exchange takes: of nothing, and of 4 MiB to each of the others.
    detail::meet(&mpi);
    double begin = now();
    constexpr int repeats = 200;
    for (int i = 0; i != repeats; ++i) detail::meet(&mpi);
    double const empty = (now() - begin) / repeats;
    double full = 0;
    if (mpi.size() > 1) {
        std::vector<float> values((std::size_t{1} << 20) * mpi.size());
        detail::Exchange exchange;
        for (int i = 0; i != 5; ++i) {
            begin = now();
            detail::gather_ranges<float>(&mpi, values, mpi.size(), exchange);
            double const once = now() - begin;
            if (i == 0 || once < full) full = once;
        }
    }

    ranks.bytes = ranks.seconds = ranks.times = 0;
    begin = now();
    std::clock_t const clock = std::clock();
    DistillReport const report =
        distill(teacher, student, data, {.epochs = 1, .slices = std::strtoul(argv[4], nullptr, 10)}, run)
            .value();
    double const seconds = now() - begin,
                 processor = static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC;
    double parameters = 0;
    for (const auto& m : teacher.modules())
        for (const auto& p : m.module.parameters()) parameters += static_cast<double>(p.values.size());
    std::printf(
        "rank %zu of %zu: blocks %zu steps %zu parameters %.0f seconds %.4f processor %.4f in_exchange %.4f "
        "times %.0f bytes %.0f peak %.0f empty %.9f full %.6f\n",
        mpi.rank(), mpi.size(), report.blocks.size(), report.blocks.size() * data.size(), parameters, seconds,
        processor, ranks.seconds, ranks.times, ranks.bytes, peak(), empty, full);
    return mpi.finish(0);
}
