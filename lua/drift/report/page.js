// page.js: the whole page from the data, at first and whenever the data have changed.
// All of it in a sentence where there is one, else the first sentences; the rest behind them.
function verdict(headline, sentences) {
  const most = headline ? 0 : sentences.length > 4 ? 3 : 4, said = (list) => list.map((sentence) => element("p", {}, sentence));
  return element("div", { class: "verdict" }, headline ? element("p", { class: "headline" }, headline) : null,
    said(sentences.slice(0, most)),
    sentences.length > most
      ? foldable("verdict", headline ? "metric by metric" : `${sentences.length - most} more sentences`,
        said(sentences.slice(most))) : null);
}

function header(data) {
  const cells = list(data.cells), count = (status) => cells.filter((c) => c.status === status).length;
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const some = (status, of) => (count(status) ? `${count(status)}${of || ""} ${status}` : "");
  const state = [plural(data.variants.length, "variant"), plural(list(data.seeds).length, "seed"),
    some("failed", ` of ${cells.length} cells`), some("running"), some("waiting")].filter(Boolean).join(", ");
  return element("header", {},
    element("div", { class: "top" }, element("p", { class: "name" }, data.name),
      element("p", { id: "live", class: "live", role: "status" }), themeButton()),
    element("h1", {}, data.title), data.question ? element("p", { class: "question" }, data.question) : null,
    verdict(data.headline, list(data.verdict)),
    element("p", { class: "state" }, state + "."));
}

function drawPage(data) {
  const main = document.getElementById("report");
  const across = [...main.querySelectorAll(".scroller")].map((s) => s.scrollLeft);
  const focus = document.activeElement ? document.activeElement.id : "", top = window.scrollY;
  const heights = new Map([...main.querySelectorAll(".part")].map((p) => [p.dataset.part, p.clientHeight]));
  forget(list(data.samples).concat(list(data.trajectories)));
  redraws.clear();
  captions.Table = captions.Figure = 0;
  main.replaceChildren(...[header, resultsSection, differencesSection, lossesSection, levelsSection, samplesSection,
    trajectorySection, costSection, provenanceSection].map((draw) => draw(data)).filter(Boolean));
  for (const p of main.querySelectorAll(".part")) { // pictures come a moment later: the page must not move meanwhile
    if (!p.firstChild && heights.has(p.dataset.part)) p.style.minHeight = `${heights.get(p.dataset.part)}px`;
  }
  [...main.querySelectorAll(".scroller")].forEach((s, k) => { s.scrollLeft = across[k] || 0; });
  if (focus && document.getElementById(focus)) document.getElementById(focus).focus({ preventScroll: true });
  window.scrollTo(0, top);
}

let pageWidth = 0; // that the charts were drawn for

function start(data) {
  drawPage(data);
  new ResizeObserver(() => {
    const width = document.getElementById("report").clientWidth;
    if (width === pageWidth) return;
    pageWidth = width;
    requestAnimationFrame(() => redraw("losses-chart", "levels-chart", "cost-chart"));
  }).observe(document.getElementById("report"));
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
}

const firstData = JSON.parse(document.getElementById("data").textContent);
start(firstData);
