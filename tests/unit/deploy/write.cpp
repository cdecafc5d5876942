// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/write.hpp>

#include <amct_distill/text/reader.hpp>
#include <cstring>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/temporary_directory.hpp"

namespace deploy_write_test {

using namespace amct_distill;

namespace {
/// The values of a `.npy` file whose header has these two parts.
template <class T>
std::vector<T> values(const std::filesystem::path& path, std::string_view type, std::string_view shape) {
    std::string const file = read_file(path).value();
    REQUIRE(file.starts_with(std::string_view("\x93NUMPY\x01\x00", 8)));
    std::size_t const begin =
        10 + static_cast<unsigned char>(file[8]) + 256u * static_cast<unsigned char>(file[9]);
    REQUIRE(begin % 64 == 0);
    std::string_view const header = std::string_view(file).substr(10, begin - 10);
    CHECK(header.starts_with(
        detail::concat("{'descr': '", type, "', 'fortran_order': False, 'shape': (", shape, "), }")));
    CHECK(header.back() == '\n');
    std::vector<T> out((file.size() - begin) / sizeof(T));
    std::memcpy(out.data(), file.data() + begin, out.size() * sizeof(T));
    return out;
}
}  // namespace

TEST_CASE("a deployment is written as the record, the codes and the biases, and reads back") {
    support::temporary_directory const dir;
    Student const student =
        support::calibrated_student(support::every_convolution(),
                                    "distill_override_layers { layer_name: 'conv_depthwise'\n"
                                    "  distill_weight_quant_config { arq_distill { dst_type: INT4 } } }");
    auto const device = deploy(student).value();
    const auto& layers = device.layers();
    write(device, dir.path() / "out").value();
    write(device, dir.path() / "out").value();  // over the old one
    CHECK(dir.files() == 2 + 5 + 4);

    auto const file = [&](const char* name) { return dir.path() / "out" / "weights" / name; };
    CHECK(values<std::int8_t>(file("conv_dilated.weight.npy"), "|i1", "6, 2, 3, 2, ") ==
          unpack(layers[0].codes));
    CHECK(values<std::int32_t>(file("conv_dilated.bias.npy"), "<i4", "6, ") == layers[0].bias);
    auto const packed = values<std::uint8_t>(file("conv_depthwise.weight.npy"), "|u1", "6, 2, ");
    CHECK(unpack_int4(packed, 6, 4).value() == unpack(layers[2].codes));
    CHECK_FALSE(std::filesystem::exists(file("conv_depthwise.bias.npy")));
    CHECK(read<ScaleOffsetRecord>(read_file(dir.path() / "out" / "record.txt").value()).value() ==
          make_record(student).value());
    auto const index = read<DeploymentFiles>(read_file(dir.path() / "out" / "files.txt").value()).value();
    REQUIRE(index.files.size() == 5);
    CHECK(index.files[0].layer == "conv_dilated");
    CHECK(index.files[0].weight == "weights/conv_dilated.weight.npy");
    CHECK(index.files[0].bias == "weights/conv_dilated.bias.npy");
    CHECK_FALSE(index.files[2].bias.has_value());
}

namespace {
/// A network of linear layers with these names.
Student student_of(const std::vector<std::string>& names) {
    nn::Network net;
    nn::NodeId x = net.input("x", {4});
    for (const std::string& name : names)
        x = net.add(name, nn::Linear({.in_features = 4, .out_features = 4}), {x});
    net.output(x);
    nn::initialize(net, 3);
    Student student = make_student(net, support::plan_for(net, "")).value();
    nn::Tensor batch({2, 4});
    for (std::size_t i = 0; i != 8; ++i) batch[i] = static_cast<float>(i) - 3;
    std::vector<nn::Tensor> const batches{batch};
    calibrate(student, batches).value();
    return student;
}
}  // namespace

TEST_CASE("any name of a layer can be written, and the record and the list of files have it as it is") {
    std::string chinese;
    for (int i = 0; i != 28; ++i) chinese += "\xe5\xb1\x82";
    std::vector<std::string> const names{
        chinese, std::string(240, 'n'), std::string(240, 'n') + "2", "fc", "FC", "a/b\nc"};
    support::temporary_directory const dir;
    Student const student = student_of(names);
    auto const device = deploy(student).value();
    const auto& layers = device.layers();
    write(device, dir.path()).value();
    CHECK(dir.files() == 2 + 2 * names.size());
    auto const record = read<ScaleOffsetRecord>(read_file(dir.path() / "record.txt").value()).value();
    auto const index = read<DeploymentFiles>(read_file(dir.path() / "files.txt").value()).value();
    REQUIRE(record.record.size() == names.size());
    REQUIRE(index.files.size() == names.size());
    for (std::size_t k = 0; k != names.size(); ++k) {
        CHECK(*record.record[k].key == names[k]);
        CHECK(*index.files[k].layer == names[k]);
        CHECK(values<std::int8_t>(dir.path() / *index.files[k].weight, "|i1", "4, 4, ") ==
              unpack(layers[k].codes));
        CHECK(values<std::int32_t>(dir.path() / *index.files[k].bias, "<i4", "4, ") == layers[k].bias);
    }
}

TEST_CASE("an older deployment goes when the new one is complete, and files of others stay") {
    support::temporary_directory const dir;
    write_file(dir.path() / "weights" / "mine.npy", "x").value();
    write(deploy(student_of({"a", "b", "c"})).value(), dir.path()).value();
    CHECK(dir.files() == 2 + 6 + 1);
    write(deploy(student_of({"b"})).value(), dir.path()).value();
    CHECK(dir.files() == 2 + 2 + 1);
    CHECK(read_file(dir.path() / "weights" / "mine.npy").value() == "x");

    // A list of files that is not ours makes us remove nothing.
    write_file(dir.path() / "files.txt", "files { weight: 'weights/../precious' bias: 'precious' }").value();
    write_file(dir.path() / "precious", "x").value();
    write(deploy(student_of({"b"})).value(), dir.path()).value();
    CHECK(dir.files() == 2 + 2 + 2);
}

TEST_CASE("a deployment that cannot be written leaves the old one whole") {
    support::temporary_directory const dir;
    Student const student = support::calibrated_student(support::small_network(), "");
    write(deploy(student).value(), dir.path()).value();
    std::string const record = read_file(dir.path() / "record.txt").value();
    std::filesystem::path const weight = dir.path() / "weights" / "fc.weight.npy";
    std::filesystem::remove(weight);
    std::filesystem::create_directories(weight / "in the way");
    std::size_t const files = dir.files();
    auto const failed =
        write(deploy(support::calibrated_student(support::small_network(), support::int4_config)).value(),
              dir.path());
    REQUIRE_FALSE(failed);
    CHECK(failed.diagnostics()[0].message ==
          detail::concat("cannot write ", weight.string(), ": Is a directory"));
    CHECK(read_file(dir.path() / "record.txt").value() == record);
    CHECK(dir.files() == files);
}

TEST_CASE("whichever file of a deployment cannot be written is named, and the others are not there") {
    Deployment const device = deploy(student_of({"fc"})).value();
    for (const char* name :
         {"weights/fc.weight.npy", "weights/fc.bias.npy", "network.npz", "files.txt", "record.txt"}) {
        support::temporary_directory const dir;
        std::filesystem::create_directories(dir.path() / name);
        auto const failed = write(device, dir.path(), {.network = true});
        REQUIRE_FALSE(failed);
        CHECK(failed.diagnostics()[0].message ==
              detail::concat("cannot write ", (dir.path() / name).string(), ": Is a directory"));
        CHECK(dir.files() == 0);
    }
    support::temporary_directory const dir;
    write_file(dir.path() / "files.txt", "no list of files").value();
    write(device, dir.path()).value();  // over what is none of ours
    CHECK(dir.files() == 2 + 2);
}

}  // namespace deploy_write_test
