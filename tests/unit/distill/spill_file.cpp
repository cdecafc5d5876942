// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/spill_file.hpp>

#include "support/catch.hpp"
#include "support/failing_files.hpp"
#include "support/temporary_directory.hpp"

namespace distill_spill_file_test {

using namespace amct_distill;

nn::Tensor counted(const nn::Shape& shape, float first) {
    nn::Tensor t(shape);
    for (float& v : t) v = first++;
    return t;
}

TEST_CASE("tensors come back from a file that no one sees") {
    support::temporary_directory const dir;
    {
        SpillFile file(dir.path()), other(dir.path());
        CHECK(file.is_usable());
        std::vector<SpillFile::Place> places(3);
        for (std::size_t i = 0; i != 3; ++i) {
            file.write(counted({2, 3}, static_cast<float>(10 * i)), places[i]).value();
            SpillFile::Place elsewhere;
            other.write(counted({1, 50}, 7), elsewhere).value();
        }
        file.write(counted({1, 2}, 90), places[1]).value();  // fits
        file.write(counted({4, 2}, 50), places[0]).value();  // does not
        nn::Tensor back;
        file.read(places[2], back).value();
        CHECK(back == counted({2, 3}, 20));
        file.read(places[1], back).value();
        CHECK(back == counted({1, 2}, 90));
        file.read(places[0], back).value();
        CHECK(back == counted({4, 2}, 50));
        CHECK(places[0].at == 72);
        CHECK(places[1].at == 24);
    }
    CHECK(std::filesystem::is_empty(dir.path()));
    CHECK_FALSE(SpillFile({}).is_usable());
}

TEST_CASE("a file that is cut, and one that has no room, are errors") {
    support::temporary_directory const dir;
    std::string const end = detail::concat(" the file of blocks' values in ", dir.path().string(), ": ");
    REQUIRE(write_file(dir.path() / "values_0", "another run's"));
    SpillFile file(dir.path());
    SpillFile::Place first, second;
    file.write(counted({2, 3}, 1), first).value();
    {
        support::FileSizeLimit const limit(40);
        auto const full = file.write(counted({2, 3}, 7), second);
        REQUIRE_FALSE(full);
        CHECK(full.diagnostics()[0].message ==
              detail::concat("cannot write", end, "File too large; make room for it, or allow more memory"));
    }
    nn::Tensor back;
    file.read(first, back).value();
    CHECK(back == counted({2, 3}, 1));
    CHECK(support::empty_files_below(dir.path()) == 1);
    auto const cut = file.read(first, back);
    REQUIRE_FALSE(cut);
    CHECK(cut.diagnostics()[0].message ==
          detail::concat("cannot read", end, "Input/output error; make room for it, or allow more memory"));
    CHECK(read_file(dir.path() / "values_0").value() == "another run's");
}

}  // namespace distill_spill_file_test
