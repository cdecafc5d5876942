// SPDX-License-Identifier: Apache-2.0
/// The largest value of each window of many planes, and the gradient to the first that is largest: by
/// vectors.
///
///     detail::MaxPlanes<float> const max(window, planes);
///     max.forward(x, y, scratch);
///     max.backward(x, grad_y, grad_x, scratch);
///
/// NaN is larger than all. As in depthwise.hpp, rows of a plane are laid out so that what a tap sees is one
/// run;
/// outside stands -infinity. Which tap is the first with the maximum is known from the taps' order; then
/// each tap
/// in turn passes on the gradients of the outputs that are its own.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>

#include "runs.hpp"
#include "scratch.hpp"
#include "tap_sums.hpp"
#include "window.hpp"

namespace amct_distill::detail {

template <class T>
class MaxPlanes {
public:
    using Index = nn::Index;

    MaxPlanes(const Window& window, Index planes)
        : w_(window), planes_(planes), all_{window.output(0), window.output(1)} {
        for (std::size_t d : {0u, 1u}) {
            reach_[d] = (w_.kernel[d] - 1) * w_.dilation[d] / w_.stride[d];
            phases_[d] = (std::min)(w_.stride[d], (w_.kernel[d] - 1) * w_.dilation[d] + 1);
        }
        pitch_ = all_[1] + reach_[1];
        rows_ = std::clamp(4096 / pitch_ - reach_[0], (std::min)(all_[0], Index(4)), all_[0]);
        phase_size_ = (rows_ + reach_[0]) * pitch_;
        laid_ = parts_of_16(phases_[0] * phases_[1] * phase_size_ + reach_[1] + 3 * run_slack);
        flat_ = parts_of_16(rows_ * pitch_ + 2 * run_slack);
    }

    void forward(const T* x, T* y, nn::BasicScratch<T>& scratch) const {
        Taps const taps = list_taps(scratch);
        T* const buffers = scratch.buffer(0, laid_ + flat_);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(planes_, work(), [&](Index plane, Index worker) {
            T* const laid = buffers + worker * (laid_ + flat_);
            run_on(set,
                   Forward{*this, taps, x + plane * pixels(), y + plane * outputs(), laid, laid + laid_});
        });
    }

    /// (So a window of nothing but -infinity, to its first pixel.)
    void backward(const T* x, const T* grad_y, T* grad_x, nn::BasicScratch<T>& scratch) const {
        Taps const taps = list_taps(scratch);
        T* const buffers = scratch.buffer(0, 2 * laid_ + flat_);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(planes_, work(), [&](Index plane, Index worker) {
            T* const laid = buffers + worker * (2 * laid_ + flat_);
            Backward const kernel{*this,
                                  taps,
                                  x + plane * pixels(),
                                  grad_y + plane * outputs(),
                                  grad_x + plane * pixels(),
                                  laid,
                                  laid + laid_,
                                  laid + 2 * laid_};
            run_on(set, kernel);
        });
    }

private:
    static Index parts_of_16(Index n) { return (n + 15) / 16 * 16; }
    Index pixels() const { return w_.input[0] * w_.input[1]; }
    Index outputs() const { return all_[0] * all_[1]; }
    double work() const { return double(planes_ * outputs()) * double(w_.taps()); }

    Taps list_taps(nn::BasicScratch<T>& scratch) const {
        auto& offsets = scratch.indices(0);
        offsets.clear();
        for (Index ky = 0; ky != w_.kernel[0]; ++ky)
            for (Index kx = 0; kx != w_.kernel[1]; ++kx) {
                Index const y = ky * w_.dilation[0], x = kx * w_.dilation[1];
                Index const phase = y % w_.stride[0] * phases_[1] + x % w_.stride[1];
                offsets.push_back(phase * phase_size_ + y / w_.stride[0] * pitch_ + x / w_.stride[1]);
            }
        return {offsets.data(), nullptr, static_cast<Index>(offsets.size())};
    }

    template <int Bytes>
    [[gnu::always_inline]] void lay(const T* plane, Index row, Index rows, T* to) const {
        for (Index py = 0; py != phases_[0]; ++py)
            for (Index px = 0; px != phases_[1]; ++px) {
                T* const phase = to + (py * phases_[1] + px) * phase_size_;
                lay_out<Bytes>(plane, part(row, py, px), rows + reach_[0], pitch_, pitch_, phase,
                               -std::numeric_limits<T>::infinity());
            }
    }
    PlanePart part(Index row, Index py, Index px) const {
        return {w_.input[0],        w_.input[1],  row * w_.stride[0] + py - w_.padding[0],
                px - w_.padding[1], w_.stride[0], w_.stride[1]};
    }

    /// The larger one, NaN if there is one. Two steps, which the compiler must not make one of: g++ 12
    /// would join
    /// the comparisons, element by element.
    template <class V>
    [[gnu::always_inline]] static void larger(const V& v, const V& most, V& out) {
        V next = most == most ? v : most;
        keep_rounded(next);
        out = next <= most ? most : next;
    }

    struct Forward {
        const MaxPlanes& m;
        Taps taps;
        const T* x;
        T* y;
        T *laid, *flat;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            using V = typename Lanes<T, Bytes>::type;
            constexpr Index lanes = Lanes<T, Bytes>::count;
            Index const cols = m.all_[1], pitch = m.pitch_;
            for (Index row = 0; row < m.all_[0]; row += m.rows_) {
                Index const rows = (std::min)(m.rows_, m.all_[0] - row), n = (rows - 1) * pitch + cols;
                m.template lay<Bytes>(x, row, rows, laid);
                for (Index i = 0; i < n; i += lanes) {
                    V most, v;
                    load(laid + taps.offset[0] + i, most);
                    for (Index t = 1; t < taps.count; ++t) {
                        load(laid + taps.offset[t] + i, v);
                        larger(v, most, most);
                    }
                    store(most, flat + i);
                }
                for (Index r = 0; r != rows; ++r)
                    copy_run<Bytes>(flat + r * pitch, cols, y + (row + r) * cols);
            }
        }
    };

    struct Backward {
        const MaxPlanes& m;
        Taps taps;
        const T *x, *g;
        T* gx;
        T *laid, *gradient, *flat;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            using V = typename Lanes<T, Bytes>::type;
            constexpr Index lanes = Lanes<T, Bytes>::count;
            Index const cols = m.all_[1], pitch = m.pitch_;
            for (Index row = 0; row < m.all_[0]; row += m.rows_) {
                Index const rows = (std::min)(m.rows_, m.all_[0] - row), n = (rows - 1) * pitch + cols;
                m.template lay<Bytes>(x, row, rows, laid);
                const T* const grad_y = g + row * cols;
                lay_out<Bytes>(grad_y, {rows, cols, 0, 0, 1, 1}, rows, cols, pitch, flat);
                zero_run<Bytes>(flat + rows * pitch, run_slack);
                zero_run<Bytes>(gradient, m.laid_ - lanes);
                V lost{};  // of windows whose maximum is -infinity: the first tap may be padding
                for (Index i = 0; i < n; i += lanes) {
                    V most, v, old, first{};
                    V zero{};
                    V const lowest = zero - std::numeric_limits<T>::infinity();
                    keep_rounded(zero);  // else g++ 12 makes a mask of the comparison, element by element
                    load(laid + taps.offset[0] + i, most);
                    for (Index t = 1; t < taps.count; ++t) {
                        load(laid + taps.offset[t] + i, v);
                        V tap = zero + T(t);
                        V const before = most;
                        tap = before == before ? tap : first;
                        keep_rounded(tap);
                        V next = before == before ? v : before;
                        keep_rounded(next);
                        first = next <= before ? first : tap;
                        most = next <= before ? before : next;
                    }
                    load(flat + i, v);
                    lost += most == lowest ? v * v : zero;
                    for (Index t = 0; t != taps.count; ++t) {
                        V const tap = zero + T(t);
                        load(gradient + taps.offset[t] + i, old);
                        old += first == tap ? v : zero;
                        store(old, gradient + taps.offset[t] + i);
                    }
                }
                T lane[std::size_t(lanes)];
                std::memcpy(lane, &lost, sizeof lane);
                T sum = 0;
                for (T l : lane) sum += l;
                if (sum != 0) {
                    by_pixel(row, rows);
                    continue;
                }
                for (Index py = 0; py != m.phases_[0]; ++py)
                    for (Index px = 0; px != m.phases_[1]; ++px)
                        add_back<Bytes>(gradient + (py * m.phases_[1] + px) * m.phase_size_, pitch,
                                        rows + m.reach_[0], pitch, m.part(row, py, px), gx);
            }
        }
        [[gnu::noinline]] void by_pixel(Index row, Index rows) const {
            const Window& w = m.w_;
            for (Index y = row; y != row + rows; ++y)
                for (Index c = 0; c != m.all_[1]; ++c) {
                    Index best = -1;
                    for (Index k = 0; k != w.taps(); ++k) {
                        Index const py = y * w.stride[0] + w.offset(0, k / w.kernel[1]);
                        Index const px = c * w.stride[1] + w.offset(1, k % w.kernel[1]);
                        if (py < 0 || py >= w.input[0] || px < 0 || px >= w.input[1]) continue;
                        Index const i = py * w.input[1] + px;
                        if (best < 0 || x[i] > x[best] || (x[i] != x[i] && x[best] == x[best])) best = i;
                    }
                    if (best >= 0) gx[best] += g[y * m.all_[1] + c];
                }
        }
    };

    Window w_;
    Index planes_;
    nn::Size2 all_, reach_{}, phases_{};
    Index pitch_ = 0, rows_ = 0, phase_size_ = 0, laid_ = 0, flat_ = 0;
};

}  // namespace amct_distill::detail
