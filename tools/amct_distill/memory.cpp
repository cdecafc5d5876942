// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <amct_distill/definitions.hpp>
#include <cmath>
#include <cstdio>
#include <vector>

#include "program.hpp"
#include "session.hpp"
#include "verbs.hpp"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace tool {
namespace {

namespace ad = amct_distill;

/// The process's memory now, its code included; 0 where there is no /proc.
std::size_t held_now() {
    unsigned long long size = 0, resident = 0;
    ad::detail::file_handle const file(std::fopen("/proc/self/statm", "r"));
    if (!file || std::fscanf(file.get(), "%llu %llu", &size, &resident) != 2) return 0;
    return static_cast<std::size_t>(resident) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Values of a sample, and parameters.
struct Sizes {
    double all = 0;         ///< of all nodes
    double inputs = 0;      ///< of the network
    double outputs = 0;     ///< of the network
    double live = 0;        ///< the most that later nodes read
    double layers = 0;      ///< what the layers read
    double block = 0;       ///< of the largest block's nodes
    double boundary = 0;    ///< what the blocks read and give
    double parameters = 0;  ///< of all modules
    double trained = 0;     ///< of the largest block's modules
};

Sizes sizes_of(const ad::nn::Network& net, const ad::ExtendedPlan& plan) {
    Sizes out;
    std::size_t const count = net.graph().size();
    auto const size = [&](ad::NodeId id) {
        double n = 1;
        for (ad::nn::Index d : net.node(id).shape) n *= d > 0 ? static_cast<double>(d) : 1;
        return n;
    };
    std::vector<std::size_t> last(count, 0);  // reader
    for (ad::NodeId id; id != count; ++id.index) {
        out.all += size(id);
        last[id.index] = (std::max)(last[id.index], id.index);
        for (ad::NodeId input : net.node(id).inputs) last[input.index] = id.index;
    }
    for (ad::NodeId id : net.inputs()) out.inputs += size(id);
    for (ad::NodeId id : net.outputs()) out.outputs += size(id), last[id.index] = count;
    for (std::size_t to = 1; to < count; ++to) {
        double live = 0;
        for (ad::NodeId id; id != to; ++id.index) live += last[id.index] >= to ? size(id) : 0;
        out.live = (std::max)(out.live, live);
    }
    for (const auto& layer : plan.layers) out.layers += size(net.node(layer.node).inputs.at(0));
    auto const parameters = [&](ad::ModuleId m) {
        double n = 0;
        for (const auto& p : net.module(m).parameters()) n += static_cast<double>(p.values.size());
        return n;
    };
    for (const auto& m : net.modules())
        for (const auto& p : m.module.parameters()) out.parameters += static_cast<double>(p.values.size());
    for (const auto& block : plan.blocks) {
        double values = 0, trained = 0;
        for (ad::NodeId id : block.nodes) {
            values += size(id);
            if (auto const m = net.node(id).module) trained += parameters(*m);
        }
        out.block = (std::max)(out.block, values);
        out.trained = (std::max)(out.trained, trained);
        out.boundary += size(block.nodes.back()) + size(net.node(block.nodes.front()).inputs.at(0));
    }
    return out;
}

/// Bytes that the work holds at most, without the model and the caches.
double work_of(const Sizes& s, const ad::ExtendedPlan& plan, std::size_t batch, int threads,
               bool has_loss_weights) {
    auto const n = static_cast<double>(batch);
    double const slice = std::ceil(n / 8), at_once = (std::min)({static_cast<double>(threads), n, 8.0}),
                 running = slice * at_once;  // samples of which a runner has all values
    // A layer that is quantized has its input twice. Batches are read into two buffers.
    double const of_student = s.all + s.layers, read = 2 * s.inputs * n;
    double const observed = s.layers * n * static_cast<double>(plan.batch_num.value);
    double const calibrate = of_student * running + s.layers * n + observed * 8 / 4096 +
                             0x1p17 * static_cast<double>(plan.layers.size());
    // The runners of the teacher, of the student, of what it was as calibrated, and of the block.
    double const distill = (s.all + 2 * of_student) * running + 4 * s.block * running + 4 * s.live * n +
                           3 * s.outputs * n + (plan.data_dump.value ? s.boundary * n : 0);
    // The teacher runs backward, each of its threads with gradients of all parameters.
    double const backward =
        has_loss_weights ? 3 * s.all * running + s.live * n + 2 * s.parameters * at_once : 0;
    double const verify = 3.5 * of_student * (std::min)(n, 8.0);
    double const compare = (2 * s.all + 2 * of_student) * running + 4 * s.outputs * n;
    double const values = read + (std::max)({calibrate, distill + backward, verify, compare});
    // The student and what it was before, as calibrated and deployed; what a block is trained with.
    double const networks = 6 * s.parameters + 14 * s.trained;
    return 4 * (values + networks);
}

}  // namespace

MemoryPlan plan_memory(const Options& options, const ad::nn::Network& network, const ad::ExtendedPlan& plan,
                       std::size_t batch, int threads) {
    MemoryPlan out;
    out.bound = memory_bound(options);
    Sizes const sizes = sizes_of(network, plan);
    double const model = 4 * sizes.parameters, now = static_cast<double>(held_now());
    // And what small pieces, stacks and the report take.
    double const besides = (std::max)(now - model, 0x1p23) + 0x1p23;
    auto const needed = [&](std::size_t n) {
        return besides + 1.05 * work_of(sizes, plan, n, threads, options.loss == "fisher");
    };
    out.model = static_cast<std::size_t>(model);
    out.work = static_cast<std::size_t>(needed(batch));
    if (out.work <= out.bound || options.memory.empty()) return out;
    std::size_t fits = batch;
    while (fits > 1 && needed(fits) > static_cast<double>(out.bound)) fits = fits * 7 / 8;
    std::string const enough =
        ad::detail::concat("--memory ", static_cast<std::size_t>(std::ceil(needed(batch) / 0x1p20)), "M");
    bad_input("--memory: ", bytes_text(out.bound), " is too little for a batch of ", batch,
              batch == 1 ? " sample" : " samples", " on ", threads, threads == 1 ? " thread" : " threads",
              ", which takes about ", bytes_text(out.work), "; give ",
              needed(fits) <= static_cast<double>(out.bound) ? ad::detail::concat("--batch ", fits, ", or ")
                                                             : std::string(),
              enough);
}

void keep_no_freed_memory() {
#ifdef M_MMAP_THRESHOLD
    ::mallopt(M_MMAP_THRESHOLD, 1 << 15);  // a number of one's own: glibc would raise its own
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}

}  // namespace tool
