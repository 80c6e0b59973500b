// results.js: the table of results, the paired differences with their intervals drawn, and every seed's numbers.
function forest(row, range) {
  const cell = row[2], variant = row[1].variant;
  if (!isNumber(cell.low) || !isNumber(cell.high)) return null;
  const place = (v) => 4 + ((v + range) / (2 * range)) * 112, middle = (place(cell.low) + place(cell.high)) / 2;
  const at = cell.value === undefined ? middle : place(Number(cell.value));
  return drawn("svg", { class: "forest", width: 120, height: 16, viewBox: "0 0 120 16", role: "img",
    "aria-label": `interval ${cell.interval}, zero in the middle` },
  drawn("line", { class: "zero", x1: 60, x2: 60, y1: 0, y2: 16 }),
    drawn("line", { class: "span", x1: place(cell.low), x2: place(cell.high), y1: 8, y2: 8, stroke: colourOf(variant) }),
    marker(variant, at, 8, 3.2, colourOf(variant)));
}

// Of each metric, what the widest of its intervals reaches
function ranges(rows) {
  const reach = new Map();
  for (const row of rows) {
    const most = Math.max(Math.abs(row[2].low || 0), Math.abs(row[2].high || 0));
    reach.set(row[0].text, Math.max(reach.get(row[0].text) || 0, most));
  }
  return (row) => reach.get(row[0].text) || 1;
}

function percent(data) { return `${Number((100 * data.confidence).toPrecision(6))} %`; }

function resultsSection(data) {
  const t = data.tables, differences = list(t.differences.rows), range = ranges(differences), n = list(data.seeds).length;
  const over = n > 1 ? `Means over seeds with ${percent(data)} intervals of the mean`
    : "Values of the one seed, with their intervals where a metric has one";
  const baseline = data.variants[data.baseline].label, interval = (row) => forest(row, range(row));
  return section("results", "Results",
    caption("Table", `${over}. Arrows say which way is better.`), table("results-table", t.results, "Results"),
    differences.length ? [
      caption("Table", `Paired differences from ${baseline}: the same seed on both sides, with ${percent(data)} intervals; `,
        "zero is the vertical line."),
      table("differences-table", t.differences, "Paired differences",
        { grouped: true, extra: { at: 3, title: "interval", cell: interval } }),
    ] : data.variants.length > 1 ? missing("There are no paired differences: no seed is done in two variants yet.") : null,
    list(data.metrics).length === 0 ? missing("No metric has been measured yet.") : null,
    list(t.costs.columns).length > 1
      ? [caption("Table", "What the variants cost."), table("costs-table", t.costs, "Costs")] : null,
    foldable("seeds", "Every seed", table("seeds-table", t.seeds, "Every seed", { grouped: true })));
}
