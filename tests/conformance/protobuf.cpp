// SPDX-License-Identifier: Apache-2.0
// Generated texts of the schema, valid and nearly so, through our reader and protobuf's own parser: verdict
// and value agree, but for the classes below, in which protobuf leaves its specification or rounds twice.
// What is invalid is read once more with unknown fields passed over, by both.
//
//     conformance_protobuf [COUNT [SEED]]
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <amct_distill/config/messages.hpp>
#include <amct_distill/text/decimal.hpp>
#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>

#include <amct_distill/core/diagnostic_list.hpp>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "distill_config.pb.h"

namespace {

using namespace amct_distill;
namespace pb = google::protobuf;

/// Writes texts of the schema; now and then something in them is wrong, odd, or on an edge.
class generator {
public:
    explicit generator(std::uint64_t seed) : random_(seed) {}

    std::string text() {
        out_.clear();
        wrong_ = one_in(2) ? 0 : 60;  // half of the texts mean to be valid
        blank();
        std::size_t const fields = below(5);
        bool seen[6] = {};
        for (std::size_t i = 0; i != fields; ++i) {
            std::size_t const which = below(10);
            if (which < 6 && which != 3) {  // singular: twice only when the text may be wrong
                if (seen[which] && !slip()) continue;
                seen[which] = true;
            }
            top_field(which);
            separator();
        }
        if (slip()) mutate();
        return out_;
    }

private:
    std::size_t below(std::size_t n) { return random_() % n; }
    bool one_in(std::size_t n) { return below(n) == 0; }
    bool slip() { return wrong_ != 0 && one_in(wrong_); }
    template <std::size_t N>
    void any(const std::array<std::string_view, N>& of) {
        out_ += of[below(N)];
    }

    void blank() {
        if (one_in(12))
            any(std::array<std::string_view, 7>{"# c\n", "\n\n", "\t", "\v", "#\n", "\r\n",
                                                "# \xe5\xb1\x82\n"});
        if (slip() && one_in(4)) any(std::array<std::string_view, 3>{"\xc2\xa0", "# \xff\n", "\x01"});
        out_ += ' ';
    }
    void separator() {
        blank();
        if (one_in(4)) out_ += one_in(2) ? ',' : ';';
        if (slip()) out_ += ",";
        blank();
    }
    void name(std::string_view n) {
        out_ += n;
        if (slip()) any(std::array<std::string_view, 3>{"x", "_", "1"});
        blank();
    }
    void colon() {
        if (!slip()) out_ += ':';
        blank();
    }
    template <class F>
    void message(F&& fields) {
        if (one_in(2)) out_ += ':';
        blank();
        bool const braces = !one_in(4);
        out_ += braces ? '{' : '<';
        blank();
        fields();
        if (!slip()) out_ += braces != slip() ? '}' : '>';
        blank();
    }
    void top_field(std::size_t which) {
        switch (which) {
            case 0:
                return scalar("batch_num", [&] { whole(); });
            case 1:
                return scalar("group_size", [&] { whole(); });
            case 2:
                return scalar("data_dump", [&] { boolean(); });
            case 3:
                name("distill_group");
                return message([&] {
                    if (!slip()) scalar("start_layer_name", [&] { string(); }), separator();
                    if (!slip()) scalar("end_layer_name", [&] { string(); }), separator();
                });
            case 4:
                return data();
            case 5:
                return weights();
            case 6:
                return override_of("distill_override_layers", "layer_name");
            case 7:
                return override_of("distill_override_layer_types", "layer_type");
            case 8:
                return strings("quant_skip_layers");
            default:
                return strings("quant_skip_layer_types");
        }
    }
    template <class F>
    void scalar(std::string_view field, F&& value) {
        name(field);
        colon();
        if (slip())
            any_value();
        else
            value();
        blank();
    }
    void any_value() {
        switch (below(6)) {
            case 0:
                return whole();
            case 1:
                return boolean();
            case 2:
                return string();
            case 3:
                return number();
            case 4:
                out_ += "{}";
                return;
            default:
                return enumerator();
        }
    }
    void data() {
        name("distill_data_quant_config");
        message([&] {
            if (one_in(8)) return;
            name("ulq_quantize");
            message([&] {
                if (one_in(2)) {
                    name("clip_max_min");
                    message([&] {
                        if (!slip()) scalar("clip_max", [&] { number(); }), separator();
                        if (!slip()) scalar("clip_min", [&] { number(); }), separator();
                    });
                    separator();
                }
                if (one_in(2)) scalar("fixed_min", [&] { boolean(); }), separator();
                if (one_in(2)) scalar("dst_type", [&] { enumerator(); }), separator();
            });
        });
    }
    void weights() {
        name("distill_weight_quant_config");
        message([&] {
            if (one_in(8)) return;
            do {
                name(one_in(2) ? "arq_distill" : "ulq_distill");
                message([&] {
                    if (one_in(2)) scalar("dst_type", [&] { enumerator(); }), separator();
                    if (one_in(2)) scalar("channel_wise", [&] { boolean(); }), separator();
                });
            } while (slip());
        });
    }
    void override_of(std::string_view field, std::string_view key) {
        name(field);
        auto const one = [&] {
            if (!slip()) scalar(key, [&] { string(); }), separator();
            if (one_in(2)) data(), separator();
            if (one_in(2)) weights(), separator();
        };
        message(one);
    }
    void strings(std::string_view field) {
        name(field);
        colon();
        if (!one_in(3)) return string();
        out_ += '[';
        blank();
        std::size_t const n = below(4);
        for (std::size_t i = 0; i != n; ++i) {
            if (i != 0) out_ += ',', blank();
            string();
            blank();
        }
        if (slip()) out_ += ',';
        out_ += ']';
    }

    void digits(std::size_t most) {
        for (std::size_t n = 1 + below(most); n != 0; --n) out_ += static_cast<char>('0' + below(10));
    }
    void whole() {
        switch (below(slip() ? 12 : 6)) {
            case 0:
                out_ += std::to_string(random_() % 5000000000u);
                return;
            case 1:
                any(std::array<std::string_view, 4>{"0", "4294967295", "0xFFFFFFFF", "037777777777"});
                return;
            case 2:
                out_ += "0x", out_ += std::to_string(below(99999));
                return;
            case 6:
                any(std::array<std::string_view, 4>{"4294967296", "0x100000000", "040000000000", "1e3"});
                return;
            case 7:
                any(std::array<std::string_view, 6>{"-0", "-1", "+1", "08", "0x", "1x"});
                return;
            case 8:
                digits(25);
                return;
            default:
                out_ += std::to_string(below(100));
        }
    }
    void boolean() {
        if (slip()) return any(std::array<std::string_view, 6>{"TRUE", "2", "\"true\"", "-1", "1.0", "yes"});
        any(std::array<std::string_view, 11>{"true", "True", "t", "false", "False", "f", "0", "1", "01",
                                             "0x1", "00"});
    }
    void enumerator() {
        if (slip())
            return any(
                std::array<std::string_view, 8>{"INT16", "int8", "2", "-1", "\"INT8\"", "-0", "0.0", "+1"});
        any(std::array<std::string_view, 7>{"INT4", "INT8", "0", "1", "0x1", "00", "INT8"});
    }
    void number() {
        if (one_in(4)) out_ += one_in(8) ? "- " : "-";
        switch (below(slip() ? 14 : 10)) {
            case 0:
                digits(12);
                break;
            case 1:
                any(std::array<std::string_view, 9>{"inf", "INF", "infinity", "Infinity", "nan", "NaN", "inF",
                                                    "iNfInItY", "nAN"});
                return;
            case 2:
                near_a_midpoint();
                break;
            case 3:
                any(std::array<std::string_view, 8>{
                    "3.4028235e38", "3.40282350e+38", "3.4028235677973366e38", "3.4028234663852886e38",
                    "1e39", "1e-46", "1.17549435e-38", "340282356779733661637539395458142568448"});
                break;
            case 4:
                out_ += '.', digits(9);
                break;
            case 10:
                any(std::array<std::string_view, 10>{"0x10", "010", "1e", "inff", "00.5", "1.e", "1ff", ".",
                                                     "1..2", "00"});
                return;
            case 11:
                any(std::array<std::string_view, 5>{"+1", "--1", "\"1\"", "true", "e5"});
                return;
            default:
                out_ += std::to_string(below(1000));
                out_ += '.';
                if (!one_in(8)) digits(one_in(30) ? 60 : 12);
                if (one_in(3)) {
                    out_ += one_in(2) ? 'e' : 'E';
                    out_ += one_in(2) ? "-" : one_in(2) ? "+" : "";
                    out_ += std::to_string(below(50));
                }
        }
        if (one_in(6)) out_ += one_in(2) ? 'f' : 'F';
    }
    void near_a_midpoint() {
        float const f = std::bit_cast<float>(static_cast<std::uint32_t>(random_()) & 0x7E7FFFFFu);
        double const middle = (static_cast<double>(f) + static_cast<double>(std::nextafter(f, 3e38f))) / 2;
        char text[64];
        std::snprintf(text, sizeof text, "%.*e", static_cast<int>(10 + below(40)), middle);
        out_ += text;
    }
    void string() {
        do {
            char const quote = one_in(2) ? '"' : '\'';
            out_ += quote;
            for (std::size_t n = below(7); n != 0; --n) character();
            if (!slip()) out_ += quote;
            if (one_in(10)) blank();
        } while (one_in(8));
    }
    void character() {
        switch (below(wrong_ != 0 && one_in(10) ? 16 : 9)) {
            case 0:
                any(std::array<std::string_view, 12>{"\\a", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v", "\\?",
                                                     "\\\\", "\\'", "\\\"", "\\x7e"});
                return;
            case 1:
                any(std::array<std::string_view, 6>{"\\101", "\\7", "\\12", "\\x4", "\\x4A", "\\1018"});
                return;
            case 2:
                any(std::array<std::string_view, 5>{"\\u00e9", "\\u5c42", "\\U0001F600", "\xe5\xb1\x82",
                                                    "\\345\\261\\202"});
                return;
            case 9:
                any(std::array<std::string_view, 6>{"\\ud83d\\ude00", "\\ud800", "\\udc00x", "\\U0000d800",
                                                    "\\ud800\\u0041", "\\U0000D83D\\U0000DE00"});
                return;
            case 10:
                any(std::array<std::string_view, 4>{"\xff", "\xe5\xb1", "\xc0\x80", "\xed\xa0\x80"});
                return;
            case 11:
                any(std::array<std::string_view, 5>{"\\377", "\\xff", "\\345\\261", "\\xc0\\x80",
                                                    "\\xed\\xa0\\x80"});
                return;
            case 12:
                any(std::array<std::string_view, 4>{"\\U00110000", "\\U0010FFFF", "\\U00200000",
                                                    "\\UFFFFFFFF"});
                return;
            case 13:
                any(std::array<std::string_view, 4>{"\\400", "\\777", "\\501", "\\4000"});
                return;
            case 14:
                any(std::array<std::string_view, 8>{"\\q", "\\X41", "\\xg", "\\u12", "\\U0001F60", "\n",
                                                    "\\8", "\\"});
                return;
            case 15:
                any(std::array<std::string_view, 3>{"\"", "'", "\t"});
                return;
            default:
                out_ += static_cast<char>('a' + below(26));
        }
    }
    /// One character is dropped, doubled or replaced.
    void mutate() {
        if (out_.empty()) return;
        std::size_t const at = below(out_.size());
        std::string_view const others = "{}<>[]:,;\"'-#.0eINT \n\\x";
        switch (below(3)) {
            case 0:
                out_.erase(at, 1);
                break;
            case 1:
                out_.insert(at, 1, others[below(others.size())]);
                break;
            default:
                out_[at] = others[below(others.size())];
        }
    }

    std::mt19937_64 random_;
    std::string out_{};
    std::size_t wrong_ = 0;
};

/// The schema's messages, ours into protobuf's: by what they hold, not by any text.
reference::DataType convert(DataType t) { return t == DataType::INT4 ? reference::INT4 : reference::INT8; }
void convert(const DistillDataQuantConfig& from, reference::DistillDataQuantConfig& to) {
    const auto* ulq = from.data_quant_algo.get_if<ActULQquantize>();
    if (!ulq) return;
    auto& out = *to.mutable_ulq_quantize();
    if (ulq->clip_max_min.has_value()) {
        out.mutable_clip_max_min()->set_clip_max(*ulq->clip_max_min->clip_max);
        out.mutable_clip_max_min()->set_clip_min(*ulq->clip_max_min->clip_min);
    }
    if (ulq->fixed_min.has_value()) out.set_fixed_min(*ulq->fixed_min);
    if (ulq->dst_type.has_value()) out.set_dst_type(convert(*ulq->dst_type));
}
template <class From, class To>
void convert_weights(const From& from, To& to) {
    if (from.dst_type.has_value()) to.set_dst_type(convert(*from.dst_type));
    if (from.channel_wise.has_value()) to.set_channel_wise(*from.channel_wise);
}
void convert(const DistillWeightQuantConfig& from, reference::DistillWeightQuantConfig& to) {
    if (const auto* arq = from.weights_quant_algo.get_if<ARQDistill>())
        convert_weights(*arq, *to.mutable_arq_distill());
    if (const auto* ulq = from.weights_quant_algo.get_if<WtsULQDistill>())
        convert_weights(*ulq, *to.mutable_ulq_distill());
}
template <class From, class To>
void convert_algorithms(const From& from, To& to) {
    if (from.distill_data_quant_config.has_value())
        convert(*from.distill_data_quant_config, *to.mutable_distill_data_quant_config());
    if (from.distill_weight_quant_config.has_value())
        convert(*from.distill_weight_quant_config, *to.mutable_distill_weight_quant_config());
}
reference::AMCTDistillConfig convert(const AMCTDistillConfig& from) {
    reference::AMCTDistillConfig to;
    if (from.batch_num.has_value()) to.set_batch_num(*from.batch_num);
    if (from.group_size.has_value()) to.set_group_size(*from.group_size);
    if (from.data_dump.has_value()) to.set_data_dump(*from.data_dump);
    for (const auto& group : from.distill_group) {
        auto& out = *to.add_distill_group();
        out.set_start_layer_name(*group.start_layer_name);
        out.set_end_layer_name(*group.end_layer_name);
    }
    convert_algorithms(from, to);
    for (const auto& o : from.distill_override_layers) {
        auto& out = *to.add_distill_override_layers();
        out.set_layer_name(*o.layer_name);
        convert_algorithms(o, out);
    }
    for (const auto& o : from.distill_override_layer_types) {
        auto& out = *to.add_distill_override_layer_types();
        out.set_layer_type(*o.layer_type);
        convert_algorithms(o, out);
    }
    for (const auto& s : from.quant_skip_layers) to.add_quant_skip_layers(s);
    for (const auto& s : from.quant_skip_layer_types) to.add_quant_skip_layer_types(s);
    return to;
}

// ---- the classes in which protobuf leaves its specification, or rounds twice
enum deviation {
    surrogate,
    not_utf8,
    not_utf8_escaped,
    beyond_unicode,
    octal,
    through_double,
    above_max,
    separator,
    empty_list,
    count,
    none
};
constexpr std::string_view deviation_names[] = {"surrogates",
                                                "raw bytes that are not UTF-8",
                                                "escapes that are not UTF-8",
                                                "\\U above 10FFFF",
                                                "octal above \\377",
                                                "floats rounded through double",
                                                "floats between FLT_MAX and the midpoint to 2^128",
                                                "separators after unknown messages",
                                                "empty lists of unknown fields"};

deviation deviation_of(std::string_view our_error) {
    if (our_error.starts_with("surrogates are no characters")) return surrogate;
    if (our_error.starts_with("not valid UTF-8")) return not_utf8;
    if (our_error.starts_with("the escapes of this string do not spell")) return not_utf8_escaped;
    if (our_error.starts_with("characters end at")) return beyond_unicode;
    if (our_error.starts_with("octal escapes end at")) return octal;
    return none;
}

deviation deviation_when_passing_over(std::string_view their_error) {
    for (char c : {';', ','})
        if (their_error.ends_with(std::string("Expected identifier, got: ") + c)) return separator;
    for (std::string_view end :
         {"Cannot skip field value, unexpected token: ]", "Expected \"{\", found \"[\"."})
        if (their_error.ends_with(end)) return empty_list;
    return none;
}

/// The decimal of the clip at a place of the text, without sign and suffix.
std::string decimal_at(std::string_view text, Position where) {
    const char *at = text.data() + detail::offset_of(text, where), *const end = text.data() + text.size();
    auto const skip = [&] { grammar::match(grammar::skipped, at, end); };
    grammar::match(grammar::identifier, at, end);
    skip();
    ++at;  // the colon
    skip();
    if (*at == '-') ++at, skip();
    const char* const start = at;
    if (!grammar::match(grammar::number, at, end)) return {};
    std::string number(start, at);
    if (number.back() == 'f' || number.back() == 'F') number.pop_back();
    return number;
}

/// Why two readings of one clip differ; `none`: for no reason that is known.
deviation why(std::string_view text, const required<float>& ours, float theirs) {
    std::string const decimal = decimal_at(text, ours.position());
    double const by_double = std::strtod(decimal.c_str(), nullptr);
    float once = 0;
    auto const parsed = std::from_chars(decimal.data(), decimal.data() + decimal.size(), once);
    constexpr float max = std::numeric_limits<float>::max();
    if (parsed.ec == std::errc::result_out_of_range && by_double > 1)
        once = std::numeric_limits<float>::infinity();
    if (once != std::abs(*ours)) return none;
    if (by_double > static_cast<double>(max) && (std::isinf(theirs) ? once == max : std::abs(theirs) == max))
        return above_max;
    return static_cast<float>(by_double) == std::abs(theirs) ? through_double : none;
}

struct silent : pb::io::ErrorCollector {
    void AddError(int line, int column, const std::string& message) override {
        if (first.empty())
            first = std::to_string(line + 1) + ":" + std::to_string(column + 1) + " " + message;
    }
    std::string first{};
};
struct verdict {
    bool ok;
    std::string error;
};
verdict parse(const std::string& text, reference::AMCTDistillConfig& out, bool lenient = false) {
    silent errors;
    pb::TextFormat::Parser parser;
    parser.AllowUnknownField(lenient);
    parser.RecordErrorsTo(&errors);
    bool const ok = parser.ParseFromString(text, &out);
    return {ok, errors.first};
}

/// Calls `f(ours, theirs)` for every pair of clips.
template <class Ours, class F>
void each_clip(const Ours& ours, reference::DistillDataQuantConfig* theirs, F&& f) {
    const auto* ulq = ours.data_quant_algo.template get_if<ActULQquantize>();
    if (!ulq || !ulq->clip_max_min.has_value() || !theirs->ulq_quantize().has_clip_max_min()) return;
    auto& clips = *theirs->mutable_ulq_quantize()->mutable_clip_max_min();
    clips.set_clip_max(f(ulq->clip_max_min->clip_max, clips.clip_max()));
    clips.set_clip_min(f(ulq->clip_max_min->clip_min, clips.clip_min()));
}
template <class F>
void each_clip(const AMCTDistillConfig& ours, reference::AMCTDistillConfig& theirs, F&& f) {
    auto const of = [&](const auto& our, auto& their) {
        if (our.distill_data_quant_config.has_value() && their.has_distill_data_quant_config())
            each_clip(*our.distill_data_quant_config, their.mutable_distill_data_quant_config(), f);
    };
    of(ours, theirs);
    for (int i = 0; i < theirs.distill_override_layers_size(); ++i)
        if (static_cast<std::size_t>(i) < ours.distill_override_layers.size())
            of(ours.distill_override_layers[static_cast<std::size_t>(i)],
               *theirs.mutable_distill_override_layers(i));
    for (int i = 0; i < theirs.distill_override_layer_types_size(); ++i)
        if (static_cast<std::size_t>(i) < ours.distill_override_layer_types.size())
            of(ours.distill_override_layer_types[static_cast<std::size_t>(i)],
               *theirs.mutable_distill_override_layer_types(i));
}

class comparison {
public:
    void one(const std::string& text) {
        ++texts_;
        bool const valid = agree(text, false);
        valid_ += valid;
        // What is wrong with it may be unknown fields, which both pass over when asked to.
        if (!valid) valid_but_unknown_ += agree(text, true);
    }
    int report() const {
        std::printf(
            "conformance: %zu texts, %zu of them valid, %zu but for unknown fields, against protobuf %s\n",
            texts_, valid_, valid_but_unknown_, pb::internal::VersionString(GOOGLE_PROTOBUF_VERSION).c_str());
        for (std::size_t k = 0; k != count; ++k)
            std::printf("conformance: %zu %.*s\n", deviations_[k],
                        static_cast<int>(deviation_names[k].size()), deviation_names[k].data());
        std::printf("conformance: %zu failures\n", failures_);
        return failures_ == 0 && texts_ != 0 && valid_ > texts_ / 4 ? 0 : 1;
    }

private:
    /// Whether both take the text. What they do not agree on is a failure.
    bool agree(const std::string& text, bool lenient) {
        auto const ours = read<AMCTDistillConfig>(text, {.unknown_fields_are_warnings = lenient});
        reference::AMCTDistillConfig theirs;
        verdict const their = parse(text, theirs, lenient);
        if (!ours) {
            if (!their.ok) return false;
            deviation first = none;
            for (const Diagnostic& d : ours.diagnostics()) {
                deviation const kind = deviation_of(d.message);
                if (lenient && d.severity == Severity::warning) continue;
                if (kind == none) return fail(text, "only we reject it:\n" + to_string(ours.diagnostics()));
                if (first == none) first = kind;
            }
            ++deviations_[first];
            return false;
        }
        if (!their.ok) {
            deviation const kind = lenient ? deviation_when_passing_over(their.error) : none;
            if (kind == none) return fail(text, "only protobuf rejects it: " + their.error);
            ++deviations_[kind];
            return false;
        }
        bool known = true;
        std::array<bool, count> seen{};
        each_clip(*ours, theirs, [&](const required<float>& our, float their_clip) {
            if (*our == their_clip || (std::isnan(*our) && std::isnan(their_clip))) return *our;
            deviation const kind = why(text, our, their_clip);
            if (kind == none) return known = false, their_clip;
            seen[kind] = true;
            return *our;
        });
        for (std::size_t k = 0; k != count; ++k) deviations_[k] += seen[k];
        auto const converted = convert(*ours);
        if (!known || converted.SerializeAsString() != theirs.SerializeAsString())
            return fail(text, "the values differ:\n" + converted.DebugString() + "---- protobuf:\n" +
                                  theirs.DebugString());
        // What one prints, the other reads.
        std::string const printed = print(*ours);
        reference::AMCTDistillConfig again;
        if (!parse(printed, again).ok || again.SerializeAsString() != canonical(*ours).SerializeAsString())
            return fail(text, "protobuf does not read what we print:\n" + printed);
        std::string by_protobuf;
        pb::TextFormat::PrintToString(theirs, &by_protobuf);
        auto const back = read<AMCTDistillConfig>(by_protobuf);
        if (!back || canonical(*back).SerializeAsString() != canonical(*ours).SerializeAsString())
            return fail(text, "we do not read what protobuf prints:\n" + by_protobuf);
        return true;
    }
    /// A printed NaN has no sign.
    static reference::AMCTDistillConfig canonical(const AMCTDistillConfig& config) {
        auto out = convert(config);
        each_clip(config, out, [](const required<float>& clip, float) {
            return std::isnan(*clip) ? std::numeric_limits<float>::quiet_NaN() : *clip;
        });
        return out;
    }
    bool fail(const std::string& text, const std::string& what) {
        if (++failures_ <= 10) std::printf("FAILURE on\n%s\n---- %s\n\n", text.c_str(), what.c_str());
        return false;
    }

    std::size_t texts_ = 0, valid_ = 0, valid_but_unknown_ = 0, failures_ = 0;
    std::array<std::size_t, count> deviations_{};
};

}  // namespace

int main(int argc, char** argv) {
    std::size_t const texts = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    generator make(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
    comparison compare;
    for (std::size_t i = 0; i != texts; ++i) compare.one(make.text());
    return compare.report();
}
