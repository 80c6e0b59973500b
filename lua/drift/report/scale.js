// scale.js: from values to pixels, linear or logarithmic, and where the ticks are.
function linearTicks(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999) || 10 * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    ticks.push(Number((k * step).toPrecision(12)));
  }
  return ticks;
}

// Powers of ten; within fewer than three decades also 2 and 5 of each, and within less than one, those of a linear axis.
function logTicks(low, high, wanted) {
  const decades = Math.log10(high / low);
  if (decades < 0.7) return linearTicks(low, high, wanted).filter((t) => t > 0);
  const factors = decades < 3 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / Math.max(2, wanted)));
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    if (decades >= 3 && e % every !== 0) continue;
    for (const f of factors) {
      const tick = Number((f * 10 ** e).toPrecision(12));
      if (tick >= low * 0.9999 && tick <= high * 1.0001) ticks.push(tick);
    }
  }
  return ticks;
}

// The least and the greatest of numbers, and null where there is none
function ends(numbers) {
  return numbers.length ? [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))] : null;
}

// values: what must fit in; more: what should, as far as it makes the axis no more than three times as long (intervals of
// few seeds can be enormous). Pixels from `start` to `end`.
//   place(v): NaN for what a logarithmic axis has no place for;   reach(v): where an interval's end is, within the axis
function makeScale(values, more, log, start, end, wanted, room) {
  const usable = (list) => list.filter((v) => isNumber(v) && (!log || v > 0));
  const toLine = log ? Math.log : (v) => v, fromLine = log ? Math.exp : (v) => v;
  const inner = ends(usable(values).map(toLine)), outer = ends(usable(more).map(toLine));
  if (!inner) return null;
  let [a, b] = inner;
  if (outer) {
    const span = b - a || Infinity;
    [a, b] = [Math.min(a, Math.max(outer[0], a - span)), Math.max(b, Math.min(outer[1], b + span))];
  }
  if (a === b) {
    const half = log ? 0.5 : Math.abs(a) * 0.1 || 1;
    a -= half;
    b += half;
  }
  const margin = (b - a) * (room || 0);
  a -= margin;
  b += margin;
  const low = fromLine(a), high = fromLine(b);
  const place = (v) => (log && !(v > 0)) || !isNumber(v) ? NaN : start + ((toLine(v) - a) / (b - a)) * (end - start);
  const within = (v) => start + Math.min(1, Math.max(0, (toLine(v) - a) / (b - a))) * (end - start);
  const reach = (v) => (isNumber(v) ? (log && v <= 0 ? start : within(v)) : NaN);
  return { place, reach, low, high, ticks: (log ? logTicks : linearTicks)(low, high, wanted) };
}
