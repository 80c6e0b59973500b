// cost_quality.js: quality against what it costs, the number of network evaluations for each picture. A variant's colour
// is the same as everywhere. With several samplers in one figure dash and marker are a sampler's, and hollow markers tell
// the variants apart that share a colour; with one they are the variant's.
function costSection(data) {
  const costs = data.cost_quality, metrics = list(costs.metrics);
  if (metrics.length === 0) {
    return section("cost-quality", "Cost and quality", missing("Quality against function evaluations was not measured."));
  }
  const samplers = [...new Set(list(costs.series).map((s) => s.sampler))], crowded = data.variants.length > COLOURS;
  const first = crowded || list(costs.series).length > 12 * metrics.length ? samplers[0] : "";
  const draw = () => part("cost-chart", (host) => {
    const metric = chosen("cost-metric", metrics[0]), sampler = chosen("cost-sampler", first);
    const alone = sampler !== "" || samplers.length === 1, meant = (s) => sampler === "" || s.sampler === sampler;
    const series = list(costs.series).filter((s) => s.metric === metric && meant(s)).map((s) => ({
      key: `v${s.variant}/${s.sampler}`, label: `${labelOf(data, s)}, ${s.sampler}`, colour: colourOf(s.variant),
      dash: dashOf(alone ? s.variant : samplers.indexOf(s.sampler)),
      mark: alone ? s.variant : markOf(samplers.indexOf(s.sampler), s.variant),
      points: list(s.points).map((p) => [p.x, p.mean, p.low ?? NaN, p.high ?? NaN]) }));
    return chart({ id: "cost-chart", alt: `${metric} against function evaluations, a line for each variant and sampler`,
      xLabel: "function evaluations per picture", xText: "NFE", yLabel: metric, bars: true, series,
      logX: true, logY: chosen("cost-log-y", false),
      empty: "None of the values is a number that these axes can show." }, widthOf(host));
  });
  return section("cost-quality", "Cost and quality",
    element("figure", {},
      controls(metrics.length > 1 ? select("cost-metric", "metric", named(metrics), metrics[0], "cost-chart") : null,
        samplers.length > 1
          ? select("cost-sampler", "sampler", [["", "all"], ...named(samplers)], first, "cost-chart") : null,
        checkbox("cost-log-y", "logarithmic quality", false, "cost-chart")),
      draw(),
      caption("Figure", `Quality against the number of network evaluations, with ${percent(data)} intervals: of the mean `,
        "over seeds, or of one seed's samples.")));
}
