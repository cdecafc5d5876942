// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/external_data.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace onnx_external_data_test {

using namespace amct_distill;
using onnx::ExternalData;
namespace fs = std::filesystem;

onnx::TensorProto tensor(std::vector<std::pair<std::string_view, std::string_view>> entries) {
    onnx::TensorProto t;
    t.name = std::string_view("w");
    t.data_location = 1;
    for (auto const& [key, value] : entries) t.external_data.push_back({.key = key, .value = value});
    return t;
}
std::string error_of(const result<std::string_view>& r) {
    return r ? "no error: " + std::string(*r) : to_string(r.diagnostics());
}

/// A folder with `model/w.bin` (16 bytes), `model/sub/v.bin`, and `outside.bin` beside the model's folder.
class Folder {
public:
    Folder() {
        CHECK(write_file(model() / "w.bin", "0123456789abcdef"));
        CHECK(write_file(model() / "sub" / "v.bin", "vvvv"));
        CHECK(write_file(dir_.path() / "outside.bin", "secret"));
    }
    fs::path model() const { return dir_.path() / "model"; }
    std::string error(std::vector<std::pair<std::string_view, std::string_view>> entries,
                      std::uint64_t needed = 4,
                      ExternalData::Links links = ExternalData::Links::refused) const {
        ExternalData data(model(), links);
        return error_of(data.bytes(tensor(std::move(entries)), needed));
    }

private:
    support::temporary_directory dir_{};
};

TEST_CASE("parts of files in the model's folder are mapped") {
    Folder const folder;
    ExternalData data(folder.model());
    auto const part = data.bytes(tensor({{"location", "w.bin"}, {"offset", "10"}, {"length", "4"}}), 4);
    CHECK(part.value() == "abcd");
    auto const start = data.bytes(tensor({{"location", "w.bin"}}), 3);  // no length: what the shape needs
    CHECK(start.value() == "012");
    CHECK(start.value().data() + 10 == part.value().data());  // mapped once
    CHECK(data.bytes(tensor({{"location", "sub/v.bin"}, {"checksum", "abc"}}), 4).value() == "vvvv");
    CHECK(data.bytes(tensor({{"location", "./w.bin"}, {"offset", "16"}}), 0).value().empty());
}

TEST_CASE("a model by a name without a folder finds its data beside it") {
    Folder const folder;
    fs::path const before = fs::current_path();
    fs::current_path(folder.model());
    ExternalData data{fs::path{}};
    CHECK(data.bytes(tensor({{"location", "w.bin"}}), 2).value() == "01");
    fs::current_path(before);
}

TEST_CASE("paths that leave the model's folder are refused") {
    Folder const folder;
    fs::path const outside = folder.model().parent_path() / "outside.bin";
    std::string const absolute = outside.string();
    for (std::string_view location :
         {std::string_view("../outside.bin"), std::string_view("../model/w.bin"),
          std::string_view("sub/../../outside.bin"), std::string_view("sub/../w.bin"),
          std::string_view(absolute), std::string_view(".."), std::string_view("w.bin\0x", 7)})
        CHECK_THAT(folder.error({{"location", location}}),
                   Catch::Contains(
                       "a model may name files of its own folder only, by a relative path without `..`"));
}

TEST_CASE("symbolic links are refused unless asked for, and may not leave the folder then") {
    Folder const folder;
    fs::create_symlink("w.bin", folder.model() / "link.bin");
    fs::create_directory_symlink("sub", folder.model() / "linked");
    fs::create_symlink("../outside.bin", folder.model() / "escape.bin");
    fs::create_directory_symlink("..", folder.model() / "up");
    for (std::string_view location : {"link.bin", "linked/v.bin", "escape.bin", "up/outside.bin"})
        CHECK_THAT(folder.error({{"location", location}}),
                   Catch::Contains("which is or passes a symbolic link"));
    auto const followed = ExternalData::Links::followed;
    CHECK(folder.error({{"location", "link.bin"}}, 4, followed) == "no error: 0123");
    CHECK(folder.error({{"location", "linked/v.bin"}}, 4, followed) == "no error: vvvv");
    CHECK_THAT(folder.error({{"location", "escape.bin"}}, 4, followed),
               Catch::Contains("a link that leaves the model's folder"));
    CHECK_THAT(folder.error({{"location", "up/outside.bin"}}, 4, followed),
               Catch::Contains("a link that leaves the model's folder"));
}

TEST_CASE("a model's folder may itself be reached by a link") {
    Folder const folder;
    fs::create_directory_symlink("model", folder.model().parent_path() / "alias");
    ExternalData data(folder.model().parent_path() / "alias");
    CHECK(data.bytes(tensor({{"location", "w.bin"}}), 2).value() == "01");
}

TEST_CASE("only regular files that are there") {
    Folder const folder;
    CHECK_THAT(folder.error({{"location", "none.bin"}}),
               Catch::Contains("none.bin: No such file or directory; copy that file beside the model"));
    CHECK_THAT(folder.error({{"location", "sub"}}), Catch::Contains("it is not a regular file"));
    REQUIRE(mkfifo((folder.model() / "pipe").c_str(), 0600) == 0);
    CHECK_THAT(folder.error({{"location", "pipe"}}), Catch::Contains("it is not a regular file"));
}

TEST_CASE("offset and length must be inside the file and fit the shape") {
    Folder const folder;
    CHECK(folder.error({{"location", "w.bin"}, {"offset", "13"}, {"length", "4"}}) ==
          "error: tensor `w`: its external data are 4 bytes at offset 13 of w.bin, which has only 16; is "
          "that file "
          "whole?");
    CHECK_THAT(folder.error({{"location", "w.bin"}, {"offset", "18446744073709551615"}}),
               Catch::Contains("which has only 16"));
    CHECK(folder.error({{"location", "w.bin"}, {"length", "5"}}) ==
          "error: tensor `w`: its external data has 5 bytes, but its shape and type need 4");
    for (std::string_view bad : {"-1", "", "1.0", "4 ", "18446744073709551616", "0x4"}) {
        CHECK_THAT(folder.error({{"location", "w.bin"}, {"offset", bad}}),
                   Catch::Contains("is not a whole number"));
        CHECK_THAT(folder.error({{"location", "w.bin"}, {"length", bad}}),
                   Catch::Contains("is not a whole number"));
    }
}

TEST_CASE("other keys, doubled keys and a missing location are refused") {
    Folder const folder;
    CHECK(
        folder.error({{"location", "w.bin"}, {"basepath", "/"}}) ==
        "error: tensor `w`: external_data has the key `basepath`; the keys are location, offset, length and "
        "checksum");
    CHECK(folder.error({{"location", "w.bin"}, {"location", "w.bin"}}) ==
          "error: tensor `w`: external_data has the key `location` twice");
    CHECK(folder.error({}) ==
          "error: tensor `w`: its values are in another file, but external_data has no location");
    CHECK_THAT(folder.error({{"location", ""}}), Catch::Contains("has no location"));
}

TEST_CASE("external data of a model whose folder is gone") {
    support::temporary_directory const dir;
    ExternalData data(dir.path() / "gone", ExternalData::Links::refused);
    std::string const error = error_of(data.bytes(tensor({{"location", "w.bin"}}), 4));
    CHECK(error == "error: tensor `w`: the model's folder " + (dir.path() / "gone").string() +
                       ": No such file or directory");
}

}  // namespace onnx_external_data_test
