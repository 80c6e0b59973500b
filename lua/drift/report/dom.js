// dom.js: elements. Text always goes in as text nodes: nothing from the data is ever parsed as HTML.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

function element(tag, attributes, ...children) { return fill(document.createElement(tag), attributes, children); }

function drawn(tag, attributes, ...children) { return fill(document.createElementNS(SVG, tag), attributes, children); }

// A part of the page under a title
function section(id, title, ...children) { return element("section", { id }, element("h2", {}, title), children); }

// A line in the place of what is not there
function missing(text) { return element("p", { class: "missing" }, text); }

// Lua writes an empty list as {}.
function list(value) { return Array.isArray(value) ? value : []; }
