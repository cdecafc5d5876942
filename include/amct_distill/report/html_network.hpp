// SPDX-License-Identifier: Apache-2.0
/// The network as a picture: cut where one value is alive, so that the pieces flow like text and fit a narrow
/// window; each piece is a small SVG, and each layer a link to its row of the table. No script.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../core/table.hpp"
#include "html_pieces.hpp"
#include "html_view.hpp"

namespace amct_distill::detail::html {

class NetworkPicture {
public:
    NetworkPicture(const View& view, NetworkPiece piece)
        : view_(view), layout_(view.page.network.nodes, piece) {}

    std::string html(bool is_last) const {
        double const w = layout_.width(), h = layout_.height();
        std::string out = cat({"<li><span class=\"cap\">", caption(), "</span><svg width=\"", plain(w),
                               "\" height=\"", plain(h), "\" viewBox=\"0 0 ", plain(w), " ", plain(h), "\">",
                               boxes(), "<path class=\"e\" d=\"", lines(is_last), "\"/>"});
        for (std::size_t k = 0; k != layout_.places().size(); ++k) append(out, node(k));
        return cat({out, "</svg></li>\n"});
    }

private:
    /// The end of a long name, after one character for what is left out.
    static std::string label(std::string_view name) {
        std::string const text = shortened(name, 15);
        return text.starts_with("...") && text.size() < name.size() ? cat({"…", escaped(text.substr(3))})
                                                                    : escaped(text);
    }
    /// The blocks of the piece, by their numbers.
    std::string caption() const {
        std::optional<std::size_t> first, last;
        for (std::size_t k = 0; k != layout_.places().size(); ++k)
            if (auto const b = layout_.node(k).block) {
                if (!first) first = b;
                last = b;
            }
        if (!first) return "&nbsp;";
        if (*first == *last) return both(cat({"block ", *first + 1}), cat({"块 ", *first + 1}));
        return both(cat({"blocks ", *first + 1, " – ", *last + 1}),
                    cat({"块 ", *first + 1, " – ", *last + 1}));
    }
    std::string boxes() const {
        std::string out;
        std::vector<std::size_t> done;
        for (std::size_t k = 0; k != layout_.places().size(); ++k) {
            auto const block = layout_.node(k).block;
            if (!block || std::ranges::find(done, *block) != done.end()) continue;
            done.push_back(*block);
            double x0 = 1e9, y0 = 1e9, x1 = 0, y1 = 0;
            for (std::size_t i = 0; i != layout_.places().size(); ++i) {
                if (layout_.node(i).block != block) continue;
                const auto& p = layout_.places()[i];
                x0 = (std::min)(x0, p.x - 5);
                y0 = (std::min)(y0, p.y - 5);
                x1 = (std::max)(x1, p.right() + 5);
                y1 = (std::max)(y1, p.y + PieceLayout::node_height + 5);
            }
            append(out, cat({"<rect class=\"box\" x=\"", plain(x0), "\" y=\"", plain(y0), "\" width=\"",
                             plain(x1 - x0), "\" height=\"", plain(y1 - y0), "\"/>"}));
        }
        return out;
    }
    std::string lines(bool is_last) const {
        std::string d;
        for (const auto& line : layout_.lines()) {
            const auto& to = layout_.places()[line.to];
            double const x0 = line.from ? layout_.places()[*line.from].right() : 0;
            double const y0 =
                line.from ? layout_.places()[*line.from].middle() : layout_.places().front().middle();
            double const y1 = to.middle();
            if (line.over) {
                double const y = layout_.top_of_track(*line.over);
                append(d, cat({"M", plain(x0), " ", plain(y0), "h4V", plain(y), "H", plain(to.x - 6), "V",
                               plain(y1), "H", plain(to.x)}));
            } else if (y0 == y1) {
                append(d, cat({"M", plain(x0), " ", plain(y0), "H", plain(to.x)}));
            } else if (line.late) {
                append(d, cat({"M", plain(x0), " ", plain(y0), "H", plain(to.x - 7), "V", plain(y1), "H",
                               plain(to.x)}));
            } else {
                append(d, cat({"M", plain(x0), " ", plain(y0), "h", plain(line.from ? 6 : 4), "V", plain(y1),
                               "H", plain(to.x)}));
            }
        }
        // What leaves the piece: the last node's value.
        const auto& end = layout_.places().back();
        double const to = layout_.width() - 2;
        append(d, cat({"M", plain(end.right()), " ", plain(end.middle()), "H", plain(to)}));
        append(d, is_last ? std::string_view("m0 -4v8") : std::string_view("m-4 -3l4 3l-4 3"));
        return d;
    }
    std::string node(std::size_t k) const {
        const PageNode& n = layout_.node(k);
        const auto& p = layout_.places()[k];
        double const middle = p.x + p.width / 2;
        if (n.layer) return layer(*n.layer, p, middle);
        if (n.inputs.size() < 2) {  // an input, or weights that no plan speaks of
            return cat({"<g class=\"in\"><text x=\"", plain(middle), "\" y=\"", plain(p.middle() + 4), "\">",
                        label(n.label), "</text></g>"});
        }
        std::string const sign = n.label == "Add"      ? "+"
                                 : n.label == "Mul"    ? "×"
                                 : n.label == "Concat" ? "⧺"
                                                       : "∘";
        return cat({"<g class=\"in\"><title>", escaped(n.label), "</title><circle class=\"add\" cx=\"",
                    plain(middle), "\" cy=\"", plain(p.middle()), "\" r=\"9\"/><text x=\"", plain(middle),
                    "\" y=\"", plain(p.middle() + 4), "\">", sign, "</text></g>"});
    }
    std::string layer(std::size_t index, const PieceLayout::Place& p, double middle) const {
        const LayerView& l = view_.layers[index];
        double const db = l.shown(view_.has_outputs);
        std::string second =
            l.report == nullptr ? both_in_svg("float", "浮点", middle, p.y + 31) : std::string();
        if (l.report != nullptr)
            second = cat({"<text x=\"", plain(middle), "\" y=\"", plain(p.y + 31), "\">", l.hurts ? "▲ " : "",
                          fixed(db, 1), " · ", l.report->weight_bits, "/", l.report->data_bits, "</text>"});
        std::string_view const colour = l.report == nullptr ? std::string_view("float") : shade(db);
        return cat({"<a class=\"n ",
                    colour,
                    l.hurts ? " hits" : "",
                    "\" href=\"#l",
                    index,
                    "\"><title>",
                    escaped(l.layer.name),
                    " · ",
                    escaped(l.layer.shape),
                    "</title><rect x=\"",
                    plain(p.x),
                    "\" y=\"",
                    plain(p.y),
                    "\" width=\"",
                    plain(p.width),
                    "\" height=\"",
                    plain(PieceLayout::node_height),
                    "\"/><text x=\"",
                    plain(middle),
                    "\" y=\"",
                    plain(p.y + 16),
                    "\">",
                    label(l.layer.name),
                    "</text>",
                    second,
                    "</a>"});
    }
    static std::string both_in_svg(std::string_view en, std::string_view zh, double x, double y) {
        auto const one = [&](std::string_view lang, std::string_view text) {
            return cat(
                {"<text lang=\"", lang, "\" x=\"", plain(x), "\" y=\"", plain(y), "\">", text, "</text>"});
        };
        return cat({one("en", en), one("zh", zh)});
    }

    const View& view_;
    PieceLayout layout_;
};

inline std::string network(const View& view) {
    Text const heading{"Network", "网络"};
    if (view.page.network.nodes.empty())
        return cat({section("network", heading, {}),
                    Text{"The graph was not recorded.", "未记录网络结构。"}.element("p", "class=\"soft\""),
                    "</section>\n"});
    Text about{"Reads like text, from left to right.", "像文字一样从左到右阅读。"};
    if (view.has_outputs)
        about.add(
            {"The colour is the SQNR of a layer’s output against the teacher’s, with all noise that reached "
             "it;",
             "颜色表示该层输出相对教师网络的 SQNR（含累积噪声）；"});
    else
        about.add({"The outputs were not observed, so the colour is the layer’s own rounding;",
                   "未观测输出，颜色表示该层自身的舍入；"});
    about.add(
        {"a box is a block trained together, dashed is in float. ▲ marks the layers that hurt. A click leads "
         "to the row of the table.",
         "一个方框是一起训练的一个块；虚线为浮点层。▲ 为问题层。点击可跳到表格中的对应行。"});
    std::string legend = cat({"<div class=\"legend\"><span>", both("SQNR, dB", "SQNR，dB"), "</span>"});
    auto const entry = [&](std::string_view name, const Text& text) {
        append(legend, cat({"<span><i class=\"", name, "\"></i>", text.html(), "</span>"}));
    };
    entry("q0", {"&lt; 12 repair first", "&lt; 12 首先修复"});
    entry("q1", {"12 – 15 look", "12 – 15 需要关注"});
    entry("q2", {"15 – 20 usual for INT4", "15 – 20 INT4 的正常水平"});
    entry("q3", {"20 – 30 usual for INT8", "20 – 30 INT8 的正常水平"});
    entry("q4", {"≥ 30 as good as float", "≥ 30 与浮点几乎无异"});
    append(legend, cat({"<span class=\"soft\">",
                        both("4/8: bits of weights / inputs", "4/8：权重 / 数据位数"), "</span></div>\n"}));
    std::string list;
    auto const pieces = pieces_of(view.page.network.nodes);
    for (const NetworkPiece& piece : pieces)
        append(list, NetworkPicture(view, piece).html(piece.end == view.page.network.nodes.size()));
    return cat(
        {section("network", heading, about), legend, "<ol class=\"net\">\n", list, "</ol>\n</section>\n"});
}

}  // namespace amct_distill::detail::html
