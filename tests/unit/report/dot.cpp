// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/dot.hpp>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace report_dot_test {

using namespace amct_distill;

TEST_CASE("a plan for Graphviz: layers with their settings, blocks boxed, edges") {
    nn::Network const net = support::small_network();
    std::string const dot = to_dot(
        net, support::plan_for(net,
                               "quant_skip_layers: 'fc'\n"
                               "distill_group { start_layer_name: 'conv1' end_layer_name: 'relu2' }\n"));
    CHECK(dot.starts_with("digraph plan {\n"));
    CHECK(dot.ends_with("}\n"));
    CHECK_THAT(dot, Catch::Contains("    subgraph cluster_0 {\n        label=\"block 1\"\n"));
    CHECK_THAT(dot,
               Catch::Contains("        n1 [label=\"conv1\\nConv2d 3×3 2→4\\nweights: arq_distill, INT8, "
                               "channel_wise\\ninputs: ulq_quantize, INT8\", fillcolor=\"#dce9f7\"]\n"));
    CHECK_THAT(dot, Catch::Contains("[label=\"fc\\nLinear 20→3\\nin float: quant_skip_layers[0] at 1:1\", "
                                    "style=\"rounded,dashed\"]\n"));
    CHECK_THAT(dot, Catch::Contains("    n0 -> n1\n    n1 -> n2\n    n2 -> n3\n"));
}

TEST_CASE("a name with quotes is one text") {
    CHECK(detail::dot_text("a\"b\\c\nd") == "\"a\\\"b\\\\c\\nd\"");
}

}  // namespace report_dot_test
