// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/columns.hpp>

#include "support/catch.hpp"

namespace report_columns_test {

using namespace amct_distill;
using detail::Column;

namespace {
struct Row {
    std::string name{};
    std::size_t count = 0;
    double part = 0;
    bool kept = false;
};
}  // namespace

TEST_CASE("a column spells its field by the field's type, or as its function says") {
    std::vector<Row> const rows{{"conv1", 12, 0.5, true}, {"a.name.that.is.far.too.long", 3, 1e-9, false}};
    CHECK(detail::column_table(rows, 61, Column{{"name", 20}, &Row::name}, Column{{"count"}, &Row::count},
                               Column{{"part"}, &Row::part}, Column{{"kept"}, &Row::kept},
                               Column{{"percent"}, [](const Row& r) { return detail::percent(r.part); }},
                               Column{{"twice"}, [](const Row& r) { return 2 * r.count; }}) ==
          "  name                  count  part      kept  percent  twice\n"
          "  conv1                 12     5.00e-01  yes   50.00 %  24\n"
          "  ...t.is.far.too.long  3      1.00e-09  no    0.00 %   6\n");
}

}  // namespace report_columns_test
