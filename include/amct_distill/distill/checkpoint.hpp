// SPDX-License-Identifier: Apache-2.0
/// What a run has finished, on disk: a file per block, with its parameters, its report and the fingerprint of
/// the run.
///
///     RunDirectory run("out/run", fingerprint, blocks);
///     run.save(2, student, report).value();                  // out/run/block_2.checkpoint
///     std::optional<std::string> file = run.read(2).value();             // none: not finished yet
///     BlockReport done = run.load(2, student, *file).value();
///
/// A file is whole or not there, whatever ends the process, or the machine. Numbers are little-endian as in
/// memory; the last eight bytes are a hash of those before.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../io/binary.hpp"
#include "../io/file.hpp"
#include "../io/hash.hpp"
#include "../student/student.hpp"
#include "blocks.hpp"
#include "fingerprint.hpp"
#include "report.hpp"

namespace amct_distill {

namespace detail {

inline constexpr std::string_view checkpoint_magic = "amct_distill block 6\n";

}  // namespace detail

class RunDirectory {
public:
    RunDirectory(std::filesystem::path directory, const Fingerprint& fingerprint,
                 std::span<const TrainedBlock> blocks)
        : directory_(std::move(directory)), fingerprint_(fingerprint), blocks_(blocks) {}

    std::filesystem::path file(std::size_t block) const {
        return directory_ / detail::concat("block_", block, ".checkpoint");
    }
    /// Whether an earlier run has left anything.
    bool has_checkpoints() const {
        std::error_code none;
        for (std::size_t b = 0; b != blocks_.size(); ++b)
            if (std::filesystem::exists(file(b), none)) return true;
        return false;
    }

    /// After a block is trained. Error: the file cannot be written; what was there before is as it was.
    template <class Algorithms>
    result<void> save(std::size_t block, BasicStudent<Algorithms>& student, const BlockReport& report) const {
        detail::BinaryWriter out;
        out.text = detail::checkpoint_magic;
        for (std::uint64_t v : {fingerprint_.teacher, fingerprint_.configuration, fingerprint_.data,
                                fingerprint_.calibration, fingerprint_.training, std::uint64_t{block}})
            out.put(v);
        out.put(report);
        for_each_module(block, student, [&](const std::string& name, nn::Module& module) {
            out.put(name);
            for (const auto& p : module.parameters()) {
                out.put(p.name);
                out.put_values(p.values);
            }
            return true;
        });
        out.put(detail::hash_of(out.text));
        return write_file(file(block), out.text, Durability::after_power_loss);
    }

    /// What is in a block's file. None: there is no such file. Error: it cannot be read.
    result<std::optional<std::string>> read(std::size_t block) const {
        std::error_code unknown;
        if (!std::filesystem::exists(file(block), unknown) && !unknown) return std::optional<std::string>{};
        auto content = read_file(file(block));
        if (!content) return content.diagnostics();
        return std::optional<std::string>(*std::move(content));
    }

    /// Gives the student the block's parameters. Errors: what was read is damaged, or is of another run; the
    /// student is then as it was.
    template <class Algorithms>
    result<BlockReport> load(std::size_t block, BasicStudent<Algorithms>& student,
                             std::string_view content) const {
        auto const bad = [&](std::string_view why) {
            return general_error(detail::concat("cannot resume from ", file(block).string(), ": ", why,
                                                "; remove the file, and its block is trained again"));
        };
        std::string_view text = content;
        std::uint64_t hash = 0;
        if (!text.starts_with(detail::checkpoint_magic)) return bad("it is no checkpoint of this version");
        if (text.size() < detail::checkpoint_magic.size() + sizeof hash) return bad("it is cut off");
        std::memcpy(&hash, text.data() + text.size() - sizeof hash, sizeof hash);
        text.remove_suffix(sizeof hash);
        if (hash != detail::hash_of(text)) return bad("it is damaged or cut off");
        text.remove_prefix(detail::checkpoint_magic.size());

        detail::BinaryReader in(text);
        Fingerprint found;
        std::uint64_t index = 0;
        BlockReport report;
        if (!in.get(found.teacher) || !in.get(found.configuration) || !in.get(found.data) ||
            !in.get(found.calibration) || !in.get(found.training) || !in.get(index))
            return bad("it is damaged");
        if (auto const what = difference(found, fingerprint_); !what.empty())
            return general_error(detail::concat(
                "cannot resume from ", file(block).string(), ": ", what,
                " is not that of the run that wrote it; resume with what it had, or use another directory"));
        if (index != block || !in.get(report)) return bad("it is of another block");
        report.names = blocks_[block].names;
        std::vector<nn::Module> before;  // a student that the file does not fit is as it was
        bool const restored =
            for_each_module(block, student, [&](const std::string& name, nn::Module& module) {
                before.push_back(module);
                std::string text_found;
                if (!in.get(text_found) || text_found != name) return false;
                std::vector<std::vector<float>> values;
                for (const auto& p : module.parameters()) {
                    if (!in.get(text_found) || text_found != p.name || !in.get_values(p.values)) return false;
                    values.emplace_back(p.values.begin(), p.values.end());
                }
                // As another module's constrain() left them, also where no repair from here would lead there.
                module.constrain();
                std::size_t k = 0;
                for (const auto& p : module.parameters()) std::ranges::copy(values[k++], p.values.begin());
                return true;
            });
        if (!restored || !in.at_end()) {
            std::size_t k = 0;
            for_each_module(block, student, [&](const std::string&, nn::Module& module) {
                if (k == before.size()) return false;
                module = std::move(before[k++]);
                return true;
            });
            return bad("its parameters do not fit the student");
        }
        return report;
    }

private:
    /// f(name, module) for the modules of a block, each once, until it says false.
    template <class Algorithms, class F>
    bool for_each_module(std::size_t block, BasicStudent<Algorithms>& student, const F& f) const {
        nn::Network& network = student.network();
        std::vector<ModuleId> seen;
        for (NodeId k : blocks_[block].nodes) {
            auto const m = network.node(k).module;
            if (!m || std::ranges::find(seen, *m) != seen.end()) continue;
            seen.push_back(*m);
            const std::string& name = network.modules()[*m].name;
            if (!f(name, network.module(name))) return false;
        }
        return true;
    }

    std::filesystem::path directory_;
    Fingerprint fingerprint_;
    std::span<const TrainedBlock> blocks_;
};

}  // namespace amct_distill
