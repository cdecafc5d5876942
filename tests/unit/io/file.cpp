// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/file.hpp>

#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace core_file_test {

using namespace amct_distill;

TEST_CASE("a file is written whole, with its directories, and read back") {
    support::temporary_directory const dir;
    auto const path = dir.path() / "a" / "b.txt";
    std::string const content = detail::concat(std::string_view("one\n\0two", 8), std::string(100'000, 'x'));
    REQUIRE(write_file(path, content));
    CHECK(read_file(path).value() == content);
    REQUIRE(write_file(path, "new"));
    CHECK(read_file(path).value() == "new");
    CHECK(dir.files() == 1);  // no temporary file is left
}

TEST_CASE("what cannot be written says so, and leaves nothing") {
    support::temporary_directory const dir;
    auto const missing = read_file(dir.path() / "missing.txt");
    REQUIRE_FALSE(missing);
    CHECK(missing.diagnostics()[0].message == detail::concat("cannot open ",
                                                             (dir.path() / "missing.txt").string(),
                                                             ": No such file or directory"));

    REQUIRE(write_file(dir.path() / "file", "x"));
    CHECK_FALSE(write_file(dir.path() / "file" / "below.txt", "x"));  // a file is no directory
    std::filesystem::create_directory(dir.path() / "taken");
    auto const taken = write_file(dir.path() / "taken", "x");  // the rename fails
    REQUIRE_FALSE(taken);
    CHECK(taken.diagnostics()[0].message ==
          detail::concat("cannot write ", (dir.path() / "taken").string(), ": Is a directory"));
    CHECK(dir.files() == 1);
}

TEST_CASE("a disk that is full loses neither the old file nor space") {
    support::temporary_directory const dir;
    auto const path = dir.path() / "file";
    REQUIRE(write_file(path, "old"));
    result<void> full;
    {
        // A limit on the size of files stands in for the disk; without the signal the write itself fails.
        auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
        rlimit before{};
        REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
        rlimit const small{1000, before.rlim_max};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
        full = write_file(path, std::string(100'000, 'x'));
        REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
        std::signal(SIGXFSZ, handler);
    }
    REQUIRE_FALSE(full);
    CHECK(full.diagnostics()[0].message ==
          detail::concat("cannot write ", path.string(), ": File too large"));
    CHECK(read_file(path).value() == "old");
    CHECK(dir.files() == 1);
}

TEST_CASE("what cannot be opened, or read to its end, is named with the reason") {
    support::temporary_directory const dir;
    std::string const there = dir.path().string();
    auto const directory = read_file(dir.path());  // it opens, and has nothing to read
    REQUIRE_FALSE(directory);
    CHECK(directory.diagnostics()[0].message == "cannot read " + there + ": Is a directory");
    std::filesystem::create_directory(dir.path() / "file.tmp");  // where the temporary file would be
    auto const blocked = write_file(dir.path() / "file", "x");
    REQUIRE_FALSE(blocked);
    CHECK(blocked.diagnostics()[0].message == "cannot write " + there + "/file: Is a directory");
    CHECK(dir.files() == 0);
    auto const no_source = SourceText::file(there + "/none.cfg");
    REQUIRE_FALSE(no_source);
    CHECK(no_source.diagnostics()[0].message ==
          "cannot open " + there + "/none.cfg: No such file or directory");
    REQUIRE(write_file(dir.path() / "quant.cfg", "batch_num: 1"));
    CHECK(SourceText::file(there + "/quant.cfg").value().text == "batch_num: 1");
}

TEST_CASE("a disk that is full is noticed when a small file is closed, and when the disk is waited for") {
    support::temporary_directory const dir;
    for (Durability durability : {Durability::after_exit, Durability::after_power_loss}) {
        std::filesystem::create_symlink("/dev/full", dir.path() / "full");  // the link is what is removed
        CHECK(detail::write_content(dir.path() / "full", "a few bytes", durability) == ENOSPC);
        CHECK_FALSE(std::filesystem::is_symlink(dir.path() / "full"));
    }
    std::filesystem::create_symlink("/dev/null", dir.path() / "null");  // which has no disk to wait for
    CHECK(detail::write_content(dir.path() / "null", "a few bytes", Durability::after_power_loss) == EINVAL);
    CHECK_FALSE(std::filesystem::is_symlink(dir.path() / "null"));
    CHECK(detail::write_content(dir.path() / "file", "a few bytes", Durability::after_power_loss) == 0);
    CHECK(read_file(dir.path() / "file").value() == "a few bytes");
    CHECK(write_file(dir.path() / "file", "others", Durability::after_power_loss));
    CHECK(read_file(dir.path() / "file").value() == "others");
}

TEST_CASE("a file of the directory that the process is in") {
    support::temporary_directory const dir;
    auto const before = std::filesystem::current_path();
    std::filesystem::current_path(dir.path());
    auto const written = write_file("here.txt", "x");
    std::filesystem::current_path(before);
    CHECK(written);
    CHECK(read_file(dir.path() / "here.txt").value() == "x");
}

}  // namespace core_file_test
