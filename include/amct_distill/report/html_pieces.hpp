// SPDX-License-Identifier: Apache-2.0
/// How the report page lays out a network: pieces, cut where one value is alive, and in each piece columns
/// and lanes.
///
///     for (const NetworkPiece& piece : pieces_of(page.network.nodes))
///         PieceLayout(page.network.nodes, piece).places();
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "page.hpp"

namespace amct_distill::detail::html {

/// Nodes begin..end of the picture: the only value of earlier nodes that they read is the one that enters.
struct NetworkPiece {
    std::size_t begin = 0, end = 0;
};

/// A cut is where one value is alive, and no block goes on.
inline std::vector<NetworkPiece> pieces_of(const std::vector<PageNode>& nodes) {
    std::vector<std::size_t> last_use(nodes.size());
    for (std::size_t n = 0; n != nodes.size(); ++n) {
        last_use[n] = n;
        for (std::size_t input : nodes[n].inputs) last_use[input] = n;
    }
    std::vector<NetworkPiece> pieces;
    std::size_t begin = 0;
    for (std::size_t end = 1; end <= nodes.size(); ++end) {
        std::size_t alive = 0;
        for (std::size_t n = 0; n != end; ++n) alive += last_use[n] >= end ? 1u : 0u;
        bool const block =
            end != nodes.size() && nodes[end].block && nodes[end].block == nodes[end - 1].block;
        // An input alone is no piece.
        bool const inputs =
            std::ranges::all_of(nodes.begin() + static_cast<std::ptrdiff_t>(begin),
                                nodes.begin() + static_cast<std::ptrdiff_t>(end),
                                [](const PageNode& n) { return n.inputs.empty() && !n.layer; });
        if (end != nodes.size() && (alive > 1 || block || inputs)) continue;
        pieces.push_back({begin, end});
        begin = end;
    }
    return pieces;
}

/// Where each node of a piece stands: in a column after those that it reads, in a lane of its own there.
class PieceLayout {
public:
    static constexpr double node_width = 88, node_height = 38, small = 24, gap = 12, margin = 9;
    static constexpr double track = 9;  ///< between lines that pass over others

    struct Place {
        std::size_t column = 0, lane = 0;
        double x = 0, y = 0, width = 0;
        double middle() const { return y + node_height / 2; }
        double right() const { return x + width; }
    };
    struct Line {  ///< from a place's right side, or from where the piece begins, to another's left
        std::optional<std::size_t> from{};
        std::size_t to = 0;
        std::optional<std::size_t> over{};  ///< the track above that it takes; none: it need not
        bool late = false;                  ///< it keeps the lane that it begins in until the end
    };

    PieceLayout(const std::vector<PageNode>& nodes, NetworkPiece piece) : nodes_(nodes), piece_(piece) {
        place_columns();
        place_lines();
        place_coordinates();
    }
    const std::vector<Place>& places() const { return places_; }
    const std::vector<Line>& lines() const { return lines_; }
    double width() const { return width_; }
    double height() const { return height_; }
    double top_of_track(std::size_t k) const { return 6 + track * static_cast<double>(k); }
    const PageNode& node(std::size_t k) const { return nodes_[piece_.begin + k]; }

private:
    void place_columns() {
        places_.resize(piece_.end - piece_.begin);
        std::vector<std::vector<bool>> taken;
        for (std::size_t k = 0; k != places_.size(); ++k) {
            std::optional<std::size_t> nearest;  // the input whose lane is kept
            for (std::size_t input : node(k).inputs) {
                if (input < piece_.begin) continue;
                std::size_t const i = input - piece_.begin;
                if (!nearest || places_[i].column >= places_[*nearest].column) nearest = i;
            }
            if (nearest) places_[k].column = places_[*nearest].column + 1;
            if (taken.size() <= places_[k].column) taken.resize(places_[k].column + 1);
            auto& lanes = taken[places_[k].column];
            std::size_t lane = nearest && node(k).inputs.size() == 1 ? places_[*nearest].lane : 0;
            while (lane < lanes.size() && lanes[lane]) ++lane;
            if (lanes.size() <= lane) lanes.resize(lane + 1, false);
            lanes[lane] = true;
            places_[k].lane = lane;
        }
        columns_ = taken.size();
    }
    /// Whether a line at the lane's height meets no node between two columns.
    bool is_free(std::size_t lane, std::size_t after, std::size_t before) const {
        return std::ranges::none_of(
            places_, [&](const Place& p) { return p.lane == lane && p.column > after && p.column < before; });
    }
    void place_lines() {
        std::size_t tracks = 0;
        for (std::size_t k = 0; k != places_.size(); ++k) {
            for (std::size_t input : node(k).inputs) {
                Line line{.from = {}, .to = k, .over = {}, .late = false};
                std::size_t after = 0;
                bool direct = false;
                if (input >= piece_.begin) {
                    line.from = input - piece_.begin;
                    after = places_[*line.from].column;
                    line.late = is_free(places_[*line.from].lane, after, places_[k].column);
                    direct = line.late || is_free(places_[k].lane, after, places_[k].column);
                } else {
                    direct = places_[k].column == 0;
                }
                if (!direct) line.over = tracks++;
                lines_.push_back(line);
            }
        }
        tracks_ = tracks;
    }
    bool is_wide(std::size_t k) const { return node(k).layer.has_value() || node(k).inputs.size() < 2; }
    void place_coordinates() {
        double const top = tracks_ == 0 ? 8 : 6 + track * static_cast<double>(tracks_);
        std::vector<double> x(columns_ + 1, margin + 4);
        for (std::size_t c = 0; c != columns_; ++c) {
            double widest = 0;
            for (std::size_t k = 0; k != places_.size(); ++k)
                if (places_[k].column == c) widest = (std::max)(widest, is_wide(k) ? node_width : small);
            x[c + 1] = x[c] + widest + gap;
        }
        std::size_t lanes = 0;
        for (std::size_t k = 0; k != places_.size(); ++k) {
            Place& p = places_[k];
            p.width = is_wide(k) ? node_width : small;
            p.x = x[p.column];
            p.y = top + static_cast<double>(p.lane) * (node_height + 10);
            lanes = (std::max)(lanes, p.lane + 1);
        }
        width_ = x[columns_] - gap + margin + 12;
        height_ = top + static_cast<double>(lanes) * (node_height + 10) - 2;
    }

    const std::vector<PageNode>& nodes_;
    NetworkPiece piece_;
    std::vector<Place> places_{};
    std::vector<Line> lines_{};
    std::size_t columns_ = 0, tracks_ = 0;
    double width_ = 0, height_ = 0;
};

}  // namespace amct_distill::detail::html
