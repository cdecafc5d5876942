// SPDX-License-Identifier: Apache-2.0
/// How each block learned: its loss, epoch by epoch, against that of the calibrated block.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "../core/table.hpp"
#include "html_view.hpp"

namespace amct_distill::detail::html {

/// The scale that all blocks share: decades of loss / loss of the calibrated block, a hundredth to ten times.
struct LossAxis {
    double low = -1, high = 0.1;
    explicit LossAxis(const std::vector<BlockReport>& blocks) {
        for (const BlockReport& b : blocks) {
            add(b, b.loss_after);
            for (double loss : b.epoch_losses) add(b, loss);
        }
    }
    /// From 4, the top, to 40.
    double y(const BlockReport& b, double loss) const {
        double const at = std::clamp(std::log10(loss / b.loss_before), low, high);
        return 4 + 36 * (high - at) / (high - low);
    }
    double y_of_one() const { return 4 + 36 * high / (high - low); }

private:
    void add(const BlockReport& b, double loss) {
        double const at = std::log10(loss / b.loss_before);
        if (!std::isfinite(at)) return;
        low = (std::max)((std::min)(low, at), -2.0);
        high = (std::min)((std::max)(high, at), 1.0);
    }
};

inline std::string loss_curve(const BlockReport& b, const LossAxis& axis) {
    std::size_t const epochs = b.epoch_losses.size();
    auto const x = [&](std::size_t epoch) {
        return 100 * static_cast<double>(epoch) / static_cast<double>((std::max)(epochs, std::size_t{1}));
    };
    std::string path = cat({"M0 ", plain(axis.y_of_one())});
    bool drawn = true;  // a loss that is not a number breaks the line
    for (std::size_t e = 0; e != epochs; ++e) {
        double const ratio = b.epoch_losses[e] / b.loss_before;
        bool const here = std::isfinite(ratio) && ratio > 0;
        if (here)
            append(path, cat({drawn ? "L" : "M", plain(x(e + 1)), " ", plain(axis.y(b, b.epoch_losses[e]))}));
        drawn = here;
    }
    bool const known = std::isfinite(b.loss_after / b.loss_before) && b.loss_after > 0;
    auto const kept = static_cast<std::size_t>((std::max)(b.best_epoch, 0));
    return cat(
        {"<svg viewBox=\"0 0 100 44\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
         "<path class=\"gl\" d=\"M0 42H100\"/><path class=\"one\" d=\"M0 ",
         plain(axis.y_of_one()), "H100\"/><path class=\"ln\" d=\"", path, "\"/>",
         known ? cat({"<path class=\"pt\" d=\"M", plain(x(kept)), " ", plain(axis.y(b, b.loss_after)),
                      "h0\"/>"})
               : std::string(),
         "</svg>"});
}

inline std::string block_figure(std::size_t k, const BlockReport& b, const LossAxis& axis) {
    std::string names;
    for (const std::string& n : b.names) append(names, cat({names.empty() ? "" : ", ", escaped(n)}));
    double const ratio = b.loss_after / b.loss_before;
    std::string more = cat({fixed(b.seconds, 2), "\u00A0s, ", b.restarts, " ↺"});
    if (b.teacher_inputs != 0) append(more, cat({", ", b.teacher_inputs, " ⇤"}));
    std::string notes;
    if (!b.stopped.empty())
        append(notes, cat({"<br><span class=\"bad\">", both("ended early", "提前结束"),
                           "</span>: ", escaped(b.stopped)}));
    for (const std::string& shared : b.shared)
        append(notes,
               cat({"<br>", escaped(shared), " ", both("is shared with other nodes", "与其他节点共享")}));
    return cat({"<figure id=\"b",
                k + 1,
                "\" title=\"",
                names,
                "\"><h3>",
                both("block", "块"),
                " ",
                k + 1,
                " <span class=\"soft\">",
                b.names.empty() ? std::string() : escaped(shortened(b.names[0], 20)),
                "</span></h3>",
                loss_curve(b, axis),
                "<p><b",
                ratio > 0.8 ? " class=\"bad\"" : "",
                ">× ",
                fixed(ratio, 2),
                "</b> ",
                b.best_epoch == 0 ? both("as calibrated", "保留校准")
                                  : both(cat({"epoch ", b.best_epoch}), cat({"第 ", b.best_epoch, " 轮"})),
                "<br><span class=\"soft\"><data value=\"",
                value(b.loss_before),
                "\">",
                digits3(b.loss_before),
                "</data> → <data value=\"",
                value(b.loss_after),
                "\">",
                digits3(b.loss_after),
                "</data><br>",
                more,
                notes,
                "</span></p></figure>\n"});
}

inline std::string blocks(const View& view) {
    const auto& list = view.page.report.blocks;
    Text const heading{"Loss of each block", "各块的损失"};
    if (list.empty())
        return cat({section("blocks", heading, {}),
                    Text{"Nothing was distilled.", "未进行蒸馏。"}.element("p", "class=\"soft\""),
                    "</section>\n"});
    LossAxis const axis(list);
    Text about{
        "Divided by the calibrated block’s loss (dashed line), on a log scale, the mean over the steps of "
        "each "
        "epoch. The dot is what was kept. × 0.30 means: the block’s error fell to 30\u00A0%. ↺: returns to "
        "the "
        "best with lower rates.",
        "除以校准后该块的损失（虚线），对数坐标，每轮各步的均值。圆点为保留的结果。× 0.30 表示误差降到 "
        "30\u00A0%。"
        "↺：以更低学习率退回最佳点的次数。"};
    if (std::ranges::any_of(list, [](const BlockReport& b) { return b.teacher_inputs != 0; }))
        about.add({"⇤: steps that took the teacher’s input.", "⇤：采用教师输入的步数。"});
    if (axis.high == 1) about.add({"What lies above ten times is drawn there.", "超过十倍的画在十倍处。"});
    std::string figures;
    for (std::size_t k = 0; k != list.size(); ++k) append(figures, block_figure(k, list[k], axis));
    if (only_calibrated(view.page.report))
        return cat({section("blocks", heading,
                            {"Nothing was trained: the network is calibrated only.", "未训练：仅校准。"}),
                    "<details><summary>", both("Each block’s error, as calibrated", "各块校准后的误差"),
                    "</summary><div class=\"multi loss\">\n", figures, "</div></details>\n</section>\n"});
    return cat({section("blocks", heading, about), "<div class=\"multi loss\">\n", figures, "</div>\n",
                view.page.report.resumed_blocks == 0
                    ? std::string()
                    : Text{cat({view.page.report.resumed_blocks, " blocks were taken from an earlier run."}),
                           cat({"其中 ", view.page.report.resumed_blocks, " 个块取自之前的运行。"})}
                          .element("p", "class=\"soft\""),
                "</section>\n"});
}

}  // namespace amct_distill::detail::html
