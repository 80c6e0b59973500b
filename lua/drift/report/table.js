// table.js: a table of tables.lua: its texts as they are, aligned, in a box that scrolls by itself where it is too wide.
const captions = { Table: 0, Figure: 0 };

// "Table 1. ..." in the order in which they are made
function caption(kind, ...text) {
  captions[kind]++;
  return element(kind === "Table" ? "p" : "figcaption", { class: "caption" }, element("b", {}, `${kind} ${captions[kind]}. `), text);
}

function cellContent(cell) {
  const text = element("span", cell.value !== undefined ? { class: "number", "data-value": cell.value } : {}, cell.text);
  return [
    cell.variant !== undefined ? variantSwatch(cell.variant) : null, text,
    cell.interval ? element("span", { class: "interval" }, cell.interval) : null,
    cell.n ? element("span", { class: "interval" }, cell.n) : null,
  ];
}

function classOf(column, cell) {
  return [column.left ? "left" : "", cell.same ? "same" : "", cell.outcome ? "outcome-" + cell.outcome.split(" ")[0] : ""].join(" ").trim();
}

// extra: { title, cell(row, index) }: a column of the page's own
function table(name, t, label, extra) {
  const columns = list(t.columns), rows = list(t.rows);
  const head = columns.map((c) => element("th", { scope: "col", class: c.left ? "left" : "" }, c.title, c.note ? element("span", { class: "note" }, c.note) : null));
  if (extra) head.splice(3, 0, element("th", { scope: "col", class: "left" }, extra.title));
  const body = rows.map((row, r) => {
    const cells = list(row).map((cell, k) => k === 0 ? element("th", { scope: "row", class: "left" }, cellContent(cell))
      : element("td", { class: classOf(columns[k], cell) }, cellContent(cell)));
    if (extra) cells.splice(3, 0, element("td", { class: "left" }, extra.cell(row, r)));
    return element("tr", {}, cells);
  });
  return element("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": label },
    element("table", { id: name }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)));
}
