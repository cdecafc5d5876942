# SPDX-License-Identifier: Apache-2.0
"""check.py DIR: whether DIR/report.html is well formed, and its numbers are those of DIR/report.json."""
import html.parser
import json
import pathlib
import sys

EMPTY = {"meta", "link", "br", "img", "input"}


class Page(html.parser.HTMLParser):
    """What is open, the table of layers by its rows, and every <data>."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.rows, self.head, self.data, self.ids, self.links = [], {}, [], [], [], []
        self.sensitivity = []
        self.row = self.cell = self.lang = None

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        assert len(a) == len(attributes), f"an attribute twice: {attributes}"
        if "id" in a:
            self.ids.append(a["id"])
        if a.get("href", "").startswith("#"):
            self.links.append(a["href"][1:])
        for name in ("src", "href"):
            assert a.get(name, "#").startswith(("#", "data:")), f"the network is asked for {a[name]}"
        if tag == "tr":
            self.row = a["id"] if a.get("id", "").startswith("l") else None
            if self.row:
                self.rows[self.row] = []
        if self.row and tag in ("td", "th"):
            self.rows[self.row].append([a.get("data-v"), ""])
        if tag == "tr" and "sensitivity" in self.section():
            self.sensitivity.append([])
        if tag == "td" and "sensitivity" in self.section() and "data-v" in a:
            self.sensitivity[-1].append(float(a["data-v"]) if a["data-v"] else None)
        if tag == "data":
            self.data.append(float(a["value"]) if a["value"] else None)
        if tag == "th" and "layers" in self.section():
            self.head.append("")
        if tag not in EMPTY:
            self.open.append((tag, a.get("id"), a.get("lang")))

    def handle_startendtag(self, tag, attributes):  # <path/> and the like
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, text):
        if any(lang == "zh" for _, _, lang in self.open[2:]):
            return
        if self.row and self.rows[self.row] and self.open[-1][0] != "table":
            self.rows[self.row][-1][1] += text
        elif self.open and any(tag == "thead" for tag, _, _ in self.open) and "layers" in self.section():
            if any(tag == "th" for tag, _, _ in self.open):
                self.head[-1] += text

    def section(self):
        return [name for tag, name, _ in self.open if tag == "section"]


def sensitivities(directory, report):
    """The rows that the page must have: of report.json, or of an analysis in the folder."""
    layers = report.get("sensitivity", [])
    analysis = directory / "sensitivity.json"
    shares = True
    if analysis.exists():
        file = json.loads(analysis.read_text(encoding="utf-8"))
        layers, shares = file["layers"], file["config_text"] == report["run"]["config_text"]
    names = ["weights_int4", "weights_int8", "data_int4", "data_int8"]
    names += ["all_but_this", "noise_share"] if shares else []
    return [[layer[n] for n in names] for layer in layers]


def sorted_rows(rows):
    return sorted(rows, key=lambda row: [(value is None, value) for value in row])


def main(directory):
    page = Page()
    page.feed((directory / "report.html").read_text(encoding="utf-8"))
    page.close()
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    assert not page.open, f"not closed: {page.open}"
    assert len(set(page.ids)) == len(page.ids), "an id twice"
    assert set(page.links) <= set(page.ids), f"lead nowhere: {set(page.links) - set(page.ids)}"

    whole = report.get("report", report)  # a whole page's, or the quickstart's
    quantized = {layer["name"]: layer for layer in whole["layers"]}
    observed = {layer["name"]: layer for layer in report["observed"]["layers"]}
    head = page.head[: len(next(iter(page.rows.values())))]
    compared = 0
    for row in page.rows.values():
        cells = dict(zip(head, row))
        name = cells["Layer"][1]
        layer = quantized.pop(name, None)

        def same(column, expected):
            nonlocal compared
            found = cells[column][0]
            if expected is None:
                assert found == "", f"{name}, {column}: {found}, expected none"
            else:
                assert float(found) == expected, f"{name}, {column}: {found}, expected {expected}"
            compared += 1

        same("Output dB", observed[name]["output_sqnr"])
        same("Weights dB", layer and layer["weight_sqnr"])
        same("Inputs dB", layer and layer["data_sqnr"])
        same("Outside %", layer and layer["saturation"])
        same("Dead", len(layer["dead_channels"]) if layer else None)
        same("Scale", max(s["scale"] for s in layer["weight_scales"]) if layer else None)
        same("Inputs: scale, offset", layer and layer["data_scale"]["scale"])
        same("Clips", layer and layer["data_clip"]["max"])
        if layer and layer["weight_sqnr"] is not None:
            assert cells["Weights dB"][1] == f"{layer['weight_sqnr']:.1f}", cells["Weights dB"]
    assert not quantized, f"not in the table: {list(quantized)}"

    networks = report["test"]["networks"]
    if all(n["accuracy"] is not None for n in networks):
        expected = [n["accuracy"] for n in networks] + [n["error"] for n in networks]
    else:
        expected = [n["error"] for n in networks[1:]]
    for block in whole["blocks"]:
        expected += [block["loss_before"], block["loss_after"]]
    assert page.data == expected, f"{page.data}, expected {expected}"
    expected_rows = sorted_rows(sensitivities(directory, report))
    found_rows = sorted_rows(row for row in page.sensitivity if row)
    assert found_rows == expected_rows, f"sensitivity: {found_rows}, expected {expected_rows}"
    compared += sum(len(row) for row in expected_rows)
    print(f"ok: {len(page.rows)} layers, {compared + len(expected)} numbers are those of report.json")


main(pathlib.Path(sys.argv[1]))
