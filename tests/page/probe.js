// Runs in the page, after its own script, and leaves what it found in <pre id="probe">.
const found = [];
const check = (what, ok) => found.push((ok ? "ok: " : "NOT SO: ") + what);
check("no error: " + window.probeErrors.join("; "), window.probeErrors.length === 0);
const head = [...document.querySelectorAll("#layers th button")];
check("the headings of the table are buttons", head.length > 10);
const tbody = document.querySelector("#layers tbody"), first = [...tbody.rows].map(r => r.id).join();
for (const b of head) {
  const th = b.closest("th"), k = th.cellIndex, text = th.dataset.first === "text", name = b.textContent;
  for (const turn of [1, 2]) {
    b.click();
    const up = th.getAttribute("aria-sort") === "ascending";
    const keys = [...tbody.rows].map(r => text ? r.cells[k].textContent : r.cells[k].dataset.v);
    const known = keys.filter(v => v !== "" && v !== "–");
    const rest = keys.slice(known.length);
    const ordered = known.every((v, i) => i === 0 || (text
      ? known[i - 1].localeCompare(v, undefined, { numeric: true }) * (up ? 1 : -1) <= 0
      : (up ? +known[i - 1] <= +v : +known[i - 1] >= +v)));
    check(`${name}, ${up ? "up" : "down"}: ${keys.join(" ")}`, ordered && rest.every(v => v === "" || v === "–"));
  }
  check(name + ": the second click turned it", head.filter(x => x.closest("th").hasAttribute("aria-sort")).length === 1);
}
head[0].click();
if (document.querySelector("#layers th").getAttribute("aria-sort") !== "ascending") head[0].click();
check("by number it is as it was", [...tbody.rows].map(r => r.id).join() === first);

const find = document.querySelector("#find");
const shown = () => [...tbody.rows].filter(r => !r.hidden).length;
find.value = tbody.rows[0].cells[1].textContent; find.dispatchEvent(new Event("input"));
const named = [...tbody.rows].filter(r => r.textContent.includes(find.value)).length;
check("the filter leaves the rows with the name", shown() === named && named > 0 && named < tbody.rows.length);
find.value = ""; find.dispatchEvent(new Event("input"));
check("and all again", shown() === tbody.rows.length);

const visible = lang => [...document.querySelectorAll(`main [lang=${lang}]`)].some(e => getComputedStyle(e).display !== "none");
for (const lang of ["zh", "en"]) {
  document.querySelector("#" + lang).click();
  check(`language ${lang}`, document.documentElement.lang === lang && visible(lang) && !visible(lang === "en" ? "zh" : "en"));
}
const ground = () => getComputedStyle(document.body).backgroundColor;
document.querySelector("#dark").click(); const dark = ground();
document.querySelector("#light").click(); const light = ground();
check(`themes: ${light}, ${dark}`, light === "rgb(252, 252, 250)" && dark === "rgb(21, 24, 28)");

for (const d of document.querySelectorAll("details")) d.open = true;
check(`nothing is wider than the window: ${document.documentElement.scrollWidth}, ${innerWidth}`,
  document.documentElement.scrollWidth <= innerWidth);
for (const a of document.querySelectorAll("a[href^='#']"))
  if (!document.getElementById(a.getAttribute("href").slice(1))) check("leads nowhere: " + a.getAttribute("href"), false);
for (const p of document.querySelectorAll("svg path"))
  if (p.getAttribute("d") !== "" && p.getTotalLength() === 0 && !p.classList.contains("pt"))
    check("a path of no length: " + p.outerHTML, false);
const pictures = [...document.images];
check(`${pictures.length} pictures are there`, pictures.length > 0 && pictures.every(i => i.complete && i.naturalWidth > 0));
document.body.replaceChildren(Object.assign(document.createElement("pre"), { id: "probe", textContent: found.join("\n") }));
