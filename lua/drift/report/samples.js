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
  const text = element("figcaption", {}, variantSwatch(sprite.variant), data.variants[sprite.variant].label, note);
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
  choose("samples-picked", number === null || number === now ? null : Math.min(most - 1, Math.max(0, number)), "samples-grid");
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
  const rows = Math.ceil(sprite.n / sprite.columns), row = Math.floor(number / sprite.columns), column = number % sprite.columns;
  return element("span", { class: "picked", style: `left:${(100 * column) / sprite.columns}%;top:${(100 * row) / rows}%;width:${100 / sprite.columns}%;height:${100 / rows}%` });
}

function sampleWidth(sprite) { return shownWidth(sprite.width, 28) * sprite.columns + sprite.columns - 1; }

async function sampleFigure(data, sprite, against, gain) {
  const shown = await shownPixels(sprite, against, gain), picked = chosen("samples-picked", null);
  const difference = against && against !== sprite && !shown.unlike;
  const what = difference ? `differences of ${data.variants[sprite.variant].label} from ${data.variants[against.variant].label}` : `samples of ${data.variants[sprite.variant].label}`;
  const canvas = element("canvas", { class: "pictures pixels", id: `samples-${sprite.variant}`, style: `width:${sampleWidth(sprite)}px`, role: "img", tabindex: 0, "aria-label": `${sprite.n} ${what}, seed ${sprite.seed}` });
  lay(canvas, shown.pixels, sprite, upTo(sprite.n), sprite.columns);
  samplePicker(canvas, sprite);
  return element("figure", { class: "sample" }, sampleCaption(data, sprite, difference ? shown : null),
    element("div", { class: "frame" }, canvas, picked !== null && picked < sprite.n ? outline(canvas, sprite, picked) : null),
    shown.unlike ? element("p", { class: "missing" }, "Pictures of another size: no difference to show.") : null);
}

// The picked picture of every variant, large
async function pickedRow(data, sprites, against, gain) {
  const picked = chosen("samples-picked", null);
  if (picked === null) return element("p", { class: "hint" }, "Click a picture to see it large in every variant.");
  const label = sprites.length && list(sprites[0].labels)[picked];
  const cells = await Promise.all(sprites.filter((s) => picked < s.n).map(async (sprite) => {
    const canvas = element("canvas", { class: "large", role: "img", "aria-label": `picture ${picked + 1} of ${data.variants[sprite.variant].label}` });
    lay(canvas, (await shownPixels(sprite, against, gain)).pixels, sprite, [picked], 1);
    return element("figure", {}, canvas, element("figcaption", {}, data.variants[sprite.variant].label));
  }));
  return element("div", { class: "picked-row" },
    element("p", { class: "hint" }, `Picture ${picked + 1}${isNumber(label) ? `, class ${label}` : ""} `,
      element("button", { type: "button", id: "samples-unpick", onclick: () => pick(null, 1) }, "close")), element("div", { class: "row" }, cells));
}

// Drawing is asynchronous (pictures are decoded): what is asked for last is what is shown.
let samplesAsked = 0;

function samplesPart(data, samples) {
  return part("samples-grid", (host) => {
    const asked = ++samplesAsked, shown = ofSeed(samples, "samples-seed"), view = chosen("samples-view", "pictures"), gain = Number(chosen("samples-gain", 4));
    const against = view === "pictures" ? null : samples.find((s) => s.seed === Number(chosen("samples-seed", seedsOf(samples)[0])) && String(s.variant) === view);
    if (view !== "pictures" && !against) return element("p", { class: "missing" }, "That variant has no samples of this seed.");
    if (shown.length === 0) return element("p", { class: "missing" }, "No variant that is switched on has samples of this seed.");
    Promise.all([Promise.all(shown.map((s) => sampleFigure(data, s, against, gain))), pickedRow(data, shown, against, gain)]).then(([figures, row]) => {
      if (asked !== samplesAsked) return;
      const focus = document.activeElement && host.contains(document.activeElement) ? document.activeElement.id : "";
      arrived(host, asked, element("div", { class: "samples", style: `--sample:${Math.max(310, ...shown.map((s) => sampleWidth(s) + 4))}px` }, figures), row);
      if (focus && document.getElementById(focus)) document.getElementById(focus).focus({ preventScroll: true });
    }).catch((e) => host.replaceChildren(element("p", { class: "missing" }, e.message)));
    return [...host.childNodes];
  });
}

function samplesSection(data) {
  const samples = list(data.samples);
  if (samples.length === 0) return element("section", { id: "samples" }, element("h2", {}, "Samples"), element("p", { class: "missing" }, "No samples were kept."));
  const views = [["pictures", "pictures"], ...data.variants.map((v, k) => [String(k), `|a \u2212 b|, b = ${v.label}`])];
  const order = [views[0], views[1 + data.baseline], ...views.slice(1).filter((_, k) => k !== data.baseline)];
  const first = samples[0], more = first.total > first.n ? ` The first ${first.n} of ${first.total} are shown.` : "";
  return element("section", { id: "samples" }, element("h2", {}, "Samples"),
    element("figure", {},
      controls(seedChoice("samples-seed", samples, "samples-grid"),
        data.variants.length > 1 ? select("samples-view", "show", order, "pictures", "samples-grid") : null,
        data.variants.length > 1 ? select("samples-gain", "differences \u00d7", [1, 2, 4, 8].map((g) => [g, g]), 4, "samples-grid") : null),
      samplesPart(data, samples),
      caption("Figure", `Samples; the picture at one place starts from the same noise (and class) in every variant.${more}`)));
}
