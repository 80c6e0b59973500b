// table.js: a table of tables.lua: its texts as they are, aligned, in a box that scrolls by itself where it is too wide.
const captions = { Table: 0, Figure: 0 };

// "Table 1. ..." in the order in which they are made
function caption(kind, ...text) {
  captions[kind]++;
  return element(kind === "Table" ? "p" : "figcaption", { class: "caption" }, element("b", {}, `${kind} ${captions[kind]}. `), text);
}

function aside(kind, text) { return text ? element("span", { class: kind }, text) : null; }

function cellContent(cell) {
  const text = element("span", cell.value !== undefined ? { class: "number", "data-value": cell.value } : {}, cell.text);
  if (cell.variant !== undefined) return element("span", { class: "variant" }, variantSwatch(cell.variant), text);
  return [text, aside("interval", cell.interval), aside("interval", cell.n)];
}

function classOf(column, cell) {
  const outcome = cell.outcome ? "outcome-" + cell.outcome.split(" ")[0] : "";
  return [column.left ? "left" : "", cell.same ? "same" : "", outcome].filter(Boolean).join(" ");
}

// A row's first cell, once for all rows below each other that begin with the same text
function rowHead(rows, r, grouped) {
  const text = (k) => rows[k] && `${rows[k][0].variant} ${rows[k][0].text}`; // two variants may have one label
  if (grouped && text(r - 1) === text(r)) return null;
  let span = 1;
  while (grouped && text(r + span) === text(r)) span++;
  const group = span > 1 ? { scope: "rowgroup", rowspan: span } : { scope: "row" };
  return element("th", { ...group, class: "left" }, cellContent(rows[r][0]));
}

// extra: { at, title, cell(row) }: a column of the page's own, before column `at`; grouped: see rowHead
function table(name, t, label, { extra, grouped } = {}) {
  const columns = list(t.columns), rows = list(t.rows);
  const head = columns.map((c) => element("th", { scope: "col", class: c.left ? "left" : "" }, c.title, aside("note", c.note)));
  if (extra) head.splice(extra.at, 0, element("th", { scope: "col", class: "left" }, extra.title));
  const body = rows.map((row, r) => {
    const cells = row.map((cell, k) => (k === 0 ? rowHead(rows, r, grouped)
      : element("td", { class: classOf(columns[k], cell) }, cellContent(cell))));
    if (extra) cells.splice(extra.at, 0, element("td", { class: "left" }, extra.cell(row)));
    return element("tr", { class: cells[0] ? "" : "same-group" }, cells);
  });
  return element("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": label },
    element("table", { id: name }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)));
}
