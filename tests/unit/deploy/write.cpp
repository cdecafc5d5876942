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
    auto const layers = deploy(student).value();
    write_deployment(dir.path() / "out", student).value();
    write_deployment(dir.path() / "out", student).value();  // over the old one
    CHECK(dir.files() == 1 + 5 + 4);

    auto const file = [&](const char* name) { return dir.path() / "out" / name; };
    CHECK(values<std::int8_t>(file("conv_dilated.weight.npy"), "|i1", "6, 2, 3, 2, ") == layers[0].codes());
    CHECK(values<std::int32_t>(file("conv_dilated.bias.npy"), "<i4", "6, ") == layers[0].bias);
    auto const packed = values<std::uint8_t>(file("conv_depthwise.weight.npy"), "|u1", "6, 2, ");
    CHECK(unpack_int4(packed, 6, 4).value() == layers[2].codes());
    CHECK_FALSE(std::filesystem::exists(file("conv_depthwise.bias.npy")));
    CHECK(read<ScaleOffsetRecord>(read_file(file("record.txt")).value()).value() ==
          make_record(student).value());
}

TEST_CASE("a layer's name is made a file's name that says it and no other") {
    CHECK(detail::file_name("layer1.0/conv_2-a") == "layer1.0%2Fconv_2-a");
    CHECK(detail::file_name("\xe5\xb1\x82 %") == "%E5%B1%82%20%25");
}

TEST_CASE("without the record a directory is not complete: it is removed first and written last") {
    support::temporary_directory const dir;
    Student const student = support::calibrated_student(support::small_network(), "");
    write_deployment(dir.path(), student).value();
    std::filesystem::remove(dir.path() / "fc.weight.npy");
    std::filesystem::create_directories(dir.path() / "fc.weight.npy" / "in the way");
    auto const failed = write_deployment(dir.path(), student);
    REQUIRE_FALSE(failed);
    CHECK_THAT(failed.diagnostics()[0].message, Catch::Contains("fc.weight.npy"));
    CHECK_FALSE(std::filesystem::exists(dir.path() / "record.txt"));
    CHECK_FALSE(std::filesystem::exists(dir.path() / "fc.weight.npy.tmp"));
}

}  // namespace deploy_write_test
