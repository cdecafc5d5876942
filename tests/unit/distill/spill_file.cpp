// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/spill_file.hpp>

#include "support/catch.hpp"
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

}  // namespace distill_spill_file_test
