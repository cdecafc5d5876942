// SPDX-License-Identifier: Apache-2.0
// The quantizers next to memcpy of the same floats: ratios of times, taken in turns in one run.
//
//     bench_quant [rounds]
//
// A row is a loop, a column a size: 64 x 64 (one tensor of weights), 4 MB (in the last-level cache), 64 MB
// (in memory). An entry is memcpy's time over the loop's, both medians on one thread, so 1.0 is as fast as a
// copy and larger is faster; then the same loop's speed-up on two threads. Outputs are allocated and touched
// before: 64 MB that are new cost eight times the loop in page faults.
#include <amct_distill/quant/act_ulq.hpp>
#include <amct_distill/quant/arq.hpp>
#include <amct_distill/quant/checked_affine.hpp>
#include <amct_distill/quant/ifmr.hpp>
#include <amct_distill/quant/int4.hpp>
#include <amct_distill/quant/ulq.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace amct_distill;

namespace {

/// A second thread that waits for work, so that no thread is started within a measurement.
class Pair {
public:
    Pair() : helper_([this] { serve(); }) {}
    ~Pair() {
        {
            std::lock_guard const lock(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        helper_.join();
    }
    void run(std::size_t tasks, const std::function<void(std::size_t)>& task) {
        {
            std::lock_guard const lock(mutex_);
            task_ = &task;
            tasks_ = tasks;
            next_ = 0;
            busy_ = true;
        }
        changed_.notify_all();
        work();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !busy_; });
    }

private:
    void work() {
        for (std::size_t i; (i = next_++) < tasks_;) (*task_)(i);
    }
    void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return busy_ || stop_; });
            if (stop_) return;
            lock.unlock();
            work();
            lock.lock();
            busy_ = false;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    const std::function<void(std::size_t)>* task_ = nullptr;
    std::size_t tasks_ = 0;
    std::atomic<std::size_t> next_{0};
    bool busy_ = false, stop_ = false;
    std::thread helper_;
};

struct Case {
    std::string name;
    std::function<void(const Execution&)> run;
};

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

struct Row {
    double ratio, two_threads, nanoseconds;
};

/// All cases in turns; the first is what the others are compared with.
std::vector<Row> measure(const std::vector<Case>& cases, std::size_t rounds, const Execution& pair) {
    Execution const one;
    std::vector<std::vector<double>> alone(cases.size()), both(cases.size());
    std::vector<int> repeat;
    for (const Case& c : cases) {
        c.run(one);
        double const begin = seconds();
        c.run(one);
        repeat.push_back(std::clamp(static_cast<int>(1e-3 / (seconds() - begin)), 1, 10000));
    }
    auto const time = [&](std::size_t k, const Execution& on) {
        double const begin = seconds();
        for (int i = 0; i != repeat[k]; ++i) cases[k].run(on);
        return (seconds() - begin) / repeat[k];
    };
    for (std::size_t round = 0; round != rounds; ++round) {
        for (std::size_t k = 0; k != cases.size(); ++k) {
            alone[k].push_back(time(k, one));
            both[k].push_back(time(k, pair));
        }
    }
    std::vector<Row> rows;
    for (std::size_t k = 0; k != cases.size(); ++k) {
        double const t = median(alone[k]);
        rows.push_back({median(alone[0]) / t, t / median(both[k]), t * 1e9});
    }
    return rows;
}

volatile double sink;

std::vector<Row> measure_size(std::size_t rows, std::size_t cols, std::size_t rounds, const Execution& pair,
                              std::vector<std::string>& names) {
    std::size_t const n = rows * cols;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    RowMajorMatrix w(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols)), g = w, out = w;
    for (std::size_t i = 0; i != n; ++i) {
        w.data()[i] = i < (1u << 20) ? normal(random) : w.data()[i - (1u << 20)] * 1.0001f;
        g.data()[i] = i < (1u << 20) ? normal(random) : g.data()[i - (1u << 20)];
    }
    out.setZero();
    std::vector<std::int8_t> codes(n);
    std::vector<std::uint8_t> nibbles(n);
    std::span<const float> const x(w.data(), n), gs(g.data(), n);
    std::span<float> const y(out.data(), n);
    ScaleOffset const p{4.0f / 127, 3};

    Arq<Int8, ChannelWise> by_row;
    Arq<Int8, TensorWise> whole;
    Ulq<Int8, ChannelWise> ulq;
    ulq.initialize(w).value();
    ActUlq<Int8> const act({2.5f, -2.3f}, false);
    std::vector<float> grad_clips(2), grad_scales(rows);
    auto const scales = by_row.scale_offsets(w);
    Ifmr<Int8> ifmr;
    Ifmr<Int4> ifmr4;
    ifmr.observe(x).value();
    ifmr4.observe(x).value();

    std::vector<Case> cases{
        {"memcpy", [&](const Execution&) { std::memcpy(out.data(), w.data(), n * sizeof(float)); }},
        {"range and finite check",
         [&](const Execution& on) { sink = static_cast<double>(detail::range_of(w, on).max); }},
        {"fake_quantize", [&](const Execution& on) { fake_quantize<Int8>(x, y, p, on); }},
        {"quantize to INT8", [&](const Execution& on) { quantize<Int8>(x, codes, p, on); }},
        {"quantize to packed INT4",
         [&](const Execution& on) {
             quantize_int4(x, std::span(nibbles).first(packed_row_bytes(n)), p, on);
         }},
        {"dequantize INT8", [&](const Execution& on) { dequantize(codes, y, p, on); }},
        {"ARQ channel-wise", [&](const Execution& on) { by_row.fake_quantize(w, out, on); }},
        {"ARQ tensor-wise", [&](const Execution& on) { whole.fake_quantize(w, out, on); }},
        {"checked fake_quantize",
         [&](const Execution& on) { checked_fake_quantize<Int8>(w, out, scales, on).value(); }},
        {"ULQ weights, scale gradient",
         [&](const Execution& on) {
             for (std::size_t r = 0; r != rows; ++r)
                 sink = detail::ordered_sums(on, cols,
                                             detail::ScaleGradient{w.data() + r * cols, g.data() + r * cols,
                                                                   0.03f, 127, -128, 3.81f, -3.84f})[0];
         }},
        {"ULQ activations, backward", [&](const Execution& on) { act.backward(x, gs, y, grad_clips, on); }},
    };
    if (n >= 8192) {
        cases.push_back({"IFMR INT8", [&](const Execution& on) { sink = ifmr.finish(on)->losses[0]; }});
        cases.push_back({"IFMR INT4", [&](const Execution& on) { sink = ifmr4.finish(on)->losses[0]; }});
    }
    names.clear();
    for (const Case& c : cases) names.push_back(c.name);
    return measure(cases, rounds, pair);
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t const rounds = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 9;
    Pair threads;
    Execution pair;
    pair.parallel_for = [&](std::size_t tasks, const std::function<void(std::size_t)>& task) {
        threads.run(tasks, task);
    };
    std::vector<std::string> names;
    auto const small = measure_size(64, 64, rounds, pair, names);
    auto const middle = measure_size(1024, 1024, rounds, pair, names);
    auto const large = measure_size(4096, 4096, rounds, pair, names);
    std::printf("%s, %s; memcpy's time over the loop's (x two threads), and ns of one thread\n",
                std::string(name(best_instructions())).c_str(),
#if defined(__clang__)
                "clang " __clang_version__
#else
                "g++ " __VERSION__
#endif
    );
    std::printf("%-28s %24s %24s %24s\n", "", "64 x 64", "4 MB", "64 MB");
    for (std::size_t k = 0; k != names.size(); ++k) {
        std::printf("%-28s", names[k].c_str());
        for (const auto* rows : {&small, &middle, &large}) {
            if (k >= rows->size())
                std::printf(" %24s", "");
            else
                std::printf(" %6.2f (x%.2f) %10.0f", (*rows)[k].ratio, (*rows)[k].two_threads,
                            (*rows)[k].nanoseconds);
        }
        std::printf("\n");
    }
}
