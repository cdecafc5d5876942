// SPDX-License-Identifier: Apache-2.0
/// Trains one block of the student to reproduce the teacher block's output.
///
///     BlockTrainer trainer(student.network(), data);                    // data: block_data.hpp
///     BlockReport report = trainer.train(options, {}, cancelled).value();
///
/// Source: AMCT's block-wise distillation, with a float master and the best parameters kept. After
/// the first step the trainer allocates nothing if the block's data fit the cache.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../nn/network.hpp"
#include "../quant/scale.hpp"
#include "../run/execution.hpp"
#include "../run/random_bits.hpp"
#include "../run/training_step.hpp"
#include "../student/run_options.hpp"
#include "adamw.hpp"
#include "block_data.hpp"
#include "block_gradient.hpp"
#include "distill_options.hpp"
#include "loss.hpp"
#include "optimizer.hpp"
#include "report.hpp"
#include "target_moments.hpp"

namespace amct_distill {

template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
class BlockTrainer {
public:
    using Options = BasicDistillOptions<Loss, Optimizer>;

    /// All outlive it.
    BlockTrainer(nn::Network& student, BlockData& data, const nn::Executor* executor = nullptr,
                 std::size_t slices = default_slices)
        : student_(student),
          data_(data),
          modules_(modules_of(student, data.block())),
          gradient_(student, data.block(), modules_, executor, slices),
          ranks_(executor == nullptr ? nullptr : executor->ranks()),
          on_(executor == nullptr ? Execution{} : executor->execution()) {}

    /// `progress` has the block's number; it is told `on_progress` after every step, and `cancelled` is set
    /// when that said so. Errors: a batch cannot be loaded, the teacher's dump cannot be read.
    result<BlockReport> train(const Options& options, Progress progress, bool& cancelled,
                              const ProgressCallback& on_progress = {}) {
        options.check_options();
        auto const begin = std::chrono::steady_clock::now();
        report_ = {};
        report_.names = data_.block().names;
        report_.shared = shared_names();
        auto const finish = [&] {
            std::chrono::duration<double> const spent = std::chrono::steady_clock::now() - begin;
            report_.seconds = spent.count();
            return std::move(report_);
        };
        targets_ = {};
        auto const start = loss_over(options.loss, regularized() == 0 ? nullptr : &targets_);
        if (!start) return start.diagnostics();
        report_.loss_before = report_.loss_after = *start;
        if (!std::isfinite(*start)) {
            report_.stopped = "the loss is not finite before training";
            return finish();
        }
        best_ = modules();
        block_ = progress.block;
        find_phases();
        begin_from_best(options);

        progress.epochs = options.epochs;
        progress.steps = data_.size();
        std::size_t const steps = data_.size() * static_cast<std::size_t>(options.epochs);
        std::size_t const evaluations =
            (std::min)(static_cast<std::size_t>(options.search.evaluations_per_epoch), data_.size());
        // A long training may be evaluated in vain more often before its rates are lowered.
        patience_ = (std::max)(std::size_t{1}, evaluations * static_cast<std::size_t>(options.epochs) / 10);
        // With falling rates, what the first half finds does not stay.
        std::size_t const from = options.schedule == Schedule::constant ? 0 : steps / 2;
        std::size_t taken = 0;
        for (int epoch = 0; epoch != options.epochs && report_.stopped.empty() && !cancelled; ++epoch) {
            double sum = 0;
            std::size_t i = 0;
            while (i != data_.size() && report_.stopped.empty() && !cancelled) {
                optimizer_->set_learning_rate_factor(rate_ * schedule_factor(options.schedule, taken, steps));
                begin_step(taken, steps, options);
                auto const loss = step(i, options);
                if (!loss) return loss.diagnostics();
                sum += *loss;
                seen_.add(*loss);
                ++i, ++taken;
                progress.epoch = epoch;
                progress.step = i - 1;
                progress.loss = *loss;
                if (on_progress && detail::is_first(ranks_) && !on_progress(progress)) cancelled = true;
                cancelled = detail::first_says(ranks_, cancelled);
                bool const due =
                    i * evaluations / data_.size() != (i - 1) * evaluations / data_.size() && taken >= from;
                if ((due || cancelled) && report_.stopped.empty() &&
                    (is_settled() || taken == steps || cancelled))
                    if (auto ok = evaluate(epoch, options); !ok) return ok.diagnostics();
            }
            report_.epoch_losses.push_back(sum / static_cast<double>(i));
        }
        restore_best();
        return finish();
    }

private:
    // ---- modules that are told the steps

    template <class F>
    void for_each_guided(F f) {
        for (std::size_t k = 0; k != modules_.size(); ++k)
            if (nn::GuidedModule* const guided = module(k).guided()) f(*guided, k);
    }
    /// How many weights add terms to the loss.
    std::size_t regularized() {
        std::size_t weights = 0;
        for_each_guided([&](const nn::GuidedModule& m, std::size_t) { weights += m.regularized(); });
        return weights;
    }
    /// Whether the block has modules whose training has phases, and the terms that they add to the loss.
    void find_phases() {
        has_phases_ = false;
        for_each_guided(
            [&](const nn::GuidedModule& m, std::size_t) { has_phases_ = has_phases_ || m.has_phases(); });
        std::size_t const weights = regularized();
        factors_ = {};
        if (weights == 0) return;
        // So that one weight of the terms fits all blocks.
        factors_.regularizers = 1 / static_cast<double>(weights);
        if (double const variance = targets_.variance(); variance > 0 && std::isfinite(1 / variance))
            factors_.loss = 1 / variance;
    }
    void begin_step(std::size_t step, std::size_t steps, const Options& options) {
        for_each_guided([&](nn::GuidedModule& m, std::size_t k) {
            m.begin_step({.step = step,
                          .steps = steps,
                          .random = mixed(options.seed, block_, step, k),
                          .drop_probability = options.drop_probability});
        });
        for (Guided& own : guided_)
            own.optimizer.set_learning_rate_factor(module(own.module).guided()->learning_rate());
    }
    bool is_settled() {
        bool all = true;
        for_each_guided([&](const nn::GuidedModule& m, std::size_t) { all = all && m.is_settled(); });
        return all;
    }
    void end_steps() {
        for_each_guided([](nn::GuidedModule& m, std::size_t) { m.end_steps(); });
    }

    static std::vector<ModuleId> modules_of(const nn::Network& network, const TrainedBlock& block) {
        std::vector<ModuleId> modules;
        for (nn::NodeId id : block.nodes)
            if (auto const m = network.node(id).module; m && std::ranges::find(modules, *m) == modules.end())
                modules.push_back(*m);
        return modules;
    }
    std::vector<nn::Module> modules() const {
        std::vector<nn::Module> copies;
        for (ModuleId m : modules_) copies.push_back(student_.module(m));
        return copies;
    }
    /// The block's modules that nodes outside of it use as well.
    std::vector<std::string> shared_names() const {
        const auto& own = data_.block().nodes;
        std::vector<std::string> names;
        for (ModuleId m : modules_)
            if (!std::ranges::all_of(student_.graph().uses(m),
                                     [&](nn::NodeId id) { return std::ranges::find(own, id) != own.end(); }))
                names.push_back(student_.modules()[m].name);
        return names;
    }
    nn::Module& module(std::size_t k) { return student_.module(modules_[k]); }

    void restore_best() {
        for (std::size_t k = 0; k != modules_.size(); ++k) module(k) = best_[k];
    }
    /// The parameters as they are become what is trained and averaged.
    void begin_from_best(const Options& options) {
        restore_best();
        trained_.clear();
        average_.clear();
        constrained_.clear();
        optimizer_.emplace(options.optimizer);
        guided_.clear();
        for (std::size_t k = 0; k != modules_.size(); ++k) constrained_.push_back(&module(k));
        trained_ = gradient_.parameters();
        for (std::size_t k = 0; k != trained_.size(); ++k) {
            const nn::NamedParameter& p = trained_[k];
            const nn::Tensor& gradient = gradient_.gradients()[k];
            if (p.role == nn::Role::frozen) continue;
            if (p.role == nn::Role::guided)
                guided_of(p.module, options).add(p.values, gradient.span(), 1);
            else
                optimizer_->add(p.values, gradient.span(), options.learning_rates.of(p.role));
        }
        // What has phases ends at its best; an average of its values means nothing.
        for (const nn::NamedParameter& p : trained_)
            if (options.search.average_decay > 0 && !has_phases_)
                average_.emplace_back(p.gradient->shape(), std::span<const float>(p.values));
        averaged_ = 0;
    }
    /// The optimizer of a module that says its learning rate itself.
    Optimizer& guided_of(ModuleId m, const Options& options) {
        auto const k = static_cast<std::size_t>(std::ranges::find(modules_, m) - modules_.begin());
        for (Guided& one : guided_)
            if (one.module == k) return one.optimizer;
        if constexpr (requires { Optimizer(options.optimizer.without_decay()); })
            return guided_.emplace_back(Guided{k, options.optimizer.without_decay()}).optimizer;
        else
            return guided_.emplace_back(Guided{k, options.optimizer}).optimizer;
    }

    /// The loss over all batches, the parameters as they are. `targets`: what is summed up besides.
    result<double> loss_over(const Loss& loss, detail::TargetMoments* targets = nullptr) {
        return loss_below(std::numeric_limits<double>::infinity(), loss, targets);
    }
    /// The same if it is below the bound; else something that is not, maybe found before all batches are.
    result<double> loss_below(double bound, const Loss& loss, detail::TargetMoments* targets = nullptr) {
        gradient_.prepare();
        double sum = 0, values = 0;
        for (std::size_t i = 0; i != data_.size(); ++i) {
            auto const step = data_.load(i);
            if (!step) return step.diagnostics();
            if (targets != nullptr) {
                auto const found = data_.sum_over(**step, 3, [&](auto&& values_of, std::span<double> to) {
                    detail::TargetMoments of_slice;
                    for (const nn::Tensor& t : (*step)->targets) of_slice.add(values_of(t));
                    to[0] = of_slice.count, to[1] = of_slice.sum, to[2] = of_slice.squares;
                });
                targets->add(detail::TargetMoments{found[0], found[1], found[2]});
            }
            auto const size = static_cast<double>(gradient_.values(**step));
            sum += gradient_.loss(**step, loss) * size;
            values += size;
            // Of a sum that only grows, divided by all values.
            if constexpr (NeverNegative<Loss>)
                if (i + 1 != data_.size() && sum / values_ >= bound) return sum / values_;
        }
        values_ = values;
        return sum / values;
    }

    /// One step of the optimizer; says why in `stopped` when something is not finite, and then does no harm.
    result<double> step(std::size_t i, const Options& options) {
        auto const step = data_.load(i);
        if (!step) return step.diagnostics();
        if ((*step)->from_teacher) ++report_.teacher_inputs;
        gradient_.prepare();
        double const loss = gradient_.loss_and_gradients(**step, options.loss, factors_);
        if (!std::isfinite(loss)) {
            report_.stopped = "the loss is not finite";
            return loss;
        }
        if (!std::ranges::all_of(gradient_.gradients(),
                                 [this](const nn::Tensor& g) { return is_finite(g.span()); })) {
            report_.stopped = "a gradient is not finite";
            return loss;
        }
        take_step(*optimizer_);
        for (Guided& own : guided_) take_step(own.optimizer);
        if (!std::ranges::all_of(trained_, [this](const auto& p) { return is_finite(p.values); })) {
            report_.stopped = "a parameter is not finite";
            return loss;
        }
        constrain();
        ++averaged_;
        auto const taken = static_cast<double>(averaged_);
        auto const decay = static_cast<float>((std::min)(options.search.average_decay, taken / (taken + 9)));
        for (std::size_t k = 0; k != average_.size(); ++k)
            detail::in_parts(on_, average_[k].size(), detail::task_size,
                             [&](std::size_t begin, std::size_t end) {
                                 auto const n = static_cast<nn::Index>(end - begin);
                                 nn::ArrayMap<float> average(average_[k].data() + begin, n);
                                 nn::ConstArrayMap<float> now(trained_[k].values.data() + begin, n);
                                 average += (now - average) * (1 - decay);
                             });
        return loss;
    }

    /// Takes the average of the parameters, or they as they are, if the loss was never as low.
    result<void> evaluate(int epoch, const Options& options) {
        end_steps();
        bool better = false;
        auto const take_if_better = [&]() -> result<void> {
            auto const loss = loss_below(report_.loss_after, options.loss);
            if (!loss) return loss.diagnostics();
            if (*loss < report_.loss_after) {
                report_.loss_after = *loss;
                report_.best_epoch = epoch + 1;
                best_ = modules();
                better = true;
            }
            return {};
        };
        if (!average_.empty()) {
            exchange_average();
            if (auto ok = take_if_better(); !ok) return ok;
            exchange_average();
        }
        // What the steps since the last time have seen tells the loss of the parameters as they are: a pass
        // over the data is for those that it may make the best. With dropped quantization it does not tell.
        bool const has_chance = !(seen_.mean() >= report_.loss_after);
        if (has_chance || average_.empty() || options.drop_probability > 0)
            if (auto ok = take_if_better(); !ok) return ok;
        seen_ = {};
        failures_ = better ? 0 : failures_ + 1;
        if (failures_ == patience_ && !has_phases_ && options.search.rate_after_failure < 1) {
            failures_ = 0;
            rate_ *= options.search.rate_after_failure;
            ++report_.restarts;
            begin_from_best(options);
        }
        return {};
    }
    void exchange_average() {
        for (std::size_t k = 0; k != average_.size(); ++k)
            std::ranges::swap_ranges(trained_[k].values, average_[k].span());
        constrain();
    }

    void constrain() {
        for (nn::Module* m : constrained_) m->constrain();
    }
    void take_step(Optimizer& optimizer) const {
        if constexpr (requires { optimizer.step(on_); })
            optimizer.step(on_);
        else
            optimizer.step();
    }
    bool is_finite(std::span<const float> values) const {
        std::atomic<bool> finite = true;
        detail::in_parts(on_, values.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
            if (!detail::range_of(values.subspan(begin, end - begin)).finite) finite = false;
        });
        return finite;
    }

    nn::Network& student_;
    BlockData& data_;
    std::vector<ModuleId> modules_;  // the block's
    BlockGradient<Loss> gradient_;
    Ranks* ranks_;
    Execution on_;
    std::vector<nn::Module*> constrained_{};
    std::vector<nn::NamedParameter> trained_{};
    std::vector<nn::Tensor> average_{};  // parallel to `trained_`, or empty
    std::size_t averaged_ = 0;           // steps in it
    std::vector<nn::Module> best_{};
    std::optional<Optimizer> optimizer_{};
    struct Guided {
        std::size_t module;  // of modules_
        Optimizer optimizer;
    };
    std::vector<Guided> guided_{};
    bool has_phases_ = false;
    typename BlockGradient<Loss>::Factors factors_{};
    detail::TargetMoments targets_{};
    std::size_t block_ = 0;
    double values_ = std::numeric_limits<double>::infinity();  // of the outputs, over all batches, once known
    struct Seen {
        double sum = 0, steps = 0;
        void add(double loss) { sum += loss, ++steps; }
        double mean() const { return sum / steps; }
    } seen_{};  // losses of the steps since the last evaluation
    double rate_ = 1;
    std::size_t patience_ = 1, failures_ = 0;  // evaluations in a row that found nothing better
    BlockReport report_{};
};

}  // namespace amct_distill
