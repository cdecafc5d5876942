// SPDX-License-Identifier: Apache-2.0
// inspect MODEL: what the model has.
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/definitions.hpp>
#include <cstdio>

#include "console.hpp"
#include "layer_facts.hpp"
#include "model.hpp"
#include "program.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

std::string grouped(std::uint64_t n) {
    std::string text = ad::number(n);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ' ');
    return text;
}

boost::json::value shape_json(const ad::nn::Shape& shape) {
    boost::json::array out;
    for (ad::nn::Index d : shape)
        d == ad::nn::any_batch ? out.emplace_back("N") : out.emplace_back(static_cast<std::int64_t>(d));
    return out;
}

std::string as_json(const Model& model, const std::vector<LayerFacts>& layers) {
    boost::json::object out;
    const ad::nn::Network& net = model.network;
    out["model"] = model.path;
    out["producer"] = model.producer;
    out["opset"] = model.opset;
    out["bytes"] = model.bytes;
    out["hash"] = hash_text(model.hash);
    auto const values = [&](std::span<const ad::NodeId> ids, const std::vector<std::string>& names) {
        boost::json::array list;
        for (std::size_t k = 0; k != ids.size(); ++k) {
            boost::json::object one;
            one["name"] = k < names.size() ? names[k] : net.name(ids[k]);
            one["shape"] = shape_json(net.node(ids[k]).shape);
            list.push_back(std::move(one));
        }
        return list;
    };
    out["inputs"] = values(net.inputs(), model.inputs);
    out["outputs"] = values(net.outputs(), model.outputs);
    boost::json::array list;
    std::uint64_t parameters = 0, products = 0;
    for (const LayerFacts& l : layers) {
        boost::json::object one;
        one["name"] = l.name;
        one["node"] = l.node;
        one["name_from"] = l.name_from;
        one["type"] = l.type;
        one["options"] = l.options;
        one["output"] = shape_json(l.output);
        one["parameters"] = l.parameters;
        one["multiplications"] = l.products;
        one["quantizable"] = l.why_not.empty();
        if (!l.why_not.empty()) one["why_not"] = l.why_not;
        list.push_back(std::move(one));
        parameters += l.parameters;
        products += l.products;
    }
    out["layers"] = std::move(list);
    out["parameters"] = parameters;
    out["multiplications"] = products;
    boost::json::array notes;
    for (const std::string& n : model.notes) notes.emplace_back(n);
    out["notes"] = std::move(notes);
    return ad::print_json(out) + '\n';
}

void print_values(Console& console, const char* heading, const Model& model, std::span<const ad::NodeId> ids,
                  const std::vector<std::string>& names) {
    ad::Table table(
        {{.heading = heading, .least = 12}, {"shape"}, {.heading = "node", .least = 12, .drop = 1}});
    for (std::size_t k = 0; k != ids.size(); ++k)
        table.add({k < names.size() ? names[k] : model.network.name(ids[k]),
                   ad::nn::to_string(model.network.node(ids[k]).shape), model.network.name(ids[k])});
    console.table("", table.text(console.width()));
}

}  // namespace

int run_inspect(const Options& options) {
    Model const model = load_model(options.model);
    std::vector<LayerFacts> const layers = layer_facts(model);
    if (!options.json.empty()) {
        std::string const text = as_json(model, layers);
        if (options.json == "-")
            std::fwrite(text.data(), 1, text.size(), stdout);
        else
            ad::write_file(options.json, text).value();
        return exit_done;
    }
    Console console(options);
    const ad::nn::Network& net = model.network;
    console.say(concat(model.path, ": ", grouped(model.bytes), " bytes",
                       model.producer.empty() ? "" : concat(", written by ", model.producer),
                       model.opset == 0 ? "" : concat(", opset ", model.opset)));
    print_values(console, "input", model, net.inputs(), model.inputs);
    print_values(console, "output", model, net.outputs(), model.outputs);

    ad::Table table({{.heading = "layer", .least = 10},
                     {"type"},
                     {.heading = "output", .drop = 2},
                     {.heading = "parameters", .drop = 1},
                     {.heading = "multiplications", .drop = 1},
                     {"quantized"},
                     {.heading = "node", .least = 10, .drop = 4},
                     {.heading = "name from", .drop = 3}});
    std::uint64_t parameters = 0, products = 0, quantizable = 0;
    for (const LayerFacts& l : layers) {
        bool const weighted = l.weighted;
        table.add({l.name, l.type, ad::nn::to_string(l.output),
                   l.parameters == 0 ? "" : grouped(l.parameters), l.products == 0 ? "" : grouped(l.products),
                   l.why_not.empty() ? "yes"
                   : weighted        ? "no"
                                     : "",
                   l.node, std::string(l.name_from)});
        parameters += l.parameters;
        products += l.products;
        quantizable += l.why_not.empty();
    }
    console.table("", table.text(console.width()));
    console.line();
    console.say(concat(layers.size(), " layers, ", quantizable, " of them can be quantized; ",
                       grouped(parameters), " parameters, ", grouped(products), " multiplications a sample"));
    for (const LayerFacts& l : layers)
        if (l.weighted && !l.why_not.empty()) console.say(concat("not quantized: ", l.name, " ", l.why_not));
    for (const std::string& n : model.notes) console.say(concat("note: ", n));
    return exit_done;
}

}  // namespace tool
