// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/html_pieces.hpp>

#include "support/catch.hpp"

namespace report_html_pieces_test {

using namespace amct_distill;
using namespace amct_distill::detail::html;

namespace {
PageNode layer(std::size_t k, std::vector<std::size_t> inputs, std::optional<std::size_t> block = {}) {
    return {.label = "l", .layer = k, .inputs = std::move(inputs), .block = block};
}
}  // namespace

TEST_CASE("a network is cut where one value is alive and no block goes on") {
    std::vector<PageNode> const nodes{
        {.label = "image"},  // 0
        layer(0, {0}, 0),    // 1
        layer(1, {1}, 1),    // 2: a unit with a shortcut
        layer(2, {2}, 2),    // 3
        {.label = "Add", .inputs = {3, 1}},
        layer(3, {4}, 3),  // 5 and 6: one block
        layer(4, {5}, 3),
        layer(5, {6}),
    };
    auto const pieces = pieces_of(nodes);
    std::vector<std::size_t> ends;
    for (const NetworkPiece& p : pieces) ends.push_back(p.end);
    CHECK(ends == std::vector<std::size_t>{2, 5, 7, 8});
    CHECK(pieces_of({}).empty());
}

TEST_CASE("no two nodes of a piece overlap, and lines over others have a track each") {
    // Two paths of different length, and a shortcut over both.
    std::vector<PageNode> const nodes{layer(0, {}),
                                      layer(1, {0}),
                                      layer(2, {0}),
                                      layer(3, {1}),
                                      {.label = "Add", .inputs = {3, 2}},
                                      {.label = "Add", .inputs = {4, 0}}};
    PieceLayout const layout(nodes, {0, nodes.size()});
    const auto& places = layout.places();
    for (std::size_t a = 0; a != places.size(); ++a)
        for (std::size_t b = 0; b != a; ++b) {
            bool const apart = places[a].right() <= places[b].x || places[b].right() <= places[a].x ||
                               places[a].y + PieceLayout::node_height <= places[b].y ||
                               places[b].y + PieceLayout::node_height <= places[a].y;
            CHECK(apart);
        }
    for (const auto& p : places) {
        CHECK(p.x >= 0);
        CHECK(p.right() <= layout.width());
        CHECK(p.y + PieceLayout::node_height <= layout.height());
    }
    std::size_t over = 0;
    for (const auto& line : layout.lines()) over += line.over ? 1u : 0u;
    CHECK(over == 1);  // the shortcut; the shorter path's lane is free
}

TEST_CASE("a node stands after the farthest of what it reads, and lanes are filled from the first") {
    std::vector<PageNode> const nodes{layer(0, {}),
                                      layer(1, {0}),
                                      layer(2, {0}),
                                      layer(3, {0}),
                                      layer(4, {1}),
                                      {.label = "Add", .inputs = {2, 4}},
                                      {.label = "Add", .inputs = {5, 3}}};
    PieceLayout const layout(nodes, {0, nodes.size()});
    std::vector<std::size_t> columns, lanes;
    for (const auto& p : layout.places()) {
        columns.push_back(p.column);
        lanes.push_back(p.lane);
    }
    CHECK(columns == std::vector<std::size_t>{0, 1, 1, 1, 2, 3, 4});
    CHECK(lanes == std::vector<std::size_t>{0, 0, 1, 2, 0, 0, 0});
    // What comes from before the piece passes over what stands between.
    PieceLayout const later(nodes, {4, nodes.size()});
    std::size_t over = 0;
    for (const auto& line : later.lines()) over += line.over ? 1u : 0u;
    CHECK(over == 2);
}

TEST_CASE("a node keeps the lane of what it reads where that is free, and a line the lane of its end") {
    std::vector<PageNode> const nodes{layer(0, {}),  layer(1, {0}), layer(2, {0}),
                                      layer(3, {0}), layer(4, {3}), layer(5, {1})};
    std::vector<std::size_t> lanes;
    PieceLayout const kept(nodes, {0, nodes.size()});
    for (const auto& p : kept.places()) lanes.push_back(p.lane);
    CHECK(lanes == std::vector<std::size_t>{0, 0, 1, 2, 2, 0});
    // The line from 0 to 3 has node 1 in its way, and nothing in the lane of 3.
    std::vector<PageNode> const passing{layer(0, {}), layer(1, {0}), layer(2, {1}), layer(3, {0, 1})};
    PieceLayout const layout(passing, {0, passing.size()});
    CHECK(layout.places()[3].lane == 1);
    for (const auto& line : layout.lines()) {
        CHECK_FALSE(line.over);
        CHECK(line.late == (line.to != 3 || line.from != 0u));
    }
    CHECK(pieces_of({layer(0, {}), layer(1, {0})}).size() == 2);  // a layer that reads nothing is a piece
}

}  // namespace report_html_pieces_test
