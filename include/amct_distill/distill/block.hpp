/// One block of a student learns to put out what the teacher's does.
///
///     BlockTrainer trainer(teacher, student.network(), plan.blocks[0], /*dump=*/nullptr, /*index=*/0);
///     BlockReport report = trainer.train(batches, options, progress, cancelled).value();
///
/// Source: AMCT's block-wise distillation, with a float master and the best parameters kept.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../nn/network.hpp"
#include "../plan/plan.hpp"
#include "../quant/range.hpp"
#include "adamw.hpp"
#include "dump.hpp"
#include "report.hpp"

namespace amct_distill {

struct LearningRates {
    double parameters = 1e-3;  ///< weights, biases, BatchNorm's affine parameters
    double clips = 0.1;        ///< of activations
    double scales = 1e-4;      ///< of weights

    double of(nn::Role role) const {
        return role == nn::Role::clip ? clips : role == nn::Role::scale ? scales : parameters;
    }
};

struct Progress;
/// False ends the training after this step: every block keeps the best it had.
using ProgressCallback = std::function<bool(const Progress&)>;

struct TrainOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    AdamWOptions adamw{};
    ProgressCallback on_progress{};
};

/// Where training is; handed to the progress callback after every step.
struct Progress {
    std::size_t block = 0, blocks = 0;  ///< from 0
    int epoch = 0, epochs = 0;          ///< from 0
    std::size_t step = 0, steps = 0;    ///< of the epoch, from 0
    double loss = 0;                    ///< of this step
};
namespace detail {

/// Mean of the squares of a (minus b), summed in double, in order.
inline double mean_square(const nn::Tensor& a) {
    double sum = 0;
    for (float v : a) sum += static_cast<double>(v) * static_cast<double>(v);
    return sum / static_cast<double>(a.size());
}
inline double mean_squared_error(const nn::Tensor& a, const nn::Tensor& b) {
    double sum = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
        double const d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        sum += d * d;
    }
    return sum / static_cast<double>(a.size());
}

/// The nodes that a node's output is computed from, itself included, in graph order.
inline std::vector<nn::NodeId> ancestors(const nn::Network& network, nn::NodeId of) {
    std::vector<nn::NodeId> found{of};
    for (std::size_t i = 0; i != found.size(); ++i)
        for (nn::NodeId input : network.node(found[i]).inputs)
            if (std::ranges::find(found, input) == found.end()) found.push_back(input);
    std::ranges::sort(found);
    return found;
}

}  // namespace detail

/// Trains the block of `student`; the blocks before it are trained already, `teacher` is its float original.
class BlockTrainer {
public:
    /// `block`: nodes in a row, each reading the one before. `dump`: the teacher's part, when it was dumped.
    BlockTrainer(const nn::Network& teacher, nn::Network& student, const PlannedBlock& block,
                 const TeacherDump* dump, std::size_t index)
        : teacher_(teacher), student_(student), block_(block), dump_(dump), index_(index) {
        for (std::size_t k : block.nodes) nodes_.push_back(student.operations()[k]);
        feed_ = student.node(nodes_.front()).inputs.at(0);
        before_ = detail::ancestors(student, feed_);
        until_ = detail::ancestors(teacher, nodes_.back());
        for (nn::NodeId id : nodes_)
            if (auto const m = student.node(id).module;
                m && std::ranges::find(modules_, *m) == modules_.end())
                modules_.push_back(*m);
    }

    /// Error: the teacher's dump cannot be read. `cancelled` is set when the callback said so.
    result<BlockReport> train(std::span<const nn::Tensor> batches, const TrainOptions& options,
                              Progress progress, bool& cancelled) {
        report_ = {.names = block_.names};
        auto const start = loss_over(batches);
        if (!start) return start.diagnostics();
        report_.loss_before = report_.loss_after = *start;
        if (!std::isfinite(*start)) {
            report_.stopped = "the loss is not finite before training";
            return report_;
        }
        std::vector<nn::Module> best = modules();

        AdamW optimizer(options.adamw);
        for (auto& p : student_.parameters(tape_))
            if (std::ranges::find(modules_, p.module) != modules_.end() && p.role != nn::Role::statistic) {
                optimizer.add(*p.value, *p.gradient, options.learning_rates.of(p.role));
                trained_.push_back(p);
            }
        progress.epochs = options.epochs;
        progress.steps = batches.size();
        for (int epoch = 0; epoch < options.epochs && report_.stopped.empty() && !cancelled; ++epoch) {
            double sum = 0;
            std::size_t steps = 0;
            for (std::size_t i = 0; i != batches.size() && report_.stopped.empty() && !cancelled; ++i) {
                auto const loss = step(batches[i], i, optimizer);
                if (!loss) return loss.diagnostics();
                sum += *loss;
                ++steps;
                progress.epoch = epoch;
                progress.step = i;
                progress.loss = *loss;
                if (options.on_progress && !options.on_progress(progress)) cancelled = true;
            }
            report_.epoch_losses.push_back(sum / static_cast<double>(steps));
            if (!report_.stopped.empty()) break;
            auto const loss = loss_over(batches);
            if (!loss) return loss.diagnostics();
            if (*loss < report_.loss_after) {
                report_.loss_after = *loss;
                report_.best_epoch = epoch + 1;
                best = modules();
            }
        }
        for (std::size_t k = 0; k != modules_.size(); ++k)
            student_.module(student_.modules()[modules_[k]].name) = std::move(best[k]);
        return report_;
    }

private:
    std::vector<nn::Module> modules() const {
        std::vector<nn::Module> copies;
        for (std::size_t m : modules_) copies.push_back(student_.modules()[m].module);
        return copies;
    }

    /// Brings the block's input into the student's tape and the teacher's output into `target_`. Returns
    /// whether the input is the teacher's: where the student's is off by more than half of the smaller
    /// signal's power, it has nothing left to teach.
    result<bool> feed(const nn::Tensor& batch, std::size_t i) {
        tape_.output(student_.inputs()[0]) = batch;
        student_.forward_nodes(before_, tape_, nn::Mode::evaluate);
        nn::Tensor& own = tape_.output(feed_);
        if (dump_ != nullptr) {
            auto step = dump_->load(index_, i);
            if (!step) return step.diagnostics();
            input_ = std::move(step->input);
            target_ = std::move(step->output);
        } else {
            teacher_tape_.output(teacher_.inputs()[0]) = batch;
            teacher_.forward_nodes(until_, teacher_tape_, nn::Mode::evaluate);
            input_ = teacher_tape_.output(feed_);
            target_ = teacher_tape_.output(nodes_.back());
        }
        double const distance = detail::mean_squared_error(input_, own);
        double const power = (std::min)(detail::mean_square(input_), detail::mean_square(own));
        bool const too_far = !(distance <= 0.5 * power);  // not finite is too far as well
        if (too_far) own = input_;
        return too_far;
    }

    result<double> forward(const nn::Tensor& batch, std::size_t i, std::size_t* teacher_inputs) {
        auto const fed = feed(batch, i);
        if (!fed) return fed.diagnostics();
        if (teacher_inputs != nullptr && *fed) ++*teacher_inputs;
        student_.forward_nodes(nodes_, tape_, nn::Mode::evaluate);
        return detail::mean_squared_error(tape_.output(nodes_.back()), target_);
    }

    /// Mean squared error over all batches, the parameters as they are.
    result<double> loss_over(std::span<const nn::Tensor> batches) {
        double sum = 0, values = 0;
        for (std::size_t i = 0; i != batches.size(); ++i) {
            auto const loss = forward(batches[i], i, nullptr);
            if (!loss) return loss.diagnostics();
            auto const size = static_cast<double>(target_.size());
            sum += *loss * size;
            values += size;
        }
        return sum / values;
    }

    /// One step of the optimizer; says why in `stopped` when something is not finite, and then does no harm.
    result<double> step(const nn::Tensor& batch, std::size_t i, AdamW& optimizer) {
        auto const loss = forward(batch, i, &report_.teacher_inputs);
        if (!loss) return loss.diagnostics();
        if (!std::isfinite(*loss)) {
            report_.stopped = "the loss is not finite";
            return *loss;
        }
        const nn::Tensor& output = tape_.output(nodes_.back());
        gradient_.resize(output.shape());
        nn::array(gradient_) =
            (nn::array(output) - nn::array(target_)) * (2.0f / static_cast<float>(output.size()));
        student_.zero_gradients(tape_);
        student_.backward_nodes(nodes_, gradient_, tape_, nn::Mode::evaluate);
        if (!all_finite(&nn::NamedParameter::gradient)) {
            report_.stopped = "a gradient is not finite";
            return *loss;
        }
        optimizer.step();
        if (!all_finite(&nn::NamedParameter::value)) report_.stopped = "a parameter is not finite";
        student_.constrain();
        return *loss;
    }
    bool all_finite(nn::Tensor* nn::NamedParameter::*member) const {
        return std::ranges::all_of(trained_, [&](const nn::NamedParameter& p) {
            return detail::range_of((p.*member)->span()).finite;
        });
    }

    const nn::Network& teacher_;
    nn::Network& student_;
    const PlannedBlock& block_;
    const TeacherDump* dump_;
    std::size_t index_;
    std::vector<nn::NodeId> nodes_{}, before_{}, until_{};
    nn::NodeId feed_{};
    std::vector<std::size_t> modules_{};
    std::vector<nn::NamedParameter> trained_{};
    nn::Tape tape_{}, teacher_tape_{};
    nn::Tensor input_{}, target_{}, gradient_{};
    BlockReport report_{};
};

}  // namespace amct_distill
