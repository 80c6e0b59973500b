// samples.js: pictures from the same noise, variant beside variant; or how far each is from another variant's. One
// picture can be picked: it is then shown large, of all variants.
function seedsOf(pictures) { return [...new Set(pictures.map((p) => p.seed))].sort((a, b) => a - b); }

function seedChoice(name, pictures, ...parts) {
  const seeds = seedsOf(pictures);
  return seeds.length > 1 ? select(name, "seed", seeds.map((s) => [s, s]), seeds[0], ...parts) : null;
}

function ofSeed(pictures, name) {
  const seed = Number(chosen(name, seedsOf(pictures)[0]));
  return pictures.filter((p) => p.seed === seed && visible(`v${p.variant}`)).sort((a, b) => a.variant - b.variant);
}

function sampleCaption(data, sprite, difference) {
  const note = element("span", { class: "interval" });
  const text = element("figcaption", {}, variantSwatch(sprite.variant), labelOf(data, sprite), note);
  if (difference) note.textContent = ` mean |a\u2212b| ${written(difference.mean)}`;
  return text;
}

// What is shown of a sprite: its pixels, or its difference from another's
async function shownPixels(sprite, against, gain) {
  const own = await decode(sprite.uri);
  if (!against || against === sprite) return { pixels: own };
  const other = await decode(against.uri);
  if (other.width !== own.width || other.height !== own.height) return { pixels: own, unlike: true };
  return absoluteDifference(own, other, gain);
}

function pick(number, most) {
  const now = chosen("samples-picked", null);
  const off = number === null || number === now;
  choose("samples-picked", off ? null : Math.min(most - 1, Math.max(0, number)), "samples-grid");
}

function samplePicker(canvas, sprite) {
  canvas.addEventListener("click", (e) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((e.clientX - box.left) / box.width) * sprite.columns);
    const row = Math.floor(((e.clientY - box.top) / box.height) * Math.ceil(sprite.n / sprite.columns));
    if (row * sprite.columns + column < sprite.n) pick(row * sprite.columns + column, sprite.n);
  });
  canvas.addEventListener("keydown", (e) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -sprite.columns, ArrowDown: sprite.columns }[e.key];
    if (e.key === "Escape") pick(null, sprite.n);
    else if (by !== undefined) pick((chosen("samples-picked", null) ?? -by) + by, sprite.n);
    else return;
    e.preventDefault();
  });
}

function outline(canvas, sprite, number) {
  const rows = Math.ceil(sprite.n / sprite.columns), width = 100 / sprite.columns, height = 100 / rows;
  const left = (number % sprite.columns) * width, top = Math.floor(number / sprite.columns) * height;
  return element("span", { class: "picked", style: `left:${left}%;top:${top}%;width:${width}%;height:${height}%` });
}

function sampleWidth(sprite) { return shownWidth(sprite.width, 28) * sprite.columns + sprite.columns - 1; }

async function sampleFigure(data, sprite, against, gain) {
  const shown = await shownPixels(sprite, against, gain), picked = chosen("samples-picked", null);
  const difference = against && against !== sprite && !shown.unlike;
  const what = difference ? `differences of ${labelOf(data, sprite)} from ${labelOf(data, against)}`
    : `samples of ${labelOf(data, sprite)}`;
  const canvas = element("canvas", { class: "pictures pixels", id: `samples-${sprite.variant}`, role: "img", tabindex: 0,
    style: `width:${sampleWidth(sprite)}px`, "aria-label": `${sprite.n} ${what}, seed ${sprite.seed}` });
  lay(canvas, shown.pixels, sprite, upTo(sprite.n), sprite.columns);
  samplePicker(canvas, sprite);
  return element("figure", { class: "sample" }, sampleCaption(data, sprite, difference ? shown : null),
    element("div", { class: "frame" }, canvas, picked !== null && picked < sprite.n ? outline(canvas, sprite, picked) : null),
    shown.unlike ? missing("Pictures of another size: no difference to show.") : null);
}

// The picked picture of every variant, large
async function pickedRow(data, sprites, against, gain) {
  const picked = chosen("samples-picked", null);
  if (picked === null) return element("p", { class: "hint" }, "Click a picture to see it large in every variant.");
  const label = sprites.length && list(sprites[0].labels)[picked];
  const cells = await Promise.all(sprites.filter((s) => picked < s.n).map(async (sprite) => {
    const name = `picture ${picked + 1} of ${labelOf(data, sprite)}`;
    const canvas = element("canvas", { class: "large", role: "img", "aria-label": name });
    lay(canvas, (await shownPixels(sprite, against, gain)).pixels, sprite, [picked], 1);
    return element("figure", {}, canvas, element("figcaption", {}, labelOf(data, sprite)));
  }));
  return element("div", { class: "picked-row" },
    element("p", { class: "hint" }, `Picture ${picked + 1}${isNumber(label) ? `, class ${label}` : ""} `,
      element("button", { type: "button", id: "samples-unpick", onclick: () => pick(null, 1) }, "close")),
    element("div", { class: "row" }, cells));
}

// Drawing is asynchronous (pictures are decoded): what is asked for last is what is shown.
let samplesAsked = 0;

function samplesPart(data, samples) {
  return part("samples-grid", (host) => {
    const asked = ++samplesAsked, seed = Number(chosen("samples-seed", seedsOf(samples)[0]));
    const shown = ofSeed(samples, "samples-seed"), view = chosen("samples-view", "pictures");
    const gain = Number(chosen("samples-gain", 4));
    const against = samples.find((s) => s.seed === seed && String(s.variant) === view);
    if (view !== "pictures" && !against) return missing("That variant has no samples of this seed.");
    if (shown.length === 0) return missing("No variant that is switched on has samples of this seed.");
    const figures = shown.map((s) => sampleFigure(data, s, against, gain));
    Promise.all([pickedRow(data, shown, against, gain), ...figures]).then(([row, ...drawnOnes]) => {
      if (asked !== samplesAsked) return;
      const column = Math.max(310, ...shown.map((s) => sampleWidth(s) + 4));
      const focus = document.activeElement && host.contains(document.activeElement) ? document.activeElement.id : "";
      arrived(host, asked, element("div", { class: "samples", style: `--sample:${column}px` }, drawnOnes), row);
      if (focus && document.getElementById(focus)) document.getElementById(focus).focus({ preventScroll: true });
    }).catch((e) => host.replaceChildren(missing(e.message)));
    return [...host.childNodes];
  });
}

function samplesSection(data) {
  const samples = list(data.samples);
  if (samples.length === 0) return section("samples", "Samples", missing("No samples were kept."));
  const views = [["pictures", "pictures"], ...data.variants.map((v, k) => [String(k), `|a \u2212 b|, b = ${v.label}`])];
  const order = [views[0], views[1 + data.baseline], ...views.slice(1).filter((_, k) => k !== data.baseline)];
  const first = samples[0], more = first.total > first.n ? ` The first ${first.n} of ${first.total} are shown.` : "";
  return section("samples", "Samples",
    element("figure", {},
      controls(seedChoice("samples-seed", samples, "samples-grid"),
        data.variants.length > 1 ? select("samples-view", "show", order, "pictures", "samples-grid") : null,
        data.variants.length > 1
          ? select("samples-gain", "differences \u00d7", named([1, 2, 4, 8]), 4, "samples-grid") : null),
      samplesPart(data, samples),
      caption("Figure", `Samples; the picture at one place starts from the same noise (and class) in every variant.${more}`)));
}
