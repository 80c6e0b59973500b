// live.js: a page that is served while cells run asks for data.json every two seconds, and draws what is new. While a
// slider is held or a control is open, it waits.
let held = false;

function watch() {
  let last = "", busy = false;
  const note = (text) => { const at = document.getElementById("live"); if (at) at.textContent = text; };
  window.addEventListener("pointerdown", () => { held = true; });
  for (const name of ["pointerup", "pointercancel", "blur"]) window.addEventListener(name, () => { held = false; });
  async function ask() {
    if (busy || held || document.hidden || (document.activeElement && document.activeElement.tagName === "SELECT")) return;
    busy = true;
    try {
      const answer = await fetch("data.json", { cache: "no-store" });
      const text = await answer.text();
      if (answer.status === 503) throw new Error(JSON.parse(text).waiting || "no news yet");
      if (!answer.ok) throw new Error(`the server says ${answer.status}`);
      if (text !== last && !held) {
        const data = JSON.parse(text);
        drawPage(data);
        last = text;
      }
      note(`live, read at ${new Date().toLocaleTimeString()}`);
    } catch (e) {
      note(`not live: ${e.message}`);
    }
    busy = false;
  }
  setInterval(ask, 2000);
  ask();
}

if (document.body.dataset.live === "true") watch();
