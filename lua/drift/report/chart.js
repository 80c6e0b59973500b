// chart.js: lines over x, with bands or bars for their intervals, a legend that is the readout and the switch, and a
// cursor for mouse, finger and keyboard.
//   chart({ id, alt, xLabel, yLabel, logX, logY, bars, series, empty, atRest, xText })
//   series: { key, label, colour, dash, mark (or undefined), points: [[x, mean, low, high], ...] in order of x,
//             thin: [{ points: [[x, y], ...], ended: bool }] }     thin: single runs, a cross where one ended
// atRest: "last" shows the last values when nothing is pointed at.
const cursors = new Map(); // chart's id -> where its cursor is, as a value of x

function linePath(points, x, y) {
  let path = "", pen = false;
  for (const p of points) {
    const px = x(p[0]), py = y(p[1]);
    if (Number.isNaN(px) || Number.isNaN(py)) { pen = false; continue; }
    path += `${pen ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
    pen = true;
  }
  return path;
}

// Runs of points that have both ends of an interval, as closed shapes
function bandPath(points, x, reach) {
  let path = "", run = [];
  const close = () => {
    if (run.length > 1) {
      path += run.map((p, k) => `${k ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("")
        + run.reverse().map((p) => `L${p[0].toFixed(1)} ${p[2].toFixed(1)}`).join("") + "Z";
    }
    run = [];
  };
  for (const p of points) {
    const px = x(p[0]), high = reach(p[3]), low = reach(p[2]);
    if ([px, high, low].some(Number.isNaN)) close();
    else run.push([px, high, low]);
  }
  close();
  return path;
}

function barPath(points, x, reach) {
  let path = "";
  for (const p of points) {
    const px = x(p[0]), high = reach(p[3]), low = reach(p[2]);
    if ([px, high, low].some(Number.isNaN)) continue;
    const [at, left, top, bottom] = [px, px - 3, high, low].map((v) => v.toFixed(1));
    path += `M${at} ${top}V${bottom}M${left} ${top}h6M${left} ${bottom}h6`;
  }
  return path;
}

function extent(shown) {
  const xs = [], ys = [], intervals = [];
  for (const s of shown) {
    for (const p of s.points) {
      xs.push(p[0]);
      ys.push(p[1]);
      intervals.push(p[2], p[3]);
    }
    for (const t of s.thin || []) {
      for (const p of t.points) {
        xs.push(p[0]);
        ys.push(p[1]);
      }
    }
  }
  return { xs, ys, intervals };
}

function axes(spec, x, y, box) {
  const parts = [];
  for (const tick of y.ticks) {
    const at = y.place(tick);
    parts.push(drawn("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at }),
      drawn("text", { class: "tick", x: box.left - 8, y: at + 4, "text-anchor": "end" }, short(tick)));
  }
  let free = -Infinity;
  for (const tick of x.ticks) {
    const at = x.place(tick), half = short(tick).length * 3.6;
    parts.push(drawn("line", { class: "axis", x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4 }));
    if (at - half < free) continue; // its label would touch the one before
    free = at + half + 8;
    const over = at + half > box.right + 12;
    const place = { x: over ? box.right + 12 : at, y: box.bottom + 18, "text-anchor": over ? "end" : "middle" };
    parts.push(drawn("text", { class: "tick", ...place }, short(tick)));
  }
  parts.push(drawn("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    drawn("text", { class: "label", x: box.right, y: box.bottom + 36, "text-anchor": "end" }, spec.xLabel),
    drawn("text", { class: "label", x: 0, y: 12 }, spec.yLabel));
  return parts;
}

// A run that has taken one step has no line yet, but is there.
function loneDot(points, x, y, colour) {
  const there = points.filter((p) => !Number.isNaN(x(p[0])) && !Number.isNaN(y(p[1])));
  if (there.length !== 1) return null;
  return drawn("circle", { class: "dot", cx: x(there[0][0]), cy: y(there[0][1]), r: 3, fill: colour });
}

function lines(spec, shown, x, y) {
  const parts = [];
  for (const s of shown) {
    const bars = spec.bars;
    if (bars) parts.push(drawn("path", { class: "bars", d: barPath(s.points, x.place, y.reach), stroke: s.colour }));
    else parts.push(drawn("path", { class: "band", d: bandPath(s.points, x.place, y.reach), fill: s.colour }));
  }
  for (const s of shown) {
    const pen = { stroke: s.colour, "stroke-dasharray": s.dash };
    for (const t of s.thin || []) {
      parts.push(drawn("path", { class: "thin", d: linePath(t.points, x.place, y.place), ...pen }));
      const end = t.points.filter((p) => !Number.isNaN(y.place(p[1])) && !Number.isNaN(x.place(p[0]))).pop();
      if (t.ended && end) {
        const [cx, cy] = [x.place(end[0]), y.place(end[1])];
        const cross = `M${cx - 4} ${cy - 4}l8 8M${cx - 4} ${cy + 4}l8 -8`;
        parts.push(drawn("path", { class: "ended", d: cross, stroke: s.colour }));
      }
    }
    parts.push(drawn("path", { class: "line", "data-key": s.key, d: linePath(s.points, x.place, y.place), ...pen }));
    if (s.mark === undefined) {
      parts.push([s.points, ...(s.thin || []).map((t) => t.points)].map((points) => loneDot(points, x.place, y.place, s.colour)));
      continue;
    }
    for (const p of s.points) {
      const [cx, cy] = [x.place(p[0]), y.place(p[1])];
      if (!Number.isNaN(cx) && !Number.isNaN(cy)) parts.push(marker(s.mark, cx, cy, 3.4, s.colour));
    }
  }
  return parts;
}

// The point of a series at x, or null where it has none there.
function pointAt(s, at) {
  let best = null;
  for (const p of s.points) if (p[0] === at && isNumber(p[1])) best = p;
  if (best) return best;
  for (const t of s.thin || []) for (const p of t.points) if (p[0] === at && isNumber(p[1])) best = [p[0], p[1]];
  return best;
}

function valueText(p) {
  if (!p) return "";
  const between = isNumber(p[2]) && isNumber(p[3]) ? ` [${written(p[2])}, ${written(p[3])}]` : "";
  return written(p[1]) + between;
}

function legend(spec, readout) {
  return element("ul", { class: "legend" }, spec.series.map((s, k) => {
    const value = element("span", { class: "value" });
    readout.push({ s, value });
    const button = element("button", { type: "button", id: `${spec.id}-legend-${k}`, class: "series",
      "aria-pressed": String(visible(s.key)), title: `show or hide ${s.label}`, onclick: () => toggle(s.key) },
    swatch(s.colour, s.dash, s.mark), element("span", { class: "name" }, s.label), value);
    return element("li", {}, button);
  }));
}

// Where the cursor can be: every x that a shown series has a value at
function stops(shown, x) {
  const set = new Set();
  for (const s of shown) {
    for (const points of [s.points, ...(s.thin || []).map((t) => t.points)]) {
      for (const p of points) if (isNumber(p[1]) && !Number.isNaN(x.place(p[0]))) set.add(p[0]);
    }
  }
  return [...set].sort((a, b) => a - b);
}

function addCursor(spec, svg, shown, x, y, box, readout, head) {
  const all = stops(shown, x), overlay = drawn("g", { class: "cursor" });
  svg.append(overlay);
  function show(at) {
    overlay.replaceChildren();
    const there = at !== undefined && all.includes(at);
    const where = there ? at : spec.atRest === "last" ? all[all.length - 1] : undefined;
    head.textContent = where === undefined ? "Point at the figure, touch it, or use its arrow keys to read values."
      : `${spec.xText || spec.xLabel} ${short(where)}`;
    for (const { s, value } of readout) {
      value.textContent = where === undefined || !visible(s.key) ? "" : valueText(pointAt(s, where));
    }
    if (!there) return cursors.delete(spec.id);
    cursors.set(spec.id, at);
    const px = x.place(at);
    overlay.append(drawn("line", { x1: px, x2: px, y1: box.top, y2: box.bottom }));
    for (const s of shown) {
      const p = pointAt(s, at), py = p ? y.place(p[1]) : NaN;
      if (!Number.isNaN(py)) overlay.append(drawn("circle", { cx: px, cy: py, r: 3.5, fill: s.colour }));
    }
  }
  function nearest(event) {
    const px = event.clientX - svg.getBoundingClientRect().left, away = (at) => Math.abs(x.place(at) - px);
    show(all.reduce((best, at) => (away(at) < away(best) ? at : best), all[0]));
  }
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  svg.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse") show(undefined); });
  svg.addEventListener("keydown", (e) => {
    const now = all.indexOf(cursors.get(spec.id)), last = all.length - 1, big = Math.max(1, Math.round(all.length / 20));
    const to = { ArrowLeft: now < 0 ? last : now - 1, ArrowRight: now + 1, PageUp: now - big, PageDown: now + big,
      Home: 0, End: last }[e.key];
    if (e.key === "Escape") show(undefined);
    else if (to !== undefined) show(all[Math.min(last, Math.max(0, to))]);
    else return;
    e.preventDefault();
  });
  show(cursors.get(spec.id));
}

function chart(spec, width) {
  const shown = spec.series.filter((s) => visible(s.key));
  const { xs, ys, intervals } = extent(shown), height = Math.round(Math.min(380, Math.max(230, width * 0.46)));
  const head = element("p", { class: "readout", "aria-live": "polite" }), readout = [], bottom = height - 44;
  const names = legend(spec, readout);
  const y = makeScale(ys, intervals, spec.logY, bottom, 26, Math.round(height / 60), 0.03);
  const longest = y ? Math.max(...y.ticks.map((t) => short(t).length), 1) : 1;
  const left = Math.max(34, 14 + 7.2 * longest), right = width - 13;
  const x = makeScale(xs, [], spec.logX, left, right, Math.round(width / 90), spec.bars ? 0.03 : 0);
  if (!x || !y) {
    const off = spec.series.length > 0 && shown.length === 0;
    return [missing(off ? "All series are switched off: choose some below." : spec.empty), names];
  }
  const box = { left, right, top: 26, bottom };
  const svg = drawn("svg", { class: "chart", id: spec.id, width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0,
    role: "img", "aria-label": spec.alt },
  axes(spec, x, y, box), lines(spec, shown, x, y));
  addCursor(spec, svg, shown, x, y, box, readout, head);
  return [svg, head, names];
}

// The width that a part has, before it is on the page: that of the page.
function widthOf(host) {
  return Math.max(260, Math.floor(host.clientWidth || document.getElementById("report").clientWidth || 640));
}
