// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/npz.hpp>

#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace io_npz_test {

using namespace amct_distill;

namespace {
std::string error_of(std::string_view bytes) {
    auto const archive = ZipReader::open(bytes);
    return archive ? "no error" : archive.diagnostics()[0].message;
}
/// One file `a` of the content "hello": its header is at 0, its directory at 36, its end record at 83.
std::string small_archive() {
    ZipWriter zip;
    zip.add("a", "hello");
    return std::move(zip).finish().value();
}
std::string changed(std::size_t at, std::string_view bytes) {
    return small_archive().replace(at, bytes.size(), bytes);
}
}  // namespace

TEST_CASE("an archive's files are found by name, and a comment after them is no harm") {
    ZipWriter zip;
    zip.add("a", "hello");
    zip.add("empty", "");
    std::string const bytes = std::move(zip).finish().value() + "a comment";
    auto const archive = ZipReader::open(bytes);
    REQUIRE(archive);
    CHECK(archive->files().size() == 2);
    CHECK(archive->size() == 5);
    CHECK(archive->find("a") == "hello");
    CHECK(archive->find("empty") == "");
    CHECK_FALSE(archive->find("b"));
}

TEST_CASE("what is no archive, or a damaged one, is refused with the place") {
    REQUIRE(small_archive().size() == 83 + 22);
    CHECK(error_of("PK") == "this .npz is too short to be one");
    std::string const none = "this .npz has no directory: it is no zip archive, or is cut off";
    CHECK(error_of(std::string(100, 'x')) == none);
    CHECK(error_of(small_archive() + std::string(0xFFFF, 'x')) == "no error");  // the longest comment
    CHECK(error_of(small_archive() + std::string(0x10000, 'x')) == none);
    CHECK(error_of(small_archive().substr(0, 90)) == none);

    CHECK(error_of(changed(36, "x")) == "this .npz has a damaged directory");
    CHECK(error_of(changed(83 + 16, "\xFF\xFF")) == "this .npz has a damaged directory");  // where it begins
    CHECK(error_of(changed(83 + 16, std::string_view("\x40\0", 2))) == "this .npz has a damaged directory");
    CHECK(error_of(changed(83 + 10, "\x02")) == "this .npz has a damaged directory");  // of two files
    CHECK(error_of(changed(36 + 28, "\x09")) == "this .npz has a damaged directory");  // a longer name
    CHECK(error_of(changed(36 + 10, "\x08")) ==
          "this .npz is compressed (`a`): write it with numpy.savez, not savez_compressed");
    CHECK(error_of(changed(36 + 42, "\xFF\xFF")) == "this .npz is damaged at `a`");  // where the file begins
    CHECK(error_of(changed(36 + 42, std::string_view("\x40\0", 2))) == "this .npz is damaged at `a`");
    CHECK(error_of(changed(0, "x")) == "this .npz is damaged at `a`");
    CHECK(error_of(changed(26, "\xFF")) == "this .npz is cut off at `a`");       // its name
    CHECK(error_of(changed(36 + 20, "\xFF")) == "this .npz is cut off at `a`");  // its size
    CHECK(error_of(changed(32, "x")) == "this .npz is damaged at `a`");          // its content
}

TEST_CASE("files that overlap would make a small archive large") {
    ZipWriter zip;
    zip.add("a", std::string(300, 'x'));
    std::string bytes = std::move(zip).finish().value();
    std::string const directory = bytes.substr(331, 47);  // twice the same file
    bytes.insert(331, directory);
    bytes.replace(331 + 94 + 10, 1, "\x02");
    CHECK(error_of(bytes) == "this .npz has files that overlap");
}

TEST_CASE("more files, or longer names, than the format holds are not written") {
    ZipWriter many, named;
    for (int i = 0; i != 0xFFFF; ++i) many.add("", "");
    ZipWriter more = many;
    more.add("", "");
    CHECK(std::move(many).finish());
    named.add(std::string(0x10000, 'n'), "");
    for (auto* zip : {&more, &named}) {
        auto const refused = std::move(*zip).finish();
        REQUIRE_FALSE(refused);
        CHECK(refused.diagnostics()[0].message ==
              "the arrays take 4 GiB or more, which this format of .npz cannot hold");
    }
}

}  // namespace io_npz_test
