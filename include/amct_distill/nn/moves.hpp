// SPDX-License-Identifier: Apache-2.0
/// Where each value of an output comes from, axis by axis: what all modules share that only move values.
///
///     detail::Moves<float> moves(scratch);            // [N, H, W] -> [N, W, H padded by 1 on both sides]
///     moves.every(N, H * W);                          // the outermost axis: its size, a step in the input
///     moves.every(W, 1);
///     moves.at(H + 2, W, [&](Index i) { return i == 0 || i == H + 1 ? -1 : i - 1; });  // -1: the fill value
///     moves.forward(x, y);                            // y in order; backward adds y's gradient to x's
///
/// An axis of the output moves along a dimension of the input, or a part of one (blocks of DepthToSpace), and
/// no two of them along the same, unless one of them repeats: its step is 0.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "module.hpp"

namespace amct_distill::detail {

template <class T>
class Moves {
    using Index = nn::Index;

public:
    /// The axes are kept in the scratch's buffers, so that only the first step allocates.
    explicit Moves(nn::BasicScratch<T>& scratch)
        : scratch_(scratch),
          sizes_(scratch.indices(0)),
          steps_(scratch.indices(1)),
          tables_(scratch.indices(2)),
          below_(scratch.indices(3)),
          offsets_(scratch.indices(4)) {
        for (auto* list : {&sizes_, &steps_, &tables_, &below_, &offsets_}) list->clear();
    }

    /// What begins the input's part that is read.
    void skip(Index values) { start_ += values; }
    /// What stands where there is no source.
    void fill(T value) { fill_ = value; }
    /// The next axis inwards: every `step`-th value of the input.
    void every(Index size, Index step) {
        if (size == 1) return;
        if (!sizes_.empty() && tables_.back() < 0 && steps_.back() == size * step) {  // one axis of both
            sizes_.back() *= size;
            steps_.back() = step;
        } else {
            append(size, step, -1);
        }
    }
    /// The next axis inwards: value i comes from index(i) * step; a negative index has no source.
    template <class F>
    void at(Index size, Index step, F index) {
        append(size, step, static_cast<Index>(offsets_.size()));
        for (Index i = 0; i != size; ++i) {
            Index const from = index(i);
            offsets_.push_back(from < 0 ? none : from * step);
        }
    }

    void forward(const T* x, T* y) {
        run(
            true,
            [&](Index from, Index out, Index size, Index step, const Index* offsets) {
                T* const to = y + out;
                const T* const source = x + from;
                if (offsets)
                    for (Index i = 0; i != size; ++i) to[i] = offsets[i] == none ? fill_ : source[offsets[i]];
                else if (step == 1)
                    std::copy(source, source + size, to);
                else
                    for (Index i = 0; i != size; ++i) to[i] = source[i * step];
            },
            [&](Index out, Index size) { std::fill(y + out, y + out + size, fill_); });
    }
    /// Adds.
    void backward(const T* grad_y, T* grad_x) {
        // Parts of the outermost axis may run at the same time when none reads what another reads.
        bool const apart = !sizes_.empty() && tables_[0] < 0 && steps_[0] != 0;
        run(
            apart,
            [&](Index from, Index out, Index size, Index step, const Index* offsets) {
                const T* const g = grad_y + out;
                T* const to = grad_x + from;
                if (offsets) {
                    for (Index i = 0; i != size; ++i)
                        if (offsets[i] != none) to[offsets[i]] += g[i];
                } else {
                    for (Index i = 0; i != size; ++i) to[i * step] += g[i];
                }
            },
            [](Index, Index) {});
    }

private:
    static constexpr Index none = -1;

    void append(Index size, Index step, Index table) {
        sizes_.push_back(size);
        steps_.push_back(step);
        tables_.push_back(table);
    }
    const Index* offsets(std::size_t axis) const {
        return tables_[axis] < 0 ? nullptr : offsets_.data() + tables_[axis];
    }

    /// row(from, out, size, step, offsets) for every run along the innermost axis; no_source(out, size) where
    /// an outer axis has none.
    template <class Row, class NoSource>
    void run(bool parallel, const Row& row, const NoSource& no_source) {
        if (sizes_.empty()) append(1, 1, -1);
        below_.assign(sizes_.size(), 1);
        for (std::size_t i = sizes_.size() - 1; i-- != 0;) below_[i] = below_[i + 1] * sizes_[i + 1];
        if (sizes_.size() == 1) return walk(0, start_, 0, row, no_source);
        auto const part = [&](Index i, Index) { step_in(0, i, start_, i * below_[0], row, no_source); };
        scratch_.parallel_for(sizes_[0], parallel ? double(sizes_[0] * below_[0]) : 0.0, part);
    }
    template <class Row, class NoSource>
    void walk(std::size_t axis, Index from, Index out, const Row& row, const NoSource& no_source) const {
        if (axis + 1 == sizes_.size()) return row(from, out, sizes_[axis], steps_[axis], offsets(axis));
        for (Index i = 0; i != sizes_[axis]; ++i, out += below_[axis])
            step_in(axis, i, from, out, row, no_source);
    }
    template <class Row, class NoSource>
    void step_in(std::size_t axis, Index i, Index from, Index out, const Row& row,
                 const NoSource& no_source) const {
        const Index* const table = offsets(axis);
        Index const offset = table ? table[i] : i * steps_[axis];
        if (table && offset == none)
            no_source(out, below_[axis]);
        else
            walk(axis + 1, from + offset, out, row, no_source);
    }

    nn::BasicScratch<T>& scratch_;
    std::vector<Index>&sizes_, &steps_, &tables_, &below_, &offsets_;  // by axis; the last by table
    Index start_ = 0;
    T fill_ = 0;
};

/// A module with one input whose values it moves. `Derived` has `moves(input shape, output shape, moves)`,
/// which adds the axes of the output from the outermost inwards.
template <class Derived, class T>
class MovingModule {
public:
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        described(inputs[0]->shape(), output.shape(), scratch).forward(inputs[0]->data(), output.data());
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (grad_inputs[0])
            described(inputs[0]->shape(), grad_output.shape(), scratch)
                .backward(grad_output.data(), grad_inputs[0]->data());
    }

private:
    Moves<T> described(const nn::Shape& input, const nn::Shape& output, nn::BasicScratch<T>& scratch) const {
        Moves<T> moves(scratch);
        static_cast<const Derived&>(*this).moves(input, output, moves);
        return moves;
    }
};

/// How far apart neighbours along a dimension are.
inline nn::Index step_of(const nn::Shape& shape, std::size_t dim) {
    return nn::product(shape, dim + 1, shape.size());
}

/// The error of a module that would have to change the free batch.
inline Diagnostic touches_batch(std::string_view what, std::span<const nn::Shape> found) {
    return unexpected_inputs(concat("a fixed batch for ", what,
                                    " (fixed_input(); of an import --shape NAME=..., or Batch::as_exported)"),
                             found);
}

}  // namespace amct_distill::detail
