// SPDX-License-Identifier: Apache-2.0
/// The style sheet of the report page: colours in pairs for light and dark, one column below 900 px, paper.
///
/// Languages and themes are two groups of radio buttons that `:has()` looks at, so that both work without a
/// script. Colours have a contrast of at least 4.5 to their ground; the ramp of signal to noise is of one
/// hue, from what stands out (bad) to what recedes (good), and its value is always printed as well.
#pragma once
#include <string_view>

namespace amct_distill::detail::html {

inline constexpr std::string_view style =
    R"css(:root { color-scheme: light dark; --page: light-dark(#fcfcfa, #15181c);
    --panel: light-dark(#f3f4f1, #1e2227); --line: light-dark(#d6d9d4, #363c44);
    --ink: light-dark(#1c2126, #e9ebee); --soft: light-dark(#5a636c, #a3acb6);
    --link: light-dark(#0a5aa6, #7fbcf5); --weights: light-dark(#2468b0, #74b0ec);
    --data: light-dark(#0b7560, #45c4a4); --output: light-dark(#b04a08, #f79a56);
    --q0: light-dark(#8a2c04, #ffab70); --q0t: light-dark(#fff, #201005);
    --q1: light-dark(#c2530c, #d97b38); --q1t: light-dark(#fff, #160a02);
    --q2: light-dark(#f8d2ab, #643c20); --q2t: light-dark(#2a1505, #fbeadc);
    --q3: light-dark(#faebdc, #41332a); --q3t: light-dark(#2a1505, #f1e8e1);
    --q4: light-dark(#e9edf0, #2b323a); --q4t: light-dark(#1c2126, #e9ebee);
    --float: light-dark(#fcfcfa, #15181c); --sans: system-ui, "Segoe UI", Roboto, "Noto Sans",
    "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; --mono: ui-monospace, "SF Mono",
    Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace }
:root:has(#light:checked) { color-scheme: light }
:root:has(#dark:checked) { color-scheme: dark }
:root:has(#en:checked) [lang=zh], :root:has(#zh:checked) [lang=en] { display: none }
*, ::before, ::after { box-sizing: border-box }
html { scroll-padding-top: 4rem; -webkit-text-size-adjust: 100% }
body { margin: 0; background: var(--page); color: var(--ink); font: .94rem/1.5 var(--sans);
    font-variant-numeric: tabular-nums }
a { color: var(--link); text-underline-offset: .15em; text-decoration-thickness: 1px }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px }
code, pre, .name { font-family: var(--mono); font-size: .9em }
code { overflow-wrap: anywhere }
h1, h2, h3, p, ul, ol, dl, dd, figure, table, pre { margin: 0; padding: 0 }
ol, ul { list-style: none }
h2 { font-size: 1.35rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em }
h3 { font-size: 1rem; line-height: 1.35; font-weight: 650 }
.skip { position: absolute; left: -99em }
.skip:focus { left: 1rem; top: .5rem; z-index: 9; background: var(--page); padding: .3rem .6rem }
.soft, figcaption, caption, small { color: var(--soft); font-size: .867rem }
.num { text-align: right; white-space: nowrap }
/* frame */
.top { position: sticky; top: 0; z-index: 5; background: var(--page);
    border-bottom: 1px solid var(--line) }
.top > div, main, footer { max-width: 1400px; margin: auto; padding: 0 clamp(.9rem, 2.6vw, 2.4rem) }
.top > div { display: flex; gap: .4rem 1.2rem; align-items: center; min-height: 2.9rem }
.top b { white-space: nowrap }
.top nav { flex: 1; overflow-x: auto; scrollbar-width: none }
.top nav ul { display: flex; gap: .9rem; white-space: nowrap; font-size: .867rem }
.top nav a { color: var(--soft); text-decoration: none; padding: .6rem 0; display: block }
.top nav a:hover { color: var(--ink) }
.pick { border: 1px solid var(--line); border-radius: 6px; display: flex; margin: 0; padding: 0;
    font-size: .8rem; flex: none }
.pick input { position: absolute; opacity: 0; width: 1px }
.pick label { padding: .2rem .55rem; cursor: pointer; color: var(--soft) }
.pick input:checked + label { background: var(--ink); color: var(--page); border-radius: 5px }
.pick input:focus-visible + label { outline: 2px solid var(--link); outline-offset: 2px }
main > section { padding: 2.6rem 0 0 }
main > section > header { margin-bottom: 1.1rem; max-width: 96ch }
main > section > header p { color: var(--soft); margin-top: .25rem }
.note { font-size: .867rem; border: 1px dashed var(--output); border-radius: 6px; padding: .45rem .8rem;
    margin-top: 1.1rem; display: inline-block }
/* verdict */
#verdict { padding-top: 1.6rem }
.meta { color: var(--soft); font-size: .867rem }
h1 { font-size: clamp(1.45rem, 1rem + 1.9vw, 2.35rem); line-height: 1.18; font-weight: 680;
    letter-spacing: -.02em; max-width: 32em; margin: .35rem 0 .5rem; text-wrap: balance }
h1 + p, h1 + p + p { max-width: 92ch }
.three { display: grid; grid-template-columns: 1.7fr 1fr 1fr; gap: 0 2.6rem; margin-top: 1.7rem;
    border-top: 1px solid var(--line) }
.three > * { padding-top: 1rem; min-width: 0 }
.big { font-size: 2.5rem; line-height: 1.1; font-weight: 680; letter-spacing: -.03em }
.big small { font-size: .95rem; font-weight: 400; letter-spacing: 0 }
.steps { position: relative; height: 108px; margin-top: .7rem }
.steps ol { display: grid; height: 100% }
.steps svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible }
.steps li { position: relative; font-size: .867rem }
.steps li::before { content: ""; position: absolute; left: 50%; bottom: calc(var(--v) * 1% - 5px);
    width: 11px; height: 11px; margin-left: -5.5px; border-radius: 50%; background: var(--output);
    border: 2px solid var(--page) }
.steps li:first-child::before { background: var(--ink) }
.steps li b { position: absolute; left: 0; right: 0; text-align: center;
    bottom: calc(var(--v) * 1% + 8px) }
.steps li.low b { bottom: calc(var(--v) * 1% - 28px) }
.stages { display: grid; text-align: center; font-size: .867rem;
    color: var(--soft); border-top: 1px solid var(--line); padding-top: .25rem; line-height: 1.25 }
.meter { display: flex; height: 22px; margin: .8rem 0 .15rem; gap: 2px; font-size: .8rem }
.meter i { flex: var(--v) 0 0; background: var(--c, var(--soft)); color: var(--t, var(--page));
    font-style: normal; text-align: center; min-width: 2px; overflow: hidden; white-space: nowrap;
    line-height: 22px }
/* what hurts */
.hurts > li { display: grid;
    grid-template-columns: 2.4rem minmax(0, 1.06fr) minmax(0, .76fr) minmax(0, 1.5fr); gap: .3rem 1.6rem;
    padding: 1rem 0; border-top: 1px solid var(--line); align-items: start }
.hurts > li:last-child { border-bottom: 1px solid var(--line) }
.rank { font-size: 1.7rem; line-height: 1; font-weight: 680; color: var(--soft) }
.hurts .name { font-size: 1rem; font-weight: 650 }
.hurts p { margin-top: .2rem }
.hurts > li > div:last-child > p { margin: 0 0 .25rem }
.share { display: block; height: 10px; background: linear-gradient(var(--output),
    var(--output)) no-repeat 0 / calc(var(--v) * 3%) 100%; border-left: 1px solid var(--ink);
    margin: .3rem 0 }
pre { background: var(--panel); border-radius: 6px; padding: .6rem .8rem; overflow-x: auto;
    font-size: .8rem; line-height: 1.5; tab-size: 2 }
.hurts pre { font-size: .74rem }
.paste { position: relative }
.paste button { position: absolute; top: .35rem; right: .35rem }
button, select, input[type=search], input[type=number] { font: inherit; font-size: .867rem;
    color: var(--ink); background: var(--page); border: 1px solid var(--line); border-radius: 6px;
    padding: .22rem .6rem }
button { cursor: pointer }
button:hover { border-color: var(--ink) }
/* network */
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .867rem; margin: 0 0 .9rem;
    align-items: center }
.legend i { display: inline-block; width: 1.6em; height: 1em; vertical-align: -.12em;
    margin-right: .35em; border: 1px solid var(--line); border-radius: 2px }
.net { display: flex; flex-wrap: wrap; gap: .7rem .35rem }
.net li { flex: none }
.net .cap { font-size: .75rem; color: var(--soft); padding-left: .3rem; display: flex;
    justify-content: space-between; padding-right: 1.4rem }
.net svg { display: block }
.net rect.box { fill: none; stroke: var(--line); rx: 6px }
.net .n rect { stroke: var(--line); rx: 3px }
.net text { font: 11.2px var(--sans); fill: currentColor; text-anchor: middle }
.net .n:hover rect, .net .n:focus rect { stroke: var(--ink); stroke-width: 2 }
.net a { outline-offset: 0 }
.net .in { color: var(--soft) }
.net li { max-width: 100%; overflow-x: auto }
.net .hits rect { stroke: var(--ink); stroke-width: 2 }
.e { fill: none; stroke: var(--soft); stroke-width: 1.2 }
.add { fill: var(--page); stroke: var(--soft) }
.q0 { --c: var(--q0); --t: var(--q0t) }
.q1 { --c: var(--q1); --t: var(--q1t) }
.q2 { --c: var(--q2); --t: var(--q2t) }
.q3 { --c: var(--q3); --t: var(--q3t) }
.q4 { --c: var(--q4); --t: var(--q4t) }
.n rect { fill: var(--c, var(--page)) }
.n { color: var(--t, var(--ink)) }
.n.float rect { stroke-dasharray: 3 2; stroke: var(--soft) }
i.q0, i.q1, i.q2, i.q3, i.q4 { background: var(--c) }
/* tables */
.scroll { overflow-x: auto; border-top: 1px solid var(--line); border-bottom: 1px solid var(--line) }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .83rem; line-height: 1.35 }
caption { text-align: left; padding: 0 0 .5rem }
th { text-align: left; font-weight: 600; vertical-align: bottom; color: var(--soft);
    padding: .35rem .32rem }
td { padding: .26rem .32rem; border-top: 1px solid var(--line); vertical-align: baseline;
    white-space: nowrap }
tbody tr:hover { background: var(--panel) }
tr:target { background: light-dark(#fff3d6, #3c331a) !important }
th.num, td.num { text-align: right }
thead th.num { white-space: normal; word-break: keep-all }
tbody th { font-weight: 400; color: var(--ink); border-top: 1px solid var(--line);
    padding: .26rem .32rem; white-space: nowrap }
@media (min-width: 1280px) {
  #layers .scroll { overflow: visible }
  #layers thead th { position: sticky; top: 2.9rem; background: var(--page); z-index: 2 }
  #layers thead .stick { z-index: 3 }
}
#layers tr, .cfg span { scroll-margin-top: 40vh }
#layers tbody th, #layers .stick { position: sticky; left: 0; background: var(--page); z-index: 1 }
#layers .stick { z-index: 3 }
#layers tr:target th, #layers tr:hover th { background: inherit }
th button { border: 0; padding: 0; background: none; font-weight: 600; color: inherit;
    text-align: inherit; line-height: 1.3 }
th[aria-sort] button { color: var(--ink) }
th[aria-sort=ascending] button::after { content: " ▲" }
th[aria-sort=descending] button::after { content: " ▼" }
#layers td { text-align: right }
#layers td.l { text-align: left }
tr.hit th::before { content: "▲ "; color: var(--output) }
#layers tbody th { font-family: var(--mono); font-size: .94em }
td.w, td.d { min-width: 3.8rem;
    background: linear-gradient(var(--c), var(--c)) no-repeat 0 100% / calc(var(--v) * 2%) 3px }
td.w { --c: var(--weights) }
td.d { --c: var(--data) }
.chip { display: inline-block; min-width: 3.1em; text-align: right; background: var(--c);
    color: var(--t); border-radius: 3px; padding: 0 .35em }
.tools { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center; margin-bottom: .7rem;
    font-size: .867rem }
[hidden] { display: none !important }
.bad { color: var(--output); font-weight: 650 }
/* bars */
.bars { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 1px; height: 122px;
    align-items: end; border-bottom: 1px solid var(--soft);
    background: repeating-linear-gradient(to top, transparent 0 19px, var(--line) 19px 20px) }
.bars a { height: calc(var(--v) * 2px); background: var(--c); position: relative }
.bars a { opacity: .5; min-height: 1px }
.bars a.worst { opacity: 1 }
.bars a:hover { opacity: 1; background: var(--ink) }
.panel { display: grid; grid-template-columns: 9.5rem minmax(0, 1fr); gap: 0 1rem; margin-top: .9rem }
.panel h3 { color: var(--c); align-self: end }
.panel.w { --c: var(--weights) }
.panel.d { --c: var(--data) }
.panel.o { --c: var(--output) }
.axis { grid-column: 2; display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 1px;
    font-size: .72rem; color: var(--soft); height: 1.3em }
.axis i { font-style: normal; width: 0; display: flex; justify-content: center; margin-left: 50%;
    white-space: nowrap }
.axis .worst { color: var(--ink); font-weight: 700 }
.panel dl { font-size: .8rem; color: var(--soft) }
/* small multiples */
.multi { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 1.1rem 1.6rem;
    margin-top: .9rem }
.multi h3 { font-size: .83rem; overflow-wrap: anywhere }
.multi svg { display: block; width: 100%; height: 66px }
.h { fill: var(--c) }
.hw { --c: var(--weights) }
.hd { --c: var(--data) }
.clip { stroke: var(--ink); stroke-width: 1.2; fill: none; vector-effect: non-scaling-stroke }
.out { fill: var(--output); opacity: .28 }
.ends span { white-space: nowrap }
.band { fill: var(--soft) }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-top: .25rem }
.base { stroke: var(--line); vector-effect: non-scaling-stroke }
.ends { display: flex; justify-content: space-between; font-size: .72rem; color: var(--soft);
    line-height: 1.3 }
.multi small { font-size: .75rem; line-height: 1.3; display: block }
.loss { grid-template-columns: repeat(auto-fill, minmax(142px, 1fr)) }
.loss svg { height: 74px; overflow: visible }
.loss path { vector-effect: non-scaling-stroke; fill: none }
.loss .one { stroke: var(--soft); stroke-dasharray: 3 3 }
.loss .gl { stroke: var(--line) }
.loss .ln { stroke: var(--output); stroke-width: 1.8 }
.loss .pt { stroke: var(--ink); stroke-width: 7; stroke-linecap: round }
.loss h3 .soft { display: block; font-size: .75rem; line-height: 1.3; font-weight: 400; white-space: nowrap;
    overflow: hidden; text-overflow: ellipsis }
.loss p { font-size: .8rem; line-height: 1.3 }
details > summary { cursor: pointer; padding: .5rem 0; font-weight: 600 }
details { border-bottom: 1px solid var(--line) }
details[open] { padding-bottom: 1.3rem }
/* sensitivity, data, warnings, reproduce */
.above { margin: 1.2rem 0 .5rem }
.meter + .meter { margin: .3rem 0 .15rem }
.two { display: grid; grid-template-columns: minmax(0, 1.65fr) minmax(0, 1fr); gap: 1.4rem 2.6rem;
    align-items: start }
.bells td { text-align: right }
.bells td:last-child { position: relative; width: 40%; min-width: 120px;
    background: linear-gradient(var(--soft),
    var(--soft)) no-repeat calc(var(--a) * 100% / (100 - var(--b) + var(--a))) 50%
    / calc((var(--b) - var(--a)) * 1%) 2px
    }
.bells td:last-child::before, .bells td:last-child::after { content: ""; position: absolute; top: 50%;
    width: 10px; height: 10px; margin: -5px; border-radius: 50%; background: var(--page);
    border: 2px solid var(--weights); left: calc(var(--a) * 1%) }
.bells td:last-child::after { background: var(--output); border-color: var(--output);
    left: calc(var(--b) * 1%) }
.thumbs { display: flex; flex-wrap: wrap; gap: .5rem }
.thumbs img { image-rendering: pixelated; display: block;
    border: 1px solid var(--line) }
.thumbs figcaption { font-size: .72rem; max-width: 15rem; line-height: 1.25 }
.warn > li { display: grid; grid-template-columns: 7.5rem minmax(0, 1fr);
    gap: .2rem 1.4rem; padding: .75rem 0; border-top: 1px solid var(--line) }
.warn b { white-space: nowrap }
.warn b::before { content: "▲ "; color: var(--output) }
.warn .info b::before { content: "● "; color: var(--soft) }
.kv { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1.2rem;
    font-size: .867rem }
.kv dt { color: var(--soft) }
.kv dd { overflow-wrap: anywhere }
.cfg { counter-reset: c; padding-left: 0 }
.cfg span { display: block; padding-left: 3.1em; position: relative; white-space: pre; min-height: 1.5em
    }
.cfg span::before { counter-increment: c; content: counter(c); position: absolute; left: 0; width: 2.1em;
    text-align: right; color: var(--soft) }
.cfg span:target { background: light-dark(#fff3d6, #3c331a) }
.cfg em { color: var(--soft); font-style: normal }
#tip { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--page);
    padding: .45rem .7rem; border-radius: 6px; font-size: .8rem; line-height: 1.4; max-width: 20rem }
#tip b { display: block; font-family: var(--mono) }
footer { margin: 3rem auto 2rem !important; color: var(--soft); font-size: .8rem }
footer p { max-width: 90ch }
@media screen and (max-width: 900px) {
  .three, .two { grid-template-columns: minmax(0, 1fr) }
  .hurts > li { grid-template-columns: 2rem minmax(0, 1fr) }
  .hurts > li > :nth-child(n + 3) { grid-column: 2 }
  .warn > li { grid-template-columns: minmax(0, 1fr) }
  .panel { grid-template-columns: minmax(0, 1fr) }
  .axis { grid-column: 1 }
  .top > div { flex-wrap: wrap; padding-top: .4rem }
  .top nav { order: 9; flex-basis: 100% }
  .top b { flex: 1; overflow: hidden; text-overflow: ellipsis }
  .top { position: static }
  html { scroll-padding-top: 1rem }
  main > section { padding-top: 2.1rem }
  .meter { height: 20px }
  .big { font-size: 2.1rem }
  .multi:not(.loss) { grid-template-columns: minmax(0, 1fr) }
}
@media print {
  @page { size: A4 landscape; margin: 12mm }
  :root:root { color-scheme: light; font-size: 11px; --page: #fff }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  .top, .tools, .skip, .paste button, #tip, details:not([open]) { display: none !important }
  main, footer { max-width: none; padding: 0 }
  main > section { padding-top: 1.8rem }
  .hurts > li, .multi > *, .net li, .warn > li, .panel, .three, .two > figure, tr, section > header {
      break-inside: avoid }
  section > header, h3, summary { break-after: avoid }
  footer { display: none }
  #network, #reproduce { break-before: page }
  .bars { height: 92px }
  .bars a { height: calc(var(--v) * 1.5px) }
  .bars { background: repeating-linear-gradient(to top, transparent 0 14px, var(--line) 14px 15px) }
  th button { display: contents }
  .scroll { overflow: visible }
  #layers thead th { position: static }
  #layers table { font-size: 9px }
  #layers th, #layers td { padding: .12rem .35rem; background-size: calc(var(--v) * 2%) 2px }
  th button::after { content: "" !important }
  a { color: inherit; text-decoration: none }
  .multi.multi { grid-template-columns: repeat(5, 1fr) }
  .multi.loss { grid-template-columns: repeat(8, 1fr) }
  .net svg { zoom: .8 }
  .cfg { columns: 1 }
}
)css";

}  // namespace amct_distill::detail::html
