// number.js: numbers of axes and readouts. Those of tables come as text, written by number.lua; `written` is its text().
function isNumber(x) { return typeof x === "number" && Number.isFinite(x); }

function signed(text) { return text.replace(/^-/, "\u2212").replace(/e-/, "e\u2212").replace("e+", "e+"); }

function exponential(x, digits) {
  const [mantissa, exponent] = x.toExponential(digits).split("e");
  const power = Math.abs(Number(exponent));
  return signed(mantissa + "e" + (exponent.startsWith("-") ? "-" : "+") + String(power).padStart(2, "0"));
}

// 4 significant digits, as number.lua's text()
function written(x) {
  if (!isNumber(x)) return "\u2013";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size < 1e-4 || size >= 1e6) return exponential(x, 3);
  const places = Math.max(0, 3 - Number(x.toExponential(3).split("e")[1]));
  return signed(x.toFixed(places));
}

// A tick's label: no more digits than the tick has
function short(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e5 || size < 1e-4) return exponential(x, 2).replace(/\.?0+e/, "e");
  return signed(String(Number(x.toPrecision(6))));
}
