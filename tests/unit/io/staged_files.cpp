// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/staged_files.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace io_staged_files_test {

using namespace amct_distill;
namespace fs = std::filesystem;

namespace {
/// Every file below a directory and its content, and every empty directory.
std::string content_of(const fs::path& directory) {
    std::vector<std::string> lines;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        std::string const name = entry.path().lexically_relative(directory).string();
        if (entry.is_regular_file())
            lines.push_back(detail::concat(name, "=", read_file(entry.path()).value(), ' '));
        else if (fs::is_empty(entry.path()))
            lines.push_back(name + "/ ");
    }
    std::sort(lines.begin(), lines.end());
    std::string out;
    for (const std::string& line : lines) out += line;
    return out;
}
}  // namespace

TEST_CASE("files are replaced together, and nothing of it is left beside them") {
    support::temporary_directory const dir;
    fs::path const out = dir.path() / "a" / "out";
    {
        StagedFiles files(out);
        files.add("sub/one.txt", "1").value();
        files.add("two.txt", "2").value();
        CHECK_FALSE(fs::exists(out / "two.txt"));
        files.commit().value();
    }
    CHECK(content_of(dir.path()) == "a/out/sub/one.txt=1 a/out/two.txt=2 ");
    {
        StagedFiles files(out);
        files.add("two.txt", "22").value();
        files.remove("sub/one.txt");
        files.remove("sub/none.txt");
        CHECK(read_file(out / "sub/one.txt").value() == "1");
        files.commit().value();
        files.add("three.txt", "3").value();  // it can be used again
        files.commit().value();
    }
    CHECK(content_of(dir.path()) == "a/out/sub/ a/out/three.txt=3 a/out/two.txt=22 ");
}

TEST_CASE("what is not committed leaves nothing, not even a directory that did not exist") {
    support::temporary_directory const dir;
    {
        StagedFiles files(dir.path() / "a" / "out");
        files.add("one.txt", "1").value();
    }
    CHECK(content_of(dir.path()).empty());
    REQUIRE(write_file(dir.path() / "out" / "one.txt", "old"));
    {
        StagedFiles files(dir.path() / "out");
        files.add("one.txt", "new").value();
    }
    CHECK(content_of(dir.path()) == "out/one.txt=old ");
}

TEST_CASE("a directory or a file in the way is an error, and everything is as it was") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "one.txt", "old"));
    REQUIRE(write_file(dir.path() / "file", "f"));
    fs::create_directories(dir.path() / "two.txt" / "taken");
    std::string const before = content_of(dir.path());
    {
        StagedFiles files(dir.path());
        files.add("one.txt", "new").value();
        auto const refused = files.add("two.txt", "new");
        REQUIRE_FALSE(refused);
        CHECK(refused.diagnostics()[0].message ==
              detail::concat("cannot write ", (dir.path() / "two.txt").string(), ": Is a directory"));
    }
    CHECK(content_of(dir.path()) == before);
    {
        StagedFiles files(dir.path());
        files.add("one.txt", "new").value();
        files.add("fresh/three.txt", "3").value();
        files.add("file/below.txt", "new").value();  // found at the commit: the others are moved back
        auto const refused = files.commit();
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.diagnostics()[0].message, Catch::Contains("file/below.txt: "));
    }
    CHECK(content_of(dir.path()) == before);
    StagedFiles below_a_file(dir.path() / "file" / "out");
    CHECK_FALSE(below_a_file.add("one.txt", "1"));
}

TEST_CASE("a full disk is found before anything of the old files is touched") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "one.txt", "old"));
    std::string const before = content_of(dir.path());
    std::string message;
    {
        // A limit on the size of files stands in for the disk; without the signal the write itself fails.
        auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
        rlimit limit{};
        REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
        rlimit const small{1000, limit.rlim_max};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
        StagedFiles files(dir.path());
        bool const first = files.add("one.txt", "new").has_value();
        auto const second = files.add("two.txt", std::string(100'000, 'x'));
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        std::signal(SIGXFSZ, handler);
        CHECK(first);
        REQUIRE_FALSE(second);
        message = second.diagnostics()[0].message;
    }
    CHECK(message == detail::concat("cannot write ", (dir.path() / "two.txt").string(), ": File too large"));
    CHECK(content_of(dir.path()) == before);
}

TEST_CASE("a directory that may not be written to is named") {
    support::temporary_directory const dir;
    fs::create_directory(dir.path() / "out");
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    REQUIRE(::chmod((dir.path() / "out").c_str(), 0555) == 0);
    pid_t const child = fork();  // root may write anywhere: the child is nobody
    REQUIRE(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) _exit(3);
        StagedFiles files(dir.path() / "out");
        auto const refused = files.add("one.txt", "1");
        if (refused.has_value()) _exit(1);
        bool const named =
            refused.diagnostics()[0].message ==
            detail::concat("cannot write to ", (dir.path() / "out").string(), ": Permission denied");
        _exit(named ? 0 : 2);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(content_of(dir.path()) == "out/ ");
}

TEST_CASE("a removal that fails moves all back, and makes no directory") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "one.txt", "old"));
    REQUIRE(write_file(dir.path() / "file", "f"));
    std::string const before = content_of(dir.path());
    for (const char* bad : {"file/below.txt", ""}) {  // below a file; the directory itself
        StagedFiles files(dir.path());
        files.remove("none.txt");  // nothing to move back
        files.add("one.txt", "new").value();
        files.remove(bad);
        auto const refused = files.commit();
        REQUIRE_FALSE(refused);
        CHECK(refused.diagnostics()[0].message.starts_with(
            detail::concat("cannot remove ", (dir.path() / bad).string(), ": ")));
    }
    CHECK(content_of(dir.path()) == before);
    StagedFiles files(dir.path());
    files.remove("sub/none.txt");
    files.commit().value();
    CHECK(content_of(dir.path()) == before);
    auto const below = StagedFiles(dir.path() / "file" / "out").commit();
    REQUIRE_FALSE(below);
    CHECK(below.diagnostics()[0].message.starts_with(
        detail::concat("cannot create ", (dir.path() / "file" / "out").string(), ": ")));
}

TEST_CASE("a new file that vanishes before the commit leaves the old ones in their places") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "one.txt", "old"));
    for (const char* name : {"one.txt", "two.txt"}) {
        StagedFiles files(dir.path());
        files.add(name, "new").value();
        fs::remove(dir.path() / ".new-files-0" / "new0");
        auto const refused = files.commit();
        REQUIRE_FALSE(refused);
        CHECK(refused.diagnostics()[0].message ==
              detail::concat("cannot write ", (dir.path() / name).string(), ": No such file or directory"));
    }
    CHECK(content_of(dir.path()) == "one.txt=old ");
}

TEST_CASE("a staging directory takes a name that is free, below a directory that may have no parent") {
    support::temporary_directory const dir;
    fs::create_directory(dir.path() / ".new-files-0");
    REQUIRE(write_file(dir.path() / ".new-files-1", "a file"));
    {
        StagedFiles files(dir.path());
        files.add("one.txt", "1").value();
        CHECK(fs::exists(dir.path() / ".new-files-2" / "new0"));
        files.commit().value();
    }
    CHECK(content_of(dir.path()) == ".new-files-0/ .new-files-1=a file one.txt=1 ");
    fs::path const was = fs::current_path();
    fs::current_path(dir.path());
    {
        StagedFiles files("out");
        CHECK(files.add("one.txt", "1"));
        CHECK(files.commit());
    }
    fs::current_path(was);
    CHECK(read_file(dir.path() / "out" / "one.txt").value() == "1");
}

TEST_CASE("a path that leaves no room for the staging directory's name is an error") {
    support::temporary_directory const dir;
    fs::path deep = dir.path();
    while (deep.native().size() + 210 < 4090) deep /= std::string(200, 'd');
    deep /= std::string(4090 - deep.native().size() - 1, 'e');
    {
        StagedFiles files(deep);
        auto const refused = files.add("one.txt", "1");
        REQUIRE_FALSE(refused);
        CHECK(refused.diagnostics()[0].message ==
              detail::concat("cannot write to ", deep.string(), ": File name too long"));
    }
    CHECK(content_of(dir.path()).empty());
}

}  // namespace io_staged_files_test
