// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/file_names.hpp>

#include <amct_distill/io/file.hpp>
#include <set>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace deploy_file_names_test {

using namespace amct_distill;

namespace {
std::string file_name(const std::string& name) { return file_names(std::vector{name})[0]; }
std::string repeated_text(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i != times; ++i) out += text;
    return out;
}
/// What a case-insensitive file system compares, of ASCII.
std::string lower(std::string text) { return detail::lower_case(text); }
}  // namespace

TEST_CASE("a name that every file system takes stays as it is") {
    for (const char* name : {"conv1", "layer1.0.conv_2-a", "A", "con1", "comx", "communication", "conv.con"})
        CHECK(file_name(name) == name);
    CHECK(file_name(std::string(80, 'n')) == std::string(80, 'n'));
}

TEST_CASE("what some file system forbids is replaced, and a hash tells the names apart") {
    for (const char* name : {"a/b", "a\\b", "a:b", "a b", "a%b", "a\nb",
                             "a\xE2\x80\x8B"
                             "b",
                             "a\xC2\xA0"
                             "b"}) {
        INFO(name);
        CHECK(file_name(name).starts_with("a_b-"));
        CHECK(file_name(name).size() == 12);
        CHECK(file_name(name) == file_name(name));
    }
    CHECK(file_name("a/b") != file_name("a:b"));
    CHECK(file_name("..").starts_with("_.-"));
    CHECK(file_name(".hidden").starts_with("_hidden-"));
    CHECK(file_name("a\xFF"
                    "b\xC3")
              .starts_with("a_b_-"));
    for (const char* name : {"con", "NUL", "aux.weight", "Com1", "lpt9.x"}) {
        INFO(name);
        CHECK(file_name(name) != name);
    }
}

TEST_CASE("letters, digits and three marks of ASCII stay, every other byte of it is replaced") {
    std::string const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    for (int i = 0; i != 256; ++i) {
        INFO(i);
        char const c = static_cast<char>(static_cast<unsigned char>(i));
        std::string const name{'a', c, 'b'};
        if (plain.find(c) != plain.npos) {
            CHECK(file_name(name) == name);
            std::string const own{c};
            CHECK(detail::lower_case(own) == (c >= 'A' && c <= 'Z' ? std::string{char(i + 32)} : own));
        } else {
            CHECK(file_name(name).substr(0, 4) == "a_b-");
            CHECK(detail::lower_case(std::string{c}) == std::string{c});
        }
    }
    // Devices of Windows have one digit at the end, of ten.
    for (char c = '0'; c <= '9'; ++c)
        for (std::string const begin : {"com", "LPT"}) {
            CHECK(file_name(begin + c).starts_with(begin + c + "-"));
            CHECK(file_name(begin + c + ".x").starts_with(begin + c + ".x-"));
        }
    for (std::string const name : {"com", "com:", "com/", "lpt10", "xcom1", "nul1", "connect"})
        CHECK_FALSE(detail::is_reserved_file_name(name));
    for (std::string const name : {"prn", "PRN.a.b", "nul."}) CHECK(detail::is_reserved_file_name(name));
}

TEST_CASE("characters beyond ASCII stay, but for those that cannot be seen") {
    for (std::string const c :
         {"\xC2\xA1", "\xC3\xA9", "\xE1\xBF\xBF", "\xE2\x82\x80", "\xEF\xBB\xBE", "\xF0\x9F\xA7\xA0"})
        CHECK(file_name("a" + c + "b").starts_with("a" + c + "b-"));
    for (std::string const c : {"\xC2\x80", "\xC2\xA0", "\xE2\x80\x80", "\xE2\x81\xBF", "\xEF\xBB\xBF"})
        CHECK(file_name("a" + c + "b").starts_with("a_b-"));
    // A character that is cut short is replaced byte by byte.
    CHECK(file_name("a\xE5\xB1").starts_with("a__-"));
    CHECK(file_name("\xF0\x9F\xA7").starts_with("___-"));
}

TEST_CASE("a long name is cut between two characters") {
    CHECK(detail::hex_digits(0xfedcba9876543210u, 16) == "fedcba9876543210");
    CHECK(detail::hex_digits(0xab, 2) == "ab");
    CHECK(detail::hex_digits(0x0123456789abcdefu, 16) == "0123456789abcdef");
    std::string const layer = "\xE5\xB1\x82";  // of three bytes; in 28 of them all did not fit when escaped
    CHECK(file_name(repeated_text(layer, 28)).starts_with(repeated_text(layer, 26) + "-"));
    CHECK(file_name(repeated_text(layer, 5)).starts_with(repeated_text(layer, 5) + "-"));
    for (std::size_t offset = 0; offset != 4; ++offset) {
        std::string const name = std::string(offset, 'x') + repeated_text("\xF0\x9F\xA7\xA0", 200);
        std::string const file = file_name(name);
        CHECK(detail::first_invalid_utf8(file) == std::string::npos);
        CHECK(file.size() <= 80 + 9);
        CHECK(file.size() >= 77 + 9);
    }
    CHECK(file_name(std::string(240, 'n')).size() == 89);
    CHECK(file_name(std::string(240, 'n')) != file_name(std::string(241, 'n')));
}

TEST_CASE("names that differ only in case, in what is replaced, or after the cut get files of their own") {
    std::vector<std::string> names{"conv", "Conv", "CONV", "a/b", "a_b", "a:b", "A/B"};
    names.push_back(file_name("a/b"));  // what another would be called
    for (int i = 0; i != 50; ++i) names.push_back(detail::concat(std::string(240, 'n'), i));
    auto const files = file_names(names);
    REQUIRE(files.size() == names.size());
    std::set<std::string> different;
    for (const std::string& file : files) different.insert(lower(file));
    CHECK(different.size() == names.size());
    CHECK(files[0] == "conv");
    CHECK(files[1].starts_with("Conv-"));
    CHECK(files[4] == "a_b");
    CHECK(file_names(names) == files);
}

TEST_CASE("the files can be made") {
    support::temporary_directory const dir;
    std::vector<std::string> const names{
        std::string(10'000, 'n'), "a\nb/c\\d", "\xFF\xFE", "", "-", "~", " "};
    for (const std::string& file : file_names(names))
        CHECK(write_file(dir.path() / (file + ".weight.npy"), "x"));
    CHECK(dir.files() == names.size());
}

}  // namespace deploy_file_names_test
