// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/model_file.hpp>

#include <amct_distill/wire/writer.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <filesystem>
#include <list>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"

namespace onnx_model_file_test {

using namespace amct_distill;
using onnx::ModelFile;
namespace fs = std::filesystem;

fs::path const zoo = fs::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo";

std::vector<std::string> models() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(zoo))
        if (entry.path().extension() == ".onnx") names.push_back(entry.path().stem().string());
    return names;
}
/// The errors of opening a model and of reading all its tensors.
std::string error_of(const fs::path& path) {
    auto const model = ModelFile::open(path);
    if (!model) return to_string(model.diagnostics());
    for (const onnx::TensorProto& t : model->graph().initializer)
        if (auto const values = model->values(t); !values) return to_string(values.diagnostics());
    return "no error";
}

TEST_CASE("all models of the zoo are read, all their weights, and written again as the same bytes") {
    std::size_t read = 0;
    for (const std::string& name : models()) {
        if (name.starts_with("x_") && name != "x_dangling")
            continue;  // below; x_dangling is whole as a message
        INFO(name);
        auto const model = ModelFile::open(zoo / (name + ".onnx"));
        REQUIRE(model);
        CHECK(model.diagnostics().empty());
        CHECK(error_of(zoo / (name + ".onnx")) == "no error");
        // Exporters write in the order of the numbers, and the zoo has no field that is passed over.
        CHECK(write_binary(model->proto()) == golden::read_file("zoo/" + name + ".onnx"));

        auto const about = golden::load("zoo/" + name + ".json");
        std::set<std::string> expected, seen;
        for (const auto& op : about.at("ops").as_array()) expected.insert(std::string(op.as_string()));
        for (const onnx::NodeProto& node : model->graph().node) {
            std::string op(node.op_type.get());
            if (!node.domain.get().empty()) op = std::string(node.domain.get()) + "." + op;
            seen.insert(op);
        }
        CHECK(seen == expected);
        if (about.at("exporter").as_object().contains("opset"))
            CHECK(model->opset() == about.at("exporter").at("opset").to_number<std::int64_t>());
        ++read;
    }
    CHECK(read == 93);
    golden::print_count("zoo", read, models().size(),
                        "read and written again; the others are damaged on purpose");
}

TEST_CASE("damaged and unsafe models are refused with their reason") {
    std::string const at = zoo.string() + "/";
    CHECK(error_of(zoo / "x_truncated.onnx") == at + "x_truncated.onnx: error: graph: at byte 20: the length "
                                                     "is 4832, but the bytes left are 3216: is the "
                                                     "file whole?");
    CHECK(error_of(zoo / "x_raw_size2.onnx") == at + "x_raw_size2.onnx: error: tensor `fc2.weight`: raw_data "
                                                     "has 2296 bytes, but its shape and type need "
                                                     "2304");
    CHECK(error_of(zoo / "x_ext_abs2.onnx") ==
          at + "x_ext_abs2.onnx: error: tensor `fc2.weight`: its external data are at `/etc/hostname`; a "
               "model may "
               "name files of its own folder only, by a relative path without `..`");
    CHECK_THAT(error_of(zoo / "x_ext_escape.onnx"),
               Catch::Contains("`../zoo/v_external.data`; a model may name"));
    CHECK_THAT(error_of(zoo / "x_ext_missing.onnx"),
               Catch::Contains("nowhere.bin: No such file or directory"));
    CHECK_THAT(error_of(zoo / "x_ext_short.onnx"), Catch::Contains("x_ext_short.data, which has only 4096"));
}

TEST_CASE("files that are no models are refused") {
    support::temporary_directory dir;
    REQUIRE(write_file(dir.path() / "empty.onnx", ""));
    CHECK_THAT(error_of(dir.path() / "empty.onnx"),
               Catch::Contains("empty.onnx: error: the file is empty; expected an ONNX model"));
    REQUIRE(write_file(dir.path() / "text.onnx", "batch_num: 1\n"));
    CHECK_THAT(error_of(dir.path() / "text.onnx"), Catch::Contains("text.onnx: error: "));
    REQUIRE(write_file(dir.path() / "other.onnx", std::string("\x08\x07", 2)));
    CHECK_THAT(error_of(dir.path() / "other.onnx"),
               Catch::Contains("there is no graph in it; is it an ONNX model?"));
    CHECK_THAT(error_of(dir.path() / "none.onnx"), Catch::Contains("No such file or directory"));
    CHECK_THAT(error_of(dir.path()), Catch::Contains("it is not a regular file"));
}

TEST_CASE("weights are views of the mapped file, wherever the object goes") {
    auto opened = ModelFile::open(zoo / "mlp2.onnx");
    REQUIRE(opened);
    std::string_view const first = *opened->graph().initializer.at(0).raw_data;
    ModelFile const moved = *std::move(opened);
    CHECK(moved.graph().initializer.at(0).raw_data->data() == first.data());
    std::string const bytes = golden::read_file("zoo/mlp2.onnx");
    CHECK(bytes.find(first) != std::string::npos);

    auto const in_memory = ModelFile::of_bytes(bytes, "memory");
    REQUIRE(in_memory);
    std::string_view const view = *in_memory->graph().initializer.at(0).raw_data;
    CHECK((view.data() > bytes.data() && view.data() < bytes.data() + bytes.size()));
}

TEST_CASE("float16 weights and weights in other files are like any other") {
    auto const half = ModelFile::open(zoo / "dt_float16_weights.onnx");
    REQUIRE(half);
    std::size_t sixteen = 0;
    for (const onnx::TensorProto& t : half->graph().initializer)
        if (*t.data_type == 10) {
            auto const values = half->values(t).value().to_vector<float>();
            for (float v : values) CHECK(std::abs(v) < 10);
            ++sixteen;
        }
    CHECK(sixteen > 0);

    // A model whose weights are moved to another file has the same values.
    auto const whole = ModelFile::open(zoo / "mlp2.onnx");
    REQUIRE(whole);
    onnx::ModelProto parted = whole->proto();
    std::string data(64, '-');
    std::list<std::string> texts;
    for (onnx::TensorProto& t : parted.graph->initializer) {
        std::string_view const offset = texts.emplace_back(std::to_string(data.size()));
        data += *t.raw_data;
        t.raw_data.reset();
        t.data_location = 1;
        t.external_data = {{.key = std::string_view("location"), .value = std::string_view("w.bin")},
                           {.key = std::string_view("offset"), .value = offset}};
    }
    support::temporary_directory dir;
    REQUIRE(write_file(dir.path() / "m.onnx", write_binary(parted)));
    REQUIRE(write_file(dir.path() / "w.bin", data));
    auto const external = ModelFile::open(dir.path() / "m.onnx");
    REQUIRE(external);
    REQUIRE(whole->graph().initializer.size() == 10);
    for (std::size_t i = 0; i != 10; ++i)
        CHECK(whole->values(whole->graph().initializer[i]).value().to_vector<float>() ==
              external->values(external->graph().initializer[i]).value().to_vector<float>());
}

TEST_CASE("graphs nested deeper than a network needs are refused") {
    std::string bytes = write_binary(onnx::GraphProto{});
    auto const wrap = [](int tag, const std::string& inside) {
        std::string out(1, static_cast<char>(tag));
        std::size_t n = inside.size();
        for (; n >= 128; n >>= 7) out += static_cast<char>((n & 127) | 128);
        return out += static_cast<char>(n), out += inside;
    };
    for (int i = 0; i != 5; ++i) bytes = wrap(0x0A, wrap(0x2A, wrap(0x32, bytes)));  // node, attribute, g
    auto const model = ModelFile::of_bytes(wrap(0x3A, bytes));                       // 1 + 15
    CHECK(model);
    auto const deeper = ModelFile::of_bytes(wrap(0x3A, wrap(0x0A, wrap(0x2A, wrap(0x32, bytes)))));
    REQUIRE_FALSE(deeper);
    CHECK_THAT(to_string(deeper.diagnostics()), Catch::Contains("nested more than 16 messages deep"));
}

}  // namespace onnx_model_file_test
