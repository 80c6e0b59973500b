// trajectory.js: the way from noise to pictures, all variants in step.
let playing = null, trajectoryAsked = 0;

function stopPlaying() {
  clearInterval(playing);
  playing = null;
}

async function trajectoryFigure(data, sprite, frame) {
  const at = Math.min(frame, sprite.frames - 1), pixels = await decode(sprite.uri), t = list(sprite.t)[at];
  const canvas = element("canvas", { class: "pictures pixels", id: `trajectory-${sprite.variant}`, role: "img",
    style: `width:${shownWidth(sprite.width, 56) * sprite.n}px`,
    "aria-label": `${labelOf(data, sprite)} at frame ${at + 1} of ${sprite.frames}` });
  lay(canvas, pixels, sprite, upTo(sprite.n).map((k) => at * sprite.n + k), sprite.n);
  const time = element("span", { class: "interval" }, isNumber(t) ? ` t = ${short(Number(t.toPrecision(3)))}` : "");
  return element("figure", { class: "sample" },
    element("figcaption", {}, variantSwatch(sprite.variant), labelOf(data, sprite), time),
    element("div", { class: "frame" }, canvas));
}

function trajectoryPart(data, trajectories, start) {
  return part("trajectory-frames", (host) => {
    const asked = ++trajectoryAsked, frame = chosen("trajectory-frame", start);
    const shown = ofSeed(trajectories, "trajectory-seed");
    if (shown.length === 0) return missing("No variant that is switched on has a trajectory of this seed.");
    Promise.all(shown.map((s) => trajectoryFigure(data, s, frame))).then((figures) => {
      if (asked !== trajectoryAsked) return;
      const width = Math.max(...shown.map((s) => shownWidth(s.width, 56) * s.n + 4), 200);
      arrived(host, asked, element("div", { class: "trajectories", style: `--sample:${width}px` }, figures));
    }).catch((e) => host.replaceChildren(missing(e.message)));
    return [...host.childNodes];
  });
}

function trajectorySection(data) {
  const trajectories = list(data.trajectories);
  if (trajectories.length === 0) return section("trajectories", "Sampling trajectories", missing("No trajectories were kept."));
  const last = Math.max(...trajectories.map((t) => t.frames)) - 1;
  const text = (frame) => `${frame + 1} of ${last + 1}`;
  const frames = slider("trajectory-frame", "frame", 0, last, 1, last, text, () => redraw("trajectory-frames"));
  const input = frames.querySelector("input");
  const play = element("button", { type: "button", id: "trajectory-play", onclick: () => {
    if (playing) stopPlaying();
    else {
      if (Number(input.value) >= last) input.value = -1;
      playing = setInterval(() => {
        if (!input.isConnected || Number(input.value) >= last) { stopPlaying(); play.textContent = "play"; return; }
        input.value = Number(input.value) + 1;
        input.dispatchEvent(new Event("input"));
      }, 180);
    }
    play.textContent = playing ? "stop" : "play";
  } }, "play");
  return section("trajectories", "Sampling trajectories",
    element("figure", {}, controls(seedChoice("trajectory-seed", trajectories, "trajectory-frames"), frames, play),
      trajectoryPart(data, trajectories, last),
      caption("Figure", "From noise to pictures, all variants in step: a column starts from the same noise in each.")));
}
