// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/source_text.hpp>

#include "amct_distill/config/messages.hpp"
#include "amct_distill/io/file.hpp"
#include "amct_distill/plan/resolve.hpp"
#include "amct_distill/text/reader.hpp"
#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace core_source_text_test {

using namespace amct_distill;

TEST_CASE("one source shows the line of what read() and what resolve() find") {
    SourceText const source{"quant.cfg", "batch_num: 1\nquant_skip_layers: 'conv9'\n"};
    auto const config = read<AMCTDistillConfig>(source).value();
    CHECK(to_string(resolve(config, example(), target::generic, {.source = source}).diagnostics()) ==
          "quant.cfg:2:1: error: quant_skip_layers[0]: no layer is named `conv9`; did you mean `conv1`?\n"
          "  quant_skip_layers: 'conv9'\n  ^");
    SourceText const wrong{"quant.cfg", "batch_nun: 1\n"};
    CHECK(to_string(read<AMCTDistillConfig>(wrong).diagnostics()) ==
          "quant.cfg:1:1: error: unknown field `batch_nun`; did you mean `batch_num`?\n  batch_nun: 1\n  ^");
}

TEST_CASE("a text at hand may have its name among the options") {
    CHECK(to_string(read<AMCTDistillConfig>("batch_nun: 1", {.source = "quant.cfg"}).diagnostics())
              .starts_with("quant.cfg:1:1: error: "));
}

TEST_CASE("a file is a source, named by its path") {
    auto const path = std::string(AMCT_DISTILL_GOLDEN_DIR) + "/documentation_example.cfg";
    auto const source = SourceText::file(path);
    REQUIRE(source);
    CHECK(source->name == path);
    CHECK(read<AMCTDistillConfig>(*source));
    auto const none = SourceText::file("/nowhere/quant.cfg");
    REQUIRE_FALSE(none);
    CHECK(none.diagnostics()[0].message.starts_with("cannot open /nowhere/quant.cfg: "));
}

}  // namespace core_source_text_test
