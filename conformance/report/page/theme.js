"use strict";
// Light, dark, or as the system is; "/" goes to the search.
(() => {
  const root = document.documentElement;
  root.classList.add("script");
  const themes = ["auto", "light", "dark"];
  const button = document.querySelector("#theme");
  const setTheme = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    if (button) button.textContent = `Theme: ${theme}`;
  };
  const stored = (theme) => { // a browser may forbid storage to a page from a file
    try {
      if (theme) localStorage.setItem("netinit-theme", theme);
      return localStorage.getItem("netinit-theme");
    } catch { return null; }
  };
  const remembered = stored();
  setTheme(themes.includes(remembered) ? remembered : "auto");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length];
      setTheme(next);
      stored(next);
    });
  }
  document.addEventListener("keydown", (event) => {
    const isTyped = event.target.closest?.("input, select, textarea");
    if (event.key !== "/" || isTyped || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.querySelector("#search") ?? document.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  });
})();
