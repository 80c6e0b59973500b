// theme.js: light or dark: as the system says, until the button is used; paper is always light.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
let wish = null; // "light", "dark", or null: the system's

function applyTheme(theme) { document.documentElement.dataset.theme = theme || wish || (dark.matches ? "dark" : "light"); }

function themeButton() {
  return element("button", { type: "button", id: "theme", class: "quiet", onclick: () => {
    wish = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    applyTheme();
  } }, "light / dark");
}

dark.addEventListener("change", () => applyTheme());
window.addEventListener("beforeprint", () => applyTheme("light"));
window.addEventListener("afterprint", () => applyTheme());
applyTheme();
