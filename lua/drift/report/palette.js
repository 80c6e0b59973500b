// palette.js: how a variant looks: a colour that the colour-blind tell apart (Okabe and Ito 2008, without yellow; the
// values are in page.css, one set for light and one for dark), and a dash and a marker, which need no colour at all.
const COLOURS = 7;
const DASHES = ["", "7 3", "2 2.5", "9 3 2 3", "13 4", "4 2 1 2"];
const MARKERS = ["circle", "square", "triangle", "diamond", "down", "cross"];

function colourOf(index) { return `var(--series-${index % COLOURS})`; }
function dashOf(index) { return DASHES[index % DASHES.length]; }

// Where markers tell samplers apart: hollow for variants from the second round of colours on
function markOf(sampler, variant) { return (sampler % MARKERS.length) + MARKERS.length * Math.floor(variant / COLOURS); }

// A marker of radius r at (x, y)
function marker(index, x, y, r, colour) {
  const step = ([dx, dy], k) => `${k ? "L" : "M"}${(x + dx * r).toFixed(2)} ${(y + dy * r).toFixed(2)}`;
  const at = (...points) => points.map(step).join("") + "Z";
  const shapes = {
    circle: `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
    square: at([-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]),
    triangle: at([0, -1.15], [1.1, 0.85], [-1.1, 0.85]),
    diamond: at([0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]),
    down: at([0, 1.15], [1.1, -0.85], [-1.1, -0.85]),
    cross: at([-1.1, -0.4], [-0.4, -0.4], [-0.4, -1.1], [0.4, -1.1], [0.4, -0.4], [1.1, -0.4], [1.1, 0.4], [0.4, 0.4],
      [0.4, 1.1], [-0.4, 1.1], [-0.4, 0.4], [-1.1, 0.4]),
  };
  const hollow = Math.floor(index / MARKERS.length) % 2 === 1;
  return drawn("path", { d: shapes[MARKERS[index % MARKERS.length]], fill: hollow ? "var(--paper)" : colour, stroke: colour,
    "stroke-width": 1.2 });
}

// The sample of a line in a legend or a table
function swatch(colour, dash, mark) {
  return drawn("svg", { class: "swatch", width: 30, height: 12, viewBox: "0 0 30 12", "aria-hidden": "true" },
    drawn("line", { x1: 1, x2: 29, y1: 6, y2: 6, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }),
    mark === undefined ? null : marker(mark, 15, 6, 3.6, colour));
}

function variantSwatch(index) { return swatch(colourOf(index), dashOf(index), index); }
