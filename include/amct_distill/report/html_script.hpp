// SPDX-License-Identifier: Apache-2.0
/// The script of the report page. All of it is comfort: without it the page reads, prints, and switches
/// language and theme.
#pragma once
#include <string_view>

namespace amct_distill::detail::html {

inline constexpr std::string_view script = R"js("use strict";
const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
const root = document.documentElement;
const say = (en, zh) => root.lang === "en" ? en : zh;
const make = (tag, more) => Object.assign(document.createElement(tag), more);

// Language and theme: CSS does the switching; this remembers it and keeps <html lang> true.
const remember = (k, v) => {
  try {
    return v === undefined ? localStorage.getItem(k) : localStorage.setItem(k, v);
  } catch { return null; }
};
for (const name of ["lang", "theme"]) {
  const fixed = name === "lang" && root.dataset.lang;
  const browser = name === "lang" && navigator.language.startsWith("zh") ? "zh" : null;
  const kept = fixed ? null : remember("amct-report-" + name) ?? browser;
  if (kept && $(`[name=${name}][value=${CSS.escape(kept)}]`)) $("#" + CSS.escape(kept)).checked = true;
  const set = () => {
    const v = $(`[name=${name}]:checked`).value;
    if (name === "lang") root.lang = v;
    return v;
  };
  for (const i of $$(`[name=${name}]`))
    i.addEventListener("change", () => { remember("amct-report-" + name, set()); filter(); });
  set();
}

// Copy buttons.
for (const box of $$(".paste")) {
  const label = '<span lang="en">Copy</span><span lang="zh">复制</span>';
  const b = make("button", { type: "button", innerHTML: label });
  box.append(b);
  b.addEventListener("click", async () => {
    const pre = $("pre", box), lines = $$("span", pre);
    const text = lines.length ? lines.map(l => l.textContent).join("\n") : pre.textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      getSelection().selectAllChildren(pre); document.execCommand("copy"); getSelection().empty();
    }
    b.textContent = say("Copied", "已复制");
    setTimeout(() => { b.innerHTML = label; }, 1500);
  });
}

// Sorting, by the numbers in full; what was not measured stands last, either way.
const table = $("#layers table"), body = table.tBodies[0], rows = [...body.rows];
for (const th of $$("th[data-first]", table)) {
  const b = make("button", { type: "button" }), column = th.cellIndex, text = th.dataset.first === "text";
  b.replaceChildren(...th.childNodes); th.append(b);
  const key = r => text ? r.cells[column].textContent : r.cells[column].dataset.v;
  b.addEventListener("click", () => {
    const old = th.getAttribute("aria-sort");
    const up = old ? old === "descending" : text || th.dataset.first === "up";
    for (const o of $$("th[aria-sort]", table)) o.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    const none = r => key(r) === "" || key(r) === "–";
    rows.sort((a, b) => none(a) || none(b) ? none(a) - none(b) : (up ? 1 : -1) * (text
      ? key(a).localeCompare(key(b), undefined, { numeric: true }) : key(a) - key(b)));
    body.append(...rows);
  });
}

// Filter.
const find = $("#find"), count = $("#count");
function filter() {
  let n = 0;
  for (const r of rows) {
    const words = find.value.toLowerCase().split(/\s+/);
    r.hidden = !words.every(w => r.textContent.toLowerCase().includes(w)); n += !r.hidden;
  }
  count.textContent = say(`${n} of ${rows.length} layers`, `${rows.length} 层中的 ${n} 层`);
}
find.addEventListener("input", filter);
$(".tools").hidden = false; filter();

// A target inside of a closed <details> opens it; a row that is filtered away is shown again.
const reach = () => {
  const t = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!t) return;
  const d = t.closest("details");
  if (d) d.open = true;
  if (t.hidden) { find.value = ""; filter(); }
  t.scrollIntoView({ block: "center" });
};
addEventListener("hashchange", reach); reach();
)js";

}  // namespace amct_distill::detail::html
