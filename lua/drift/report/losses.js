// losses.js: the losses of steps: a variant's line is the mean of its seeds, its band lies between the least and the
// greatest of them. Smoothing is an exponential average of each seed's values, unbiased at its start, before that.
function smooth(values, weight) {
  if (weight === 0) return values;
  let sum = 0, mass = 0;
  return values.map((v) => {
    if (!isNumber(v)) return NaN;
    sum = weight * sum + (1 - weight) * v;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

function lossSeries(data, weight) {
  const every = data.losses.every, place = (k) => every === 1 ? k + 1 : k * every + (every + 1) / 2;
  const smoothed = (c) => smooth(c.values.split(" ").map(Number), weight);
  const curves = list(data.losses.curves).map((c) => ({ ...c, smoothed: smoothed(c) }));
  return data.variants.map((v, index) => {
    const mine = curves.filter((c) => c.variant === index), done = mine.filter((c) => c.status === "done");
    const length = Math.max(0, ...done.map((c) => c.smoothed.length)), points = [];
    for (let k = 0; k < length; k++) {
      const at = done.map((c) => c.smoothed[k]).filter(isNumber);
      const mean = at.length ? at.reduce((a, b) => a + b, 0) / at.length : NaN;
      points.push([place(k), mean, at.length > 1 ? Math.min(...at) : NaN, at.length > 1 ? Math.max(...at) : NaN]);
    }
    const thin = mine.filter((c) => c.status !== "done").map((c) => ({
      ended: c.status === "failed", points: c.smoothed.map((y, k) => [place(k), y]) }));
    return { key: `v${index}`, label: v.label, colour: colourOf(index), dash: dashOf(index), points, thin };
  }).filter((s) => s.points.length || s.thin.length);
}

// The slider runs in units of how many values are averaged: 1 (none), then powers of 10^(1/4).
function window_(position) { return 10 ** (position / 4); }

function lossesSection(data) {
  const losses = data.losses, unit = losses.unit === "epoch" ? "epoch" : "step";
  if (list(losses.curves).length === 0) return section("losses", "Loss", missing("No losses are there yet."));
  const averaged = (position) => position === 0 ? "none" : `${Math.round(window_(position) * losses.every)} ${unit}s`;
  const start = list(losses.curves).some((c) => c.values.length > 600) ? 5 : 0;
  const draw = () => part("losses-chart", (host) => chart({
    id: "losses-chart", alt: `Training loss against ${unit}s, a line for each variant`, xLabel: unit, yLabel: "loss",
    logX: chosen("losses-log-x", false), logY: chosen("losses-log-y", true), atRest: "last",
    empty: "None of the losses is a number that these axes can show.",
    series: lossSeries(data, 1 - 1 / window_(chosen("losses-smooth", start))) }, widthOf(host)));
  return section("losses", "Loss",
    element("figure", {},
      controls(slider("losses-smooth", "smoothing", 0, 10, 1, start, averaged, () => redraw("losses-chart")),
        checkbox("losses-log-x", `logarithmic ${unit}s`, false, "losses-chart"),
        checkbox("losses-log-y", "logarithmic loss", true, "losses-chart")),
      draw(),
      caption("Figure", "Training loss. ",
        list(data.seeds).length > 1 ? "Lines are means over seeds, bands reach from the least to the greatest seed. " : "",
        list(losses.curves).some((c) => c.status !== "done") ? "Thin lines are runs that failed (\u00d7) or go on. " : "",
        losses.every > 1 ? `Each point is the mean of ${losses.every} ${unit}s.` : "")));
}
