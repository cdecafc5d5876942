// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/ulq.hpp>

#include <limits>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"
#include "support/golden.hpp"

namespace quant_ulq_test {

using namespace amct_distill;

namespace {

RowMajorMatrix matrix(const golden::json::value& tensor) {
    auto const data = golden::floats(tensor);
    auto const rows = static_cast<Eigen::Index>(golden::shape(tensor).at(0));
    return Eigen::Map<const RowMajorMatrix>(data.data(), rows, static_cast<Eigen::Index>(data.size()) / rows);
}
std::vector<float> values(const RowMajorMatrix& w) { return {w.data(), w.data() + w.size()}; }

/// The original sums in float32: its gradients differ by this part of the sum of the terms' absolute values.
constexpr double gradient_tolerance = 1e-6;

/// The sum of the absolute values of a scale gradient's terms, row r or all rows.
template <class B>
double absolute_terms(const RowMajorMatrix& w, const RowMajorMatrix& g, float scale, Eigen::Index begin,
                      Eigen::Index end) {
    double sum = 0;
    for (Eigen::Index r = begin; r != end; ++r) {
        for (Eigen::Index c = 0; c != w.cols(); ++c) {
            double const t = static_cast<double>(w(r, c)) / static_cast<double>(scale);
            double const slope = t > B::qmax ? B::qmax : t < B::qmin ? B::qmin : std::nearbyint(t) - t;
            sum += std::abs(slope * static_cast<double>(g(r, c)));
        }
    }
    return sum / std::sqrt(static_cast<double>(w.cols()) * B::qmax);
}

/// `s_rec_flag`: the original keeps r = 1 / s as its parameter. Its scale is then 1 / r, what it returns
/// 1 / (1 / r), and its gradient by the chain rule d/dr = -s^2 * d/ds. Nothing else changes, so the test
/// converts.
/// Returns whether the original's guard made a difference in the first step: later ones are given their
/// scales.
template <class B, class G>
bool run_golden(const golden::json::value& c) {
    bool guarded = false;
    bool const reciprocal = c.at("attrs").at("s_rec_flag").as_bool();
    auto const initial = matrix(c.at("inputs").at("weight"));
    Ulq<B, G> ulq;
    REQUIRE(ulq.initialize(initial));

    for (const auto& step : c.at("steps").as_array()) {
        bool const first = step.at("arq_init").as_bool();
        RowMajorMatrix const w = first ? initial : matrix(step.at("weight"));
        auto const scale_in = golden::floats(step.at("scale_in"));
        REQUIRE(ulq.parameters().size() == scale_in.size());
        if (first && reciprocal)
            for (float& s : ulq.parameters()) s = 1 / (1 / s);
        if (!first)
            for (std::size_t i = 0; i != scale_in.size(); ++i)
                ulq.parameters()[i] = reciprocal ? 1 / scale_in[i] : scale_in[i];
        ulq.constrain();

        auto const scale_out = golden::floats(step.at("scale_out"));
        auto const scales = ulq.scale_offsets(w);
        REQUIRE(scales.size() == scale_out.size());
        bool differs = false;
        for (std::size_t i = 0; first && i != scale_out.size(); ++i)
            differs |= golden::is_guarded(scale_out[i], scales[i].scale);
        if (differs) {
            CHECK(scales == Arq<B, G>{}.scale_offsets(w));  // whose own test looks at them
            guarded = true;
            continue;
        }
        RowMajorMatrix out(w.rows(), w.cols());
        for (const auto& on : support::executions()) {
            INFO(on.name);
            ulq.fake_quantize(w, out, on.how);
            CHECK(golden::first_difference(values(out), golden::floats(step.at("output"))) == golden::npos);
        }
        for (std::size_t i = 0; i != scale_out.size(); ++i) {
            CHECK(golden::same_bits(reciprocal ? 1 / scales[i].scale : scales[i].scale, scale_out[i]));
            CHECK(scales[i].offset == 0);
        }
        for (float offset : golden::floats(step.at("offset_out"))) CHECK(offset == 0);

        RowMajorMatrix const g = matrix(step.at("grad_output"));
        RowMajorMatrix grad_w(w.rows(), w.cols());
        std::vector<float> grad_scales(scales.size());
        ulq.backward(w, g, grad_w, grad_scales);
        CHECK(grad_w == g);
        for (const auto& on : support::executions()) {
            std::vector<float> same(grad_scales.size());
            ulq.backward(w, g, grad_w, same, on.how);
            CHECK(same == grad_scales);
        }
        auto const expected = golden::floats(step.at("grad_scale"));
        for (std::size_t i = 0; i != expected.size(); ++i) {
            double const s = static_cast<double>(scales[i].scale), factor = reciprocal ? -s * s : 1.0;
            auto const row = static_cast<Eigen::Index>(i);
            bool const by_row = std::same_as<G, ChannelWise>;
            double const terms =
                absolute_terms<B>(w, g, scales[i].scale, by_row ? row : 0, by_row ? row + 1 : w.rows());
            CHECK(std::abs(factor * static_cast<double>(grad_scales[i]) - static_cast<double>(expected[i])) <=
                  gradient_tolerance * std::abs(factor) * terms);
        }
    }
    return guarded;
}

RowMajorMatrix normal(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> value;
    return RowMajorMatrix::NullaryExpr(rows, cols, [&] { return value(random); });
}

}  // namespace

TEST_CASE("weight ULQ is the original's") {
    auto const file = golden::load("ulq_wts.json");
    std::size_t ran = 0, reciprocal = 0, guarded = 0;
    for (const auto& c : file.at("cases").as_array()) {
        INFO(c.at("name").as_string().c_str());
        auto const& attrs = c.at("attrs");
        REQUIRE(attrs.at("group").to_number<int>() == 1);
        REQUIRE(attrs.at("axis").to_number<int>() == 0);
        bool const channel_wise = attrs.at("channel_wise").as_bool();
        bool const differs =
            attrs.at("num_bits").to_number<int>() == 4
                ? (channel_wise ? run_golden<Int4, ChannelWise>(c) : run_golden<Int4, TensorWise>(c))
                : (channel_wise ? run_golden<Int8, ChannelWise>(c) : run_golden<Int8, TensorWise>(c));
        if (differs) ++guarded;
        if (attrs.at("s_rec_flag").as_bool()) ++reciprocal;
        ++ran;
    }
    std::size_t const total = file.at("cases").as_array().size();
    golden::print_count(
        "ulq_wts.json", ran, total,
        std::to_string(guarded) +
            " divergences: a first scale below 2^-23 is kept, where the original takes 1 (tiny_*); " +
            std::to_string(reciprocal) + " with reciprocal scales, converted");
    CHECK(guarded == 10);
    support::print_instruction_sets("golden ulq_wts.json");
    CHECK(ran == total);
}

TEST_CASE("training begins with ARQ's scales") {
    RowMajorMatrix const w = normal(3, 20, 1);
    Ulq<Int4, ChannelWise> by_row;
    Ulq<Int4, TensorWise> whole;
    REQUIRE(by_row.initialize(w));
    REQUIRE(whole.initialize(w));
    CHECK(by_row.scale_offsets(w) == Arq<Int4, ChannelWise>{}.scale_offsets(w));
    CHECK(whole.scale_offsets(w) == Arq<Int4, TensorWise>{}.scale_offsets(w));
    CHECK(by_row.parameters().size() == 3);
    CHECK(whole.parameters().size() == 1);
    CHECK(by_row.quantize(w)->codes == (Arq<Int4, ChannelWise>{}.quantize(w)->codes));
    CHECK(by_row.quantize(w)->scales == by_row.scale_offsets(w));
}

TEST_CASE("or with those of the ranges of the least squared error") {
    RowMajorMatrix w(1, 9);
    w << 1, 1.1f, 0.9f, -1, -1.1f, -0.9f, 1, 1, 8;  // one large weight
    Ulq<Int4, ChannelWise> ulq(InitialRange::MSE);
    REQUIRE(ulq.initialize(w));
    CHECK(ulq.scale_offsets(w) == searched_scales<Int4, ChannelWise>(w));
    CHECK(ulq.parameters()[0] < Arq<Int4, ChannelWise>{}.scale_offsets(w)[0].scale);
}

TEST_CASE("codes are those of the trained scales") {
    RowMajorMatrix w(2, 2), out(2, 2);
    w << 1, -9, 0.25f, 0.75f;
    Ulq<Int4, ChannelWise> ulq;
    REQUIRE(ulq.initialize(w));
    ulq.parameters()[0] = 1;
    ulq.parameters()[1] = 0.5f;
    CHECK(ulq.quantize(w)->codes == std::vector<std::int8_t>{1, -8, 0, 2});
    ulq.fake_quantize(w, out);
    CHECK(out == (RowMajorMatrix(2, 2) << 1, -8, 0, 1).finished());
}

TEMPLATE_TEST_CASE("the scale gradient is the slope of the loss with the rounding errors held", "",
                   ChannelWise, TensorWise) {
    using B = Int4;
    RowMajorMatrix const w = normal(4, 30, 2), g = normal(4, 30, 3);
    Ulq<B, TestType> ulq;
    REQUIRE(ulq.initialize(w));
    for (float& s : ulq.parameters()) s *= 0.4f;  // some weights above, some below, most inside

    std::vector<float> grad_scales(ulq.parameters().size());
    RowMajorMatrix grad_w(4, 30);
    ulq.backward(w, g, grad_w, grad_scales);

    for (std::size_t i = 0; i != grad_scales.size(); ++i) {
        // In doubles: y = w + s * (round(t) - t) inside, with the bracket held; s * qmax above; s * qmin
        // below.
        auto const loss = [&](double scale) {
            double const s0 = static_cast<double>(ulq.parameters()[i]);
            double sum = 0;
            for (Eigen::Index r = 0; r != 4; ++r) {
                if (std::same_as<TestType, ChannelWise> && static_cast<std::size_t>(r) != i) continue;
                for (Eigen::Index c = 0; c != 30; ++c) {
                    double const x = static_cast<double>(w(r, c)), t = x / s0;
                    double const y = t > B::qmax   ? scale * B::qmax
                                     : t < B::qmin ? scale * B::qmin
                                                   : x + scale * (std::nearbyint(t) - t);
                    sum += static_cast<double>(g(r, c)) * y;
                }
            }
            return sum / std::sqrt(30.0 * B::qmax);
        };
        // The loss is linear in the scale: a difference of any width is its slope, up to rounding.
        double const s = static_cast<double>(ulq.parameters()[i]);
        CHECK(static_cast<double>(grad_scales[i]) == Approx(loss(s + 0.5) - loss(s - 0.5)).epsilon(1e-5));
    }
    CHECK(grad_w == g);
}

TEST_CASE("a scale that training ruins falls back to its last good value") {
    RowMajorMatrix const w = normal(5, 10, 4);
    Ulq<Int8, ChannelWise> ulq;
    REQUIRE(ulq.initialize(w));
    auto const scale = ulq.parameters();
    scale[0] = 0.5f;
    ulq.constrain();
    std::vector<float> const good(scale.begin(), scale.end());
    CHECK(good[0] == 0.5f);

    scale[0] = std::nextafter(smallest_scale, 0.0f);
    scale[1] = -1;
    scale[2] = std::numeric_limits<float>::quiet_NaN();
    scale[3] = std::numeric_limits<float>::infinity();
    scale[4] = smallest_scale;
    ulq.constrain();
    for (std::size_t i = 0; i != 4; ++i) CHECK(scale[i] == good[i]);
    CHECK(scale[4] == smallest_scale);
    scale[0] = 2e36f;  // 255 times it is no float
    scale[1] = 1e36f;
    ulq.constrain();
    CHECK(scale[0] == good[0]);
    CHECK(scale[1] == 1e36f);
}

TEST_CASE("an initialization that fails leaves the scales as they were") {
    RowMajorMatrix const w = normal(2, 3, 6);
    Ulq<Int8, ChannelWise> ulq;
    REQUIRE(ulq.initialize(w));
    ulq.parameters()[0] = 0.25f;
    ulq.constrain();
    auto const scales = ulq.scale_offsets(w);
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), -3e38f}) {
        RowMajorMatrix other = normal(5, 3, 7);
        other(4, 1) = bad;
        CHECK_FALSE(ulq.initialize(other));
        CHECK(ulq.scale_offsets(w) == scales);
        ulq.parameters()[0] = -1;
        ulq.constrain();  // what it falls back to is kept, too
        CHECK(ulq.scale_offsets(w) == scales);
    }
}

TEST_CASE("weights of 1e-30 are trained like any") {
    RowMajorMatrix const w = normal(3, 20, 8), g = normal(3, 20, 9);
    RowMajorMatrix const small = w * 0x1p-100f;
    Ulq<Int4, ChannelWise> ulq, other;
    REQUIRE(ulq.initialize(w));
    REQUIRE(other.initialize(small));
    RowMajorMatrix out(3, 20), same(3, 20), grad_w(3, 20);
    std::vector<float> grad(3), grad_small(3);
    ulq.fake_quantize(w, out);
    ulq.backward(w, g, grad_w, grad);
    for (const auto& on : support::executions()) {
        other.fake_quantize(small, same, on.how);
        CHECK(same == out * 0x1p-100f);
        other.backward(small, g, grad_w, grad_small, on.how);
        CHECK(grad_small == grad);
    }
}

TEST_CASE("a copy is a snapshot") {
    RowMajorMatrix const w = normal(2, 10, 5);
    Ulq<Int8, TensorWise> ulq;
    REQUIRE(ulq.initialize(w));
    auto const before = ulq;
    ulq.parameters()[0] *= 2;
    CHECK(before.parameters()[0] == ulq.parameters()[0] / 2);
}

TEST_CASE("weights that are empty or not finite are errors") {
    Ulq<Int8, ChannelWise> ulq;
    CHECK(to_string(ulq.initialize(RowMajorMatrix(3, 0)).diagnostics()) ==
          "error: weights: no values (3 x 0); an empty tensor cannot be quantized");
    RowMajorMatrix w = normal(2, 3, 6);
    REQUIRE(ulq.initialize(w));
    w(1, 2) = std::numeric_limits<float>::infinity();
    CHECK(
        to_string(ulq.quantize(w).diagnostics()) ==
        "error: weights: value at [1, 2] is inf; only finite values can be quantized: check where they come "
        "from");
}

}  // namespace quant_ulq_test
