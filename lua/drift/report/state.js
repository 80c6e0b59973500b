// state.js: what the reader has chosen. The page can be drawn again at any time, after a change or with new data, and
// looks as it did: nothing that matters is kept in the elements themselves.
const state = {
  choice: new Map(),   // of a control, by its name
  hidden: new Set(),   // keys of series that are off: "v0", or "v0/euler" for one sampler of a variant
  open: new Set(),     // names of <details> that are open
};

const redraws = new Map(); // what draws a part of the page, by its name

function chosen(name, otherwise) { return state.choice.has(name) ? state.choice.get(name) : otherwise; }

function choose(name, value, ...parts) {
  state.choice.set(name, value);
  redraw(...parts);
}

// A part that is drawn again when a choice changes.
function part(name, draw) {
  const host = element("div", { class: "part", "data-part": name });
  const again = () => {
    const focus = document.activeElement && host.contains(document.activeElement) ? document.activeElement.id : "";
    host.replaceChildren(...[draw(host)].flat(Infinity).filter(Boolean));
    const node = focus && document.getElementById(focus);
    if (node) node.focus({ preventScroll: true });
  };
  redraws.set(name, again);
  again();
  return host;
}

function redraw(...names) {
  for (const [name, again] of redraws) if (names.length === 0 || names.includes(name)) again();
}

function visible(key) { return !state.hidden.has(key) && !state.hidden.has(key.split("/")[0]); }

function toggle(key) {
  if (visible(key)) state.hidden.add(key);
  else {
    state.hidden.delete(key);
    state.hidden.delete(key.split("/")[0]);
  }
  redraw();
}

// ---- controls: each has an id, so that the keyboard stays where it is when its part is drawn again
function checkbox(name, label, otherwise, ...parts) {
  return element("label", { class: "control" },
    element("input", { type: "checkbox", id: name, checked: chosen(name, otherwise),
      onchange: (e) => choose(name, e.target.checked, ...parts) }), label);
}

function select(name, label, options, otherwise, ...parts) {
  const now = chosen(name, otherwise);
  return element("label", { class: "control" }, label,
    element("select", { id: name, onchange: (e) => choose(name, e.target.value, ...parts) },
      options.map(([value, text]) => element("option", { value, selected: String(value) === String(now) }, text))));
}

// update is called while the slider moves; the slider itself is not drawn again then.
function slider(name, label, min, max, step, otherwise, text, update) {
  const output = element("output", { for: name }, text(chosen(name, otherwise)));
  const input = element("input", { type: "range", id: name, min, max, step, oninput: (e) => {
    state.choice.set(name, Number(e.target.value));
    output.textContent = text(Number(e.target.value));
    update(Number(e.target.value));
  } });
  input.value = chosen(name, otherwise);
  return element("label", { class: "control" }, label, input, output);
}

// Options that are called what they are
function named(values) { return values.map((v) => [v, v]); }

function controls(...children) {
  const there = children.flat(Infinity).filter(Boolean);
  return there.length ? element("div", { class: "controls" }, there) : null;
}

function foldable(name, title, ...children) {
  const keep = (e) => { if (e.target.open) state.open.add(name); else state.open.delete(name); };
  return element("details", { open: state.open.has(name), ontoggle: keep }, element("summary", {}, title), children);
}
