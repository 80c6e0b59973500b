// provenance.js: how the comparison was made, and what went wrong in it.
function provenanceSection(data) {
  const failed = list(data.cells).filter((c) => c.status === "failed"), problems = list(data.problems);
  return section("made", "How it was made",
    element("dl", { class: "made" }, list(data.made).map((row) =>
      element("div", {}, element("dt", {}, row.name), element("dd", {}, row.text)))),
    failed.length ? [element("h3", {}, "Cells that failed"), element("ul", { class: "failed" }, failed.map((c) =>
      element("li", {}, element("b", {}, `${labelOf(data, c)}, seed ${c.seed}: `), c.error || "no message")))] : null,
    problems.length ? [element("h3", {}, "What could not be read"),
      element("ul", { class: "failed" }, problems.map((p) => element("li", {}, p)))] : null);
}
