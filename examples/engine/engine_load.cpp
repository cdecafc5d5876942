// SPDX-License-Identifier: Apache-2.0
// The same engine with a configuration of run time: what it cannot run is said when it is loaded.
#include <amct_distill/io/file.hpp>
#include <amct_distill/plan/check_engine.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/text/reader.hpp>
#include <cstdio>
#include <string>
#include <type_traits>
#include <variant>

#include "network.hpp"
#include "test_digits.hpp"

using namespace amct_distill;
using engine::capabilities, engine::Layer, engine::Shape;

namespace {

Topology topology() {
    return {.modules = {{"conv1", "Conv2d"}, {"relu", "ReLU"}, {"conv2", "Conv2d"}, {"fc", "Linear"}},
            .nodes = {{"conv1", "Conv2d", 0, {}},
                      {"relu", "ReLU", 1, {0}},
                      {"conv2", "Conv2d", 2, {1}},
                      {"flatten", "Flatten", {}, {2}},
                      {"fc", "Linear", 3, {3}}},
            .outputs = {4}};
}

/// A layer whose quantizers are known when it is loaded: one of those that the engine has.
template <Shape S>
struct AnyLayer {
    std::variant<Layer<S, Arq<Int8, ChannelWise>, ActUlq<Int8>>,
                 Layer<S, Arq<Int8, TensorWise>, ActUlq<Int8>>,
                 Layer<S, Arq<Int4, ChannelWise>, ActUlq<Int8>>>
        layer{};

    void run(const float* x, float* y) const {
        std::visit([&](const auto& own) { own.run(x, y); }, layer);
    }
};

/// Precondition: check_engine() has passed the plan.
template <Shape S>
result<AnyLayer<S>> load(const PlannedLayer& planned, const float* weight, const float* bias) {
    AnyLayer<S> made;
    auto const fail = [&](const char* why) {
        return general_error(detail::concat("layer `", planned.name, "`: ", why));
    };
    if (!planned.quant_enable)
        return fail("this engine has no float layers; take it out of quant_skip_layers");
    auto const built = visit_weight_quantizer<capabilities>(
        planned.weights, [&]<class W>(std::type_identity<W>, const auto&) {
            return visit_activation_quantizer<capabilities>(
                planned.data, [&]<class A>(std::type_identity<A>, const auto& settings) -> result<void> {
                    if (!settings.clip_max_min.has_value())
                        return fail("this engine calibrates nothing; give it clip_max_min");
                    auto const& clip = *settings.clip_max_min;
                    made.layer = Layer<S, W, A>(
                        weight, bias, A({*clip.clip_max, *clip.clip_min}, settings.fixed_min.get()));
                    return {};
                });
        });
    if (!built) return built.diagnostics();
    return made;
}

result<void> run(const char* path) {
    auto const source = SourceText::file(path);
    if (!source) return source.diagnostics();
    auto const config = read<AMCTDistillConfig>(*source);
    if (!config) return config.diagnostics();
    auto const plan = resolve(*config, topology(), target::generic, {.source = *source});
    if (!plan) return plan.diagnostics();
    if (auto const ok = check_engine<capabilities>(*plan, *source); !ok) return ok;

    auto const conv1 =
        load<engine::conv1>(plan->layers[0], engine::model::conv1_weight, engine::model::conv1_bias);
    if (!conv1) return conv1.diagnostics();
    auto const conv2 =
        load<engine::conv2>(plan->layers[1], engine::model::conv2_weight, engine::model::conv2_bias);
    if (!conv2) return conv2.diagnostics();
    auto const fc = load<engine::fc>(plan->layers[2], engine::model::fc_weight, engine::model::fc_bias);
    if (!fc) return fc.diagnostics();
    engine::report([&](const float* image) { return engine::recognize(image, *conv1, *conv2, *fc); });
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::fprintf(stderr, "usage: engine_load FILE.cfg\n"), 2;
    auto const ok = run(argv[1]);
    if (!ok) std::fprintf(stderr, "%s\n", to_string(ok.diagnostics()).c_str());
    return ok ? 0 : 1;
}
