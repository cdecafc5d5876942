// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/mapped_file.hpp>

#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace io_mapped_file_test {

using namespace amct_distill;
namespace fs = std::filesystem;

std::string error_of(const result<MappedFile>& r) { return r ? "no error" : to_string(r.diagnostics()); }

TEST_CASE("a file's bytes are mapped, or read where they cannot be") {
    support::temporary_directory dir;
    std::string const content = std::string("\0a\n", 3) + std::string(100000, 'x');
    REQUIRE(write_file(dir.path() / "f", content));
    auto mapped = MappedFile::open(dir.path() / "f");
    REQUIRE(mapped);
    CHECK(mapped->is_mapped());
    CHECK(mapped->bytes() == content);
    auto const read = MappedFile::read_whole(dir.path() / "f");
    REQUIRE(read);
    CHECK_FALSE(read->is_mapped());
    CHECK(read->bytes() == content);

    std::string_view const bytes = mapped->bytes();  // where the object goes, its bytes stay
    MappedFile moved = *std::move(mapped);
    MappedFile assigned;
    assigned = std::move(moved);
    CHECK(assigned.bytes().data() == bytes.data());
    CHECK(assigned.bytes() == content);
    CHECK(moved.bytes().empty());
    assigned.forget();
    CHECK(assigned.bytes() == content);
    read->forget();
    CHECK(read->bytes() == content);
}

TEST_CASE("small files keep their bytes in place too") {
    support::temporary_directory dir;
    REQUIRE(write_file(dir.path() / "f", "ab"));
    auto read = MappedFile::read_whole(dir.path() / "f");
    std::string_view const bytes = read.value().bytes();
    MappedFile const moved = *std::move(read);
    CHECK(moved.bytes().data() == bytes.data());
    CHECK(moved.bytes() == "ab");
    REQUIRE(write_file(dir.path() / "empty", ""));
    CHECK(MappedFile::open(dir.path() / "empty").value().bytes().empty());
    CHECK(MappedFile::read_whole(dir.path() / "empty").value().bytes().empty());
}

TEST_CASE("what is no readable regular file is refused by name") {
    support::temporary_directory dir;
    std::string const there = dir.path().string();
    for (auto* open : {+[](const fs::path& p) { return MappedFile::open(p); },
                       +[](const fs::path& p) { return MappedFile::read_whole(p); }}) {
        CHECK(error_of(open(dir.path() / "none")) ==
              "error: cannot open " + there + "/none: No such file or directory");
        CHECK(error_of(open(dir.path())) == "error: cannot open " + there + ": it is not a regular file");
    }
    REQUIRE(mkfifo((dir.path() / "pipe").c_str(), 0600) == 0);
    CHECK(error_of(MappedFile::open(dir.path() / "pipe")) ==
          "error: cannot open " + there + "/pipe: it is not a regular file");
}

TEST_CASE("a process that may open no more files says so") {
    support::temporary_directory dir;
    REQUIRE(write_file(dir.path() / "f", "content"));
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit const none{0, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    std::string const mapped = error_of(MappedFile::open(dir.path() / "f")),
                      read = error_of(MappedFile::read_whole(dir.path() / "f"));
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    std::string const expected =
        "error: cannot open " + (dir.path() / "f").string() + ": Too many open files";
    CHECK(mapped == expected);
    CHECK(read == expected);
}

TEST_CASE("a file that cannot be mapped and is shorter than it says is an error of reading") {
    fs::path const online = "/sys/devices/system/cpu/online";  // 4096 bytes by its size, "0-1" by its content
    std::error_code ignored;
    if (fs::file_size(online, ignored) != 4096) return;
    CHECK(error_of(MappedFile::open(online)) ==
          "error: cannot read " + online.string() + ": Input/output error");
}

TEST_CASE("a symbolic link is followed unless refused") {
    support::temporary_directory dir;
    REQUIRE(write_file(dir.path() / "f", "content"));
    fs::create_symlink("f", dir.path() / "link");
    CHECK(MappedFile::open(dir.path() / "link").value().bytes() == "content");
    CHECK_THAT(error_of(MappedFile::open(dir.path() / "link", MappedFile::Links::refused)),
               Catch::Contains("link is a symbolic link; links are not followed here"));
    CHECK(MappedFile::open(dir.path() / "f", MappedFile::Links::refused).value().bytes() == "content");
}

}  // namespace io_mapped_file_test
