// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/arq.hpp>

#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"
#include "support/golden.hpp"

namespace quant_arq_test {

using namespace amct_distill;

namespace {

/// A row per output channel, as the golden tensors of any rank are read.
RowMajorMatrix matrix(const golden::json::value& tensor) {
    auto const data = golden::floats(tensor);
    auto const rows = static_cast<Eigen::Index>(golden::shape(tensor).at(0));
    return Eigen::Map<const RowMajorMatrix>(data.data(), rows, static_cast<Eigen::Index>(data.size()) / rows);
}

/// What the original's guard hides: the scale by the formula, and values within half a step of the weights.
template <class Q>
void check_unguarded(const RowMajorMatrix& w, const RowMajorMatrix& out, float scale) {
    float const max = w.maxCoeff(), min = w.minCoeff();
    float const limit = static_cast<float>(Q::bits::qmax + (std::abs(max) < std::abs(min) ? 1 : 0));
    CHECK(scale == std::max(std::abs(max), std::abs(min)) / limit);
    CHECK((w - out).cwiseAbs().maxCoeff() <= (0.5f + 0x1p-15f) * scale);
}

/// Whether the original's guard made a difference.
template <class Q>
bool run_golden(const golden::json::value& c) {
    std::size_t guarded = 0;
    auto const w = matrix(c.at("inputs").at("weight"));
    auto const& expected = c.at("outputs");
    auto const scale = golden::floats(expected.at("scale"));
    auto const offset = golden::integers(expected.at("offset"));

    for (const auto& on : support::executions()) {
        INFO(on.name);
        Q q;
        REQUIRE(q.initialize(w, on.how));
        RowMajorMatrix out(w.rows(), w.cols());
        q.fake_quantize(w, out, on.how);
        auto const quantized = q.quantize(w, on.how).value();
        REQUIRE(quantized.scales.size() == scale.size());
        auto const rows = static_cast<std::size_t>(w.rows()), size = static_cast<std::size_t>(w.size());
        std::size_t const part = size / scale.size();
        auto const floats = golden::floats(expected.at("quantized"));
        auto const codes = golden::integers(expected.at("codes"));
        for (std::size_t i = 0; i != scale.size(); ++i) {
            if (golden::is_guarded(scale[i], quantized.scales[i].scale)) {
                auto const of = [&](const RowMajorMatrix& m) -> RowMajorMatrix {
                    return scale.size() == 1 ? m : RowMajorMatrix(m.row(static_cast<Eigen::Index>(i)));
                };
                check_unguarded<Q>(of(w), of(out), quantized.scales[i].scale);
                ++guarded;
                continue;
            }
            CHECK(golden::same_bits(quantized.scales[i].scale, scale[i]));
            CHECK(quantized.scales[i].offset == offset[i]);
            std::size_t wrong = 0;
            for (std::size_t k = i * part; k != (i + 1) * part; ++k)
                if (!golden::same_bits(out.data()[k], floats[k]) || quantized.codes[k] != codes[k]) ++wrong;
            CHECK(wrong == 0);
        }
        CHECK((scale.size() == 1 || scale.size() == rows));
    }
    return guarded != 0;
}

template <class B, class G>
bool run_golden(const golden::json::value& c, bool with_offset) {
    return with_offset ? run_golden<Arq<B, G, Asymmetric>>(c) : run_golden<Arq<B, G>>(c);
}
template <class B>
bool run_golden(const golden::json::value& c, bool with_offset, bool channel_wise) {
    return channel_wise ? run_golden<B, ChannelWise>(c, with_offset)
                        : run_golden<B, TensorWise>(c, with_offset);
}

template <class Q, class Matrix>
concept Initializes = requires(Q q, const Matrix& w) {
    q.initialize(w);
};

std::string error(const result<void>& r) { return to_string(r.diagnostics()); }

RowMajorMatrix normal(Eigen::Index rows, Eigen::Index cols) {
    std::mt19937 random(7);
    std::normal_distribution<float> value;
    return RowMajorMatrix::NullaryExpr(rows, cols, [&] { return value(random); });
}

}  // namespace

TEST_CASE("ARQ is the original's, bit for bit") {
    auto const file = golden::load("arq.json");
    std::size_t ran = 0, guarded = 0;
    for (const auto& c : file.at("cases").as_array()) {
        INFO(c.at("name").as_string().c_str());
        auto const& attrs = c.at("attrs");
        bool const with_offset = attrs.at("with_offset").as_bool();
        bool const channel_wise = attrs.at("channel_wise").as_bool();
        bool const differs = attrs.at("num_bits").to_number<int>() == 4
                                 ? run_golden<Int4>(c, with_offset, channel_wise)
                                 : run_golden<Int8>(c, with_offset, channel_wise);
        if (differs) ++guarded;
        ++ran;
    }
    for (const auto& c : file.at("error_cases").as_array()) {
        auto const& weight = c.at("inputs").at("weight");
        std::string const name(c.at("name").as_string());
        if (name == "f64") {  // float64 does not compile
            CHECK(weight.at("dtype").as_string() == "float64");
            STATIC_REQUIRE_FALSE(Initializes<Arq<Int8, ChannelWise>, Eigen::MatrixXd>);
            STATIC_REQUIRE(Initializes<Arq<Int8, ChannelWise>, Eigen::MatrixXf>);
        } else {
            Arq<Int8, ChannelWise> arq;
            std::string const text = "error: weights: value at [0, 1] is " + name +
                                     "; only finite values can be quantized: check where they come from";
            CHECK(error(arq.initialize(matrix(weight))) == text);
            CHECK(to_string(arq.quantize(matrix(weight)).diagnostics()) == text);
        }
        ++ran;
    }
    std::size_t const total = file.at("cases").as_array().size() + file.at("error_cases").as_array().size();
    golden::print_count("arq.json", ran, total,
                        std::to_string(guarded) +
                            " divergences: a scale below 2^-23 is kept, where the original takes 1 (tiny_*, "
                            "scale_just_below_eps_*)");
    CHECK(guarded == 24);
    support::print_instruction_sets("golden arq.json");
    CHECK(ran == total);
}

TEST_CASE("each row has a scale of its own, or all have one") {
    RowMajorMatrix w(2, 3), out(2, 3);
    w << 7, -3.4f, 0.5f,  //
        -16, 3, 1;
    Arq<Int4, ChannelWise> by_row;
    CHECK(by_row.scale_offsets(w) == std::vector<ScaleOffset>{{1.0f, 0}, {2.0f, 0}});
    by_row.fake_quantize(w, out);
    CHECK(out == (RowMajorMatrix(2, 3) << 7, -3, 0, -16, 4, 0).finished());

    Arq<Int4, TensorWise> whole;
    CHECK(whole.scale_offsets(w) == std::vector<ScaleOffset>{{2.0f, 0}});
    whole.fake_quantize(w, out);
    CHECK(out == (RowMajorMatrix(2, 3) << 8, -4, 0, -16, 4, 0).finished());
    CHECK(whole.quantize(w)->codes == std::vector<std::int8_t>{4, -2, 0, -8, 2, 0});
}

TEST_CASE("views of a matrix, its columns' or another order's, are quantized as copies of them are") {
    RowMajorMatrix const w = normal(6, 40);
    RowMajorMatrix const part = w.block(1, 3, 4, 20);
    Eigen::MatrixXf const by_column = part;
    RowMajorMatrix expected(4, 20), out(4, 20), wide = RowMajorMatrix::Zero(6, 40);
    Arq<Int4, ChannelWise> arq;
    arq.fake_quantize(part, expected);
    arq.fake_quantize(w.block(1, 3, 4, 20), wide.block(1, 3, 4, 20));
    CHECK(wide.block(1, 3, 4, 20) == expected);
    CHECK(wide.row(0).isZero(0));
    arq.fake_quantize(by_column, out);
    CHECK(out == expected);
    CHECK(arq.quantize(by_column)->codes == arq.quantize(part)->codes);
    out = part;
    arq.fake_quantize(out, out);
    CHECK(out == expected);
}

TEST_CASE("gradients go straight through, nothing is trained") {
    RowMajorMatrix const w = normal(3, 5), g = 2 * w;
    RowMajorMatrix grad_w(3, 5);
    Arq<Int8, ChannelWise> arq;
    arq.backward(w, g, grad_w, {});
    CHECK(grad_w == g);
    CHECK(arq.parameters().empty());
    CHECK(std::as_const(arq).parameters().empty());
    arq.constrain();
}

TEST_CASE("the error of a value is at most half a step, and quantizing again changes nothing") {
    RowMajorMatrix const w = normal(8, 100);
    RowMajorMatrix out(8, 100), again(8, 100);
    Arq<Int4, ChannelWise> arq;
    arq.fake_quantize(w, out);
    arq.fake_quantize(out, again);
    auto const scales = arq.scale_offsets(w);
    // Half a step for what rounds; float32 rounding adds at most 2^-20 of a step for |codes| <= 8.
    for (Eigen::Index r = 0; r != 8; ++r)
        CHECK((w.row(r) - out.row(r)).cwiseAbs().maxCoeff() <=
              (0.5f + 0x1p-20f) * scales[static_cast<std::size_t>(r)].scale);
    // The largest weight keeps its value, so the scale stays but for its last bits.
    CHECK((again - out).cwiseAbs().maxCoeff() <= 0x1p-22f * out.cwiseAbs().maxCoeff());
}

TEST_CASE("weights that cannot be quantized are errors") {
    Arq<Int8, ChannelWise> arq;
    CHECK(error(arq.initialize(RowMajorMatrix(0, 3))) ==
          "error: weights: no values (0 x 3); an empty tensor cannot be quantized");
    RowMajorMatrix wide(1, 2);
    wide << 3e38f, -3e38f;
    std::string const text =
        "error: weights: row 0: the range -3e+38 to 3e+38 is too wide: what its INT8 codes stand for would "
        "leave "
        "the range of a float; scale it down";
    CHECK(error(arq.initialize(wide)) == text);
    CHECK(to_string(arq.quantize(wide).diagnostics()) == text);
    CHECK(error(Arq<Int8, ChannelWise, Asymmetric>{}.initialize(wide)) == text);
    CHECK(error(Arq<Int4, TensorWise>{}.initialize(wide)) ==
          "error: weights: the range -3e+38 to 3e+38 is too wide: what its INT4 codes stand for would leave "
          "the "
          "range of a float; scale it down");
    wide << 1e38f, -1e38f;
    CHECK(arq.quantize(wide)->codes == std::vector<std::int8_t>{127, -127});
}

TEMPLATE_TEST_CASE("weights of any size have a scale of their own, down to where a float ends", "", Int4,
                   Int8) {
    RowMajorMatrix const w = normal(4, 50);
    Arq<TestType, ChannelWise> arq;
    auto const codes = arq.quantize(w)->codes;
    for (int power : {-10, -23, -40, -100, -116, 60, 120}) {  // powers of two: the same codes
        float const factor = std::ldexp(1.0f, power);
        RowMajorMatrix const scaled = w * factor;
        RowMajorMatrix out(4, 50), unscaled(4, 50);
        REQUIRE(arq.initialize(scaled));
        CHECK(arq.initialize(scaled).diagnostics().empty());
        CHECK(arq.quantize(scaled)->codes == codes);
        arq.fake_quantize(w, unscaled);
        for (const auto& on : support::executions()) {
            INFO(on.name);
            arq.fake_quantize(scaled, out, on.how);
            CHECK(out == unscaled * factor);
        }
    }
}

TEST_CASE("a row too narrow for a scale becomes zeros, with a warning") {
    RowMajorMatrix w(3, 2), out(3, 2);
    w << 1, -2, 1e-38f, -1e-38f, 0, 0;
    Arq<Int8, ChannelWise> arq;
    auto const done = arq.initialize(w);
    CHECK(done.has_value());
    CHECK(error(done) ==
          "warning: weights: row 1: the range -1e-38 to 1e-38 is too narrow for a scale of INT8, which would "
          "be below 1.1754944e-38; its values become 0");
    w.row(2).setConstant(1e-38f);  // a sentence for all of them
    CHECK(error(arq.initialize(w)) == error(done) + "; so it is with 1 more of its rows");
    w.row(2).setZero();
    CHECK(arq.scale_offsets(w) == Scales{{2.0f / 128, 0}, {1.0f, 0}, {1.0f, 0}});
    arq.fake_quantize(w, out);
    CHECK(out.bottomRows(2).isZero(0));
    CHECK(error(Arq<Int8, ChannelWise, Asymmetric>{}.initialize(w)) == error(done));
    CHECK(arq.initialize(RowMajorMatrix::Zero(2, 2)).diagnostics().empty());

    // The edge: the smallest range with a scale, and the next below.
    float const least = smallest_scale * 127;
    CHECK(arq.scale_offsets(RowMajorMatrix::Constant(1, 1, least))[0].scale == smallest_scale);
    CHECK(arq.initialize(RowMajorMatrix::Constant(1, 1, least)).diagnostics().empty());
    CHECK(arq.scale_offsets(RowMajorMatrix::Constant(1, 1, least / 2))[0].scale == 1);
    CHECK(arq.initialize(RowMajorMatrix::Constant(1, 1, least / 2)).diagnostics().size() == 1);
}

TEMPLATE_TEST_CASE("a range that is searched is shrunk, and stays so", "", ChannelWise, TensorWise) {
    RowMajorMatrix w(2, 9), out(2, 9);
    w << 1, 1.1f, 0.9f, -1, -1.1f, -0.9f, 1, 1, 8,  // one large weight
        -2, 1, 2, -1, 0, 2, 1, -1, 2;
    Arq<Int4, TestType> arq(InitialRange::MSE);
    Arq<Int4, TestType> const whole;
    REQUIRE(arq.initialize(w));
    auto const found = arq.scale_offsets(w), widest = whole.scale_offsets(w);
    CHECK(found == searched_scales<Int4, TestType>(w));
    CHECK(found[0].scale < widest[0].scale);
    auto const error_of = [&](const auto& quantizer) {
        quantizer.fake_quantize(w, out);
        return (w - out).squaredNorm();
    };
    CHECK(error_of(arq) < error_of(whole));

    RowMajorMatrix const larger = 2 * w;
    CHECK(arq.scale_offsets(larger)[0].scale == 2 * found[0].scale);
    auto const codes = arq.quantize(larger).value();
    for (const auto& on : support::executions()) {
        INFO(on.name);
        arq.fake_quantize(larger, out, on.how);
        for (std::size_t i = 0; i != codes.codes.size(); ++i)
            CHECK(out.data()[i] == dequantize(codes.codes[i], codes.scales.of_row(i / 9)));
    }
}

}  // namespace quant_arq_test
