// SPDX-License-Identifier: Apache-2.0
/// A certified histogram for IFMR: one pass over the values tells, for each candidate, between which bounds
/// its loss is, so that only those that could be the smallest need be evaluated exactly.
///
///     CertifiedHistogram<false, 12> histogram(largest);     // of |x|, 2^12 cells up to `largest`
///     if (histogram.usable(candidates)) histogram.add(part, on);  ...
///     histogram.finish();
///     LossBound const of_first = histogram.bound(candidates[0]);
///
/// How it works. The loss of a candidate, with q_k = float(k * s) for its codes k and e the float32 error, is
/// L = sum e(x)^2. But for rounding that is sum min_k (q_k - x)^2 (a code is the nearest one there is), and
///
///     L - sum x^2 = sum g(x),   g(x) = min_k (q_k^2 - 2 q_k x)
///
/// where sum x^2 is common to all candidates and g is concave and piecewise linear. Where a cell of the
/// histogram lies within one piece, the number n of its values and their sum S give its part exactly,
/// n q_k^2 - 2 q_k S. In a cell [a, b) with a boundary t between pieces k and k + 1, the k-th piece is too
/// large by 2 (q_{k+1} - q_k) * sum (x - t)+, of which with the mean m = S / n the convexity of (x - t)+
/// gives
///
///     n (m - t)+  <=  sum (x - t)+  <=  n (m - a)(b - t) / (b - a)      (Jensen; the chord)
///
/// Lengths are measured in units of the fixed point, x -> F x with F = (2^24 - 2^4) / largest (Signed: 2^23),
/// and e = 2^-24. What else separates this from L, term by term as in `bound`:
///
///  1. Fixed point. w = float(F x) < 2^24 has an error of at most e w, and u = trunc(w): so x is within
///     h = 1/2 + e (u + 1) <= 3/2 of u + 1/2, which is taken for it - by all candidates alike, so that
///     sum x^2 stays common. A squared error changes with slope 2 |error|, that is step + 2h at most between
///     the outermost codes (step: the largest q_{k+1} - q_k), where it moves by h (step + 2h) at most, and
///     by 2h (d + h) for a value at d beyond an outermost code.
///  2. CodeRange. float(x / s) passes k + 1/2 within a relative e of it, and (q_k + q_{k+1}) / 2 is within
///     e (|k| + 1) s of (k + 1/2) s. Values between the two, 2.02 e (|k| + 1) step apart at most, have the
///     other code, at 2 step times the distance. They are in the boundary's cell or the two beside it.
///  3. float(q_k - x) rounds once, relative e: 2 e L, with what the summation in double adds below 3.1 e L.
///     L <= n (step / 2 + 3)^2 between the outermost codes and sum d^2 <= max d * sum d beyond them.
///  4. Values beyond `largest` have the outermost code of every candidate. They are kept as they are, for
///     they are few, or the histogram is not used; so nothing is added for them.
///  5. Double arithmetic here: at most 2 (codes + cells) roundings, 2^-53 each, on the path of any term, and
///     as many as there are values beyond `largest`.
///
/// Counts and sums are integers, exact. A cell is one 64-bit word, a count above 44 bits of sum, so that a
/// value costs one addition. Words are emptied into wider counters after 2^19 values at most: the sum is then
/// below 2^19 * 2^24 = 2^43 and the count, of 20 bits, below 2^20.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include "../run/execution.hpp"
#include "kernels/fixed_point.hpp"

namespace amct_distill::detail {

/// What the loss of a candidate depends on: values become float(k * scale), k = min_code..max_code.
struct CodeRange {
    float scale;
    int min_code, max_code;
};

/// Its loss times F^2, without the sum of squares, is within `slack` of `estimate`.
struct LossBound {
    double estimate = 0, slack = 0;
    double low() const { return estimate - slack; }
    double high() const { return estimate + slack; }
};

/// `Signed` makes a histogram of x, otherwise of |x|, for candidates that treat x and -x alike.
template <bool Signed, int CellBits>
class CertifiedHistogram {
    using Loop = CountLoop<Signed, CellBits>;
    static constexpr std::size_t cells = Loop::cells;
    static constexpr double epsilon = 0x1p-24;

public:
    /// `largest`: the largest magnitude that a candidate does not clip, or a smaller one that all values
    /// have. To be checked by `usable` first.
    explicit CertifiedHistogram(float largest)
        : factor_(static_cast<float>((1 << Loop::magnitude_bits) - 16) / largest),
          counts_(cells),
          sums_(cells) {}

    /// Whether fixed point can represent the values, and cells are narrow enough for the candidates: at most
    /// one boundary in each, and farther from the next than step 2 above looks.
    bool usable(std::span<const CodeRange> candidates) const {
        if (!(std::isnormal(factor_) && factor_ < 0x1p100f && factor_ > 0x1p-100f)) return false;
        return std::all_of(candidates.begin(), candidates.end(), [&](const CodeRange& c) {
            double const step = static_cast<double>(c.scale) * static_cast<double>(factor_);
            bool const finite = std::isfinite(c.scale * static_cast<float>(c.max_code)) &&
                                std::isfinite(c.scale * static_cast<float>(c.min_code));
            return finite && (c.min_code == c.max_code || step >= 4 * width());
        });
    }

    /// Precondition: all finite.
    void add(std::span<const float> x, const Execution& on) {
        std::mutex merging;
        in_parts(on, x.size(), period, [&](std::size_t begin, std::size_t end) {
            std::vector<std::uint64_t> words(cells);
            for (std::size_t i = begin; i < end; i += period) {
                std::vector<float> beyond;
                run_on(on.instructions,
                       Loop{x.data() + i, (std::min)(period, end - i), factor_, words.data(), &beyond});
                std::lock_guard const lock(merging);
                empty(words);
                beyond_.insert(beyond_.end(), beyond.begin(), beyond.end());
            }
        });
        total_ += x.size();
    }

    /// Whether so many values lie beyond `largest` that counting them was of no use.
    bool too_many_beyond() const { return beyond_.size() > total_ / 16 + 1024; }

    /// Call once, after the last `add`.
    void finish() {
        std::sort(beyond_.begin(), beyond_.end());  // no matter in which order they came
        for (float v : beyond_) {
            double const y = static_cast<double>(v) * static_cast<double>(factor_);
            auto& [n, sum] = above(v) ? above_ : below_;
            ++n;
            sum += Signed ? y : std::abs(y);
            beyond_squares_ += y * y;
        }
        n_.assign(cells + 1, 0);
        s_.assign(cells + 1, 0);
        for (std::size_t j = 0; j != cells; ++j) {
            // In increasing order: of the negative ones, the largest magnitude first.
            std::size_t const half = cells / 2, cell = !Signed ? j : j < half ? cells - 1 - j : j - half;
            auto const n = static_cast<double>(counts_[cell]);
            double const magnitude = static_cast<double>(sums_[cell]) + n / 2;
            magnitudes_ += magnitude;
            n_[j + 1] = n_[j] + n;
            s_[j + 1] = s_[j] + (Signed && j < half ? -magnitude : magnitude);
        }
    }

    LossBound bound(const CodeRange& c) const {
        auto const q = [&](int k) {
            return static_cast<double>(static_cast<float>(k) * c.scale) * static_cast<double>(factor_);
        };
        double const n = n_[cells], scale = static_cast<double>(c.scale) * static_cast<double>(factor_);
        // Neighbours are a scale apart, but for the rounding of both.
        double const step =
            c.min_code == c.max_code ? 0 : scale * (1 + 4 * epsilon * (std::max)(-c.min_code, c.max_code));
        double estimate = 0, magnitude = 0, slack = 0;
        auto const add_line = [&](double count, double sum, double to) {
            estimate += count * to * to - 2 * to * sum;
            magnitude += count * to * to + 2 * std::abs(to * sum);
        };

        std::size_t begin = 0;  // the first cell that no code has taken yet
        for (int k = c.min_code; k != c.max_code; ++k) {
            double const here = q(k), next = q(k + 1), t = (here + next) / 2;
            std::size_t const end = cellsbelow(t);  // the last of them may have t inside
            if (end > begin) add_line(n_[end] - n_[begin], s_[end] - s_[begin], here);
            if (end != 0) {
                double const a = edge(end - 1), b = edge(end), count = n_[end] - n_[end - 1];
                if (count > 0 && t < b) {
                    double const m = (std::clamp)((s_[end] - s_[end - 1]) / count, a, b);
                    double const least = count * (std::max)(0.0, m - t);
                    double const most = count * (m - a) * (b - t) / (b - a);
                    estimate -= (next - here) * (least + most);
                    slack += (next - here) * (std::max)(0.0, most - least);
                }
            }
            double const nearby = n_[(std::min)(end + 1, cells)] - n_[end < 2 ? 0 : end - 2];
            slack += nearby * 2 * step * 2.02 * epsilon * (std::abs(k) + 2) * step;  // 2
            begin = (std::max)(begin, end);
        }
        add_line(n - n_[begin], s_[cells] - s_[begin], q(c.max_code));
        add_line(above_.n, above_.sum, q(c.max_code));
        add_line(below_.n, below_.sum, q(c.min_code));

        // Beyond the outermost codes: the sum of distances, from the edge of the cell the code is in.
        std::size_t const top = cellsbelow(q(c.max_code)), last = top == 0 ? 0 : top - 1;
        double beyond = s_[cells] - s_[last] - (n - n_[last]) * edge(last),
               farthest = edge(cells) - edge(last);
        if (Signed) {
            std::size_t const first = cellsbelow(q(c.min_code));
            beyond += n_[first] * edge(first) - s_[first];
            farthest = (std::max)(farthest, edge(first) - edge(0));
        }
        slack += step * (n / 2 + 1.01 * epsilon * (magnitudes_ + n)) + 4.5 * n + 3 * beyond + 4.5 * n;  // 1
        double const inside = step / 2 + 3;
        double const loss = n * inside * inside + (farthest + 1.5) * (beyond + 1.5 * n) + beyond_squares_;
        slack += 3.1 * epsilon * loss;  // 3
        slack += 0x1p-52 * (c.max_code - c.min_code + static_cast<double>(cells) + above_.n + below_.n) *
                 magnitude;  // 5
        return {estimate, slack};
    }

    /// To turn an estimate into a sum of squared errors.
    double unit_squared() const { return 1 / (static_cast<double>(factor_) * static_cast<double>(factor_)); }

private:
    struct Sum {
        double n = 0, sum = 0;
    };

    static bool above(float v) { return !Signed || v > 0; }
    static constexpr double width() { return 1 << (24 - CellBits); }
    double edge(std::size_t j) const {
        return (static_cast<double>(j) - (Signed ? static_cast<double>(cells / 2) : 0.0)) * width();
    }
    /// How many cells begin at or below t.
    std::size_t cellsbelow(double t) const {
        double const j = std::floor((t - edge(0)) / width()) + 1;
        return static_cast<std::size_t>((std::clamp)(j, 0.0, static_cast<double>(cells)));
    }

    void empty(std::span<std::uint64_t> words) {
        for (std::size_t j = 0; j != cells; ++j) {
            counts_[j] += words[j] >> Loop::sum_bits;
            sums_[j] += words[j] & ((std::uint64_t{1} << Loop::sum_bits) - 1);
            words[j] = 0;
        }
    }

    static constexpr std::size_t period = std::size_t{1} << 19;

    float factor_;
    std::vector<std::uint64_t> counts_, sums_;
    std::vector<float> beyond_{};
    std::size_t total_ = 0;
    // Since finish(): of the cells up to the j-th in increasing order, and of what lies beyond them.
    std::vector<double> n_{}, s_{};
    Sum above_{}, below_{};
    double magnitudes_ = 0, beyond_squares_ = 0;
};

}  // namespace amct_distill::detail
