// differences.js: what differs between the variants: lines of the configuration, and of the tree of modules.
function treeDiff(data, tree) {
  const lines = list(tree.lines);
  if (lines.length === 0) {
    return element("p", { class: "missing" }, variantSwatch(tree.variant), `${labelOf(data, tree)}: the same network.`);
  }
  const kind = { "-": "removed", "+": "added", " ": "skipped" };
  return element("figure", { class: "diff" },
    element("figcaption", {}, variantSwatch(tree.variant), labelOf(data, tree)),
    element("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": `Changed lines, ${labelOf(data, tree)}` },
      element("pre", {}, lines.map((l) => element("span", { class: kind[l.op] || "skipped" },
        `${l.op === "-" ? "\u2212" : l.op} ${l.text}\n`)))));
}

function treeDiffs(data, trees) {
  const baseline = data.variants[data.baseline].label;
  return [element("p", { class: "caption" }, `Networks, changed lines only, from ${baseline}'s:`),
    element("div", { class: "diffs" }, trees.map((tree) => treeDiff(data, tree)))];
}

function differencesSection(data) {
  if (data.variants.length < 2) return null;
  const rows = list(data.tables.config.rows), trees = list(data.trees);
  return section("differences", "What differs",
    rows.length ? [caption("Table", "Keys of the configuration that are not equal in all variants; values equal to the ",
      "baseline's are dim."), table("config-table", data.tables.config, "Configuration")]
      : missing("No key of the configuration differs."),
    trees.length > 4 ? foldable("trees", `Networks of ${trees.length} variants`, treeDiffs(data, trees))
      : trees.length ? treeDiffs(data, trees) : missing("The networks' trees were not recorded."));
}
