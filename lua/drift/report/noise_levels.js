// noise_levels.js: errors on the fixed set of images and noise, level by level.
function levelsSection(data) {
  const levels = data.noise_levels, quantities = list(levels.quantities);
  if (quantities.length === 0) {
    return section("noise-levels", "Loss against noise level", missing("Losses at fixed noise levels were not measured."));
  }
  const ratio = levels.x === "ratio";
  const draw = () => part("levels-chart", (host) => {
    const quantity = chosen("levels-quantity", quantities[0]);
    const series = list(levels.series).filter((s) => s.quantity === quantity).map((s) => ({
      key: `v${s.variant}`, label: labelOf(data, s), colour: colourOf(s.variant), dash: dashOf(s.variant), mark: s.variant,
      points: list(s.points).map((p) => [p.x, p.mean, p.low ?? NaN, p.high ?? NaN]) }));
    return chart({ id: "levels-chart", alt: `${quantity} against noise level, a line for each variant`,
      xLabel: ratio ? "noise to signal, \u03c3/\u03b1" : "t", xText: ratio ? "\u03c3/\u03b1 =" : "t =", yLabel: quantity,
      logX: chosen("levels-log-x", ratio), logY: chosen("levels-log-y", true), series,
      empty: "None of the values is a number that these axes can show." }, widthOf(host));
  });
  return section("noise-levels", "Loss against noise level",
    element("figure", {},
      controls(
        quantities.length > 1 ? select("levels-quantity", "quantity", named(quantities), quantities[0], "levels-chart") : null,
        checkbox("levels-log-x", "logarithmic level", ratio, "levels-chart"),
        checkbox("levels-log-y", "logarithmic loss", true, "levels-chart")),
      draw(),
      caption("Figure", `The same images and the same noise in every variant. Bands are ${percent(data)} intervals: of the `,
        "mean over seeds, or of one seed's images.")));
}
