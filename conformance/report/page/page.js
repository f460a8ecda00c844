"use strict";
// The page works without this: it adds filters, a panel for the chosen cell, and the keyboard.
// Nothing is built from text as HTML: what the panel shows is cloned from the notes below.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;
  root.classList.add("script");

  const engines = $$(".matrix thead th[data-engine]").map((th) => th.dataset.engine);
  const rows = $$(".matrix tr[data-id]").map((tr) => {
    const note = document.getElementById(tr.dataset.id);
    const cells = $$("td a", tr);
    cells.forEach((a, column) => Object.assign(a, { tabIndex: -1, row: tr.dataset.id, column }));
    return {
      id: tr.dataset.id, area: tr.parentElement.dataset.area, tier: tr.dataset.tier, tr, note, cells,
      text: `${tr.dataset.id} ${note.textContent}`.toLowerCase(),
    };
  });
  const rowOf = new Map(rows.map((row) => [row.id, row]));
  const panel = $("#panel"), search = $("#search"), area = $("#area"), tier = $("#tier"), form = $("#filters");
  const chips = $$("#verdicts .chip"), boxes = $$("#engines input");
  let chosen = null; // the cell that the panel shows
  let entry = null; // the one cell that Tab reaches: arrow keys move it

  // ------------------------------------------------------------------------------- theme

  const themes = ["auto", "light", "dark"];
  const themeButton = $("#theme");
  const setTheme = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
  };
  const stored = (theme) => { // a browser may forbid storage to a page from a file
    try {
      if (theme) localStorage.setItem("netinit-theme", theme);
      return localStorage.getItem("netinit-theme");
    } catch { return null; }
  };
  const remembered = stored();
  setTheme(themes.includes(remembered) ? remembered : "auto");
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length];
    setTheme(next);
    stored(next);
  });

  // ------------------------------------------------------------------------------- filters

  const isColumnShown = (column) => !boxes.length || boxes[column].checked;
  const shownCells = (row) => row.cells.filter((_, column) => isColumnShown(column));

  function matches(row, words, verdicts) {
    if (area.value && row.area !== area.value) return false;
    if (tier.value && row.tier !== tier.value) return false;
    if (!words.every((word) => row.text.includes(word))) return false;
    const seen = shownCells(row).map((a) => a.dataset.verdict);
    if (verdicts.size && !seen.some((verdict) => verdicts.has(verdict))) return false;
    return !$("#differ").checked || new Set(seen).size > 1;
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = chips.filter((chip) => chip.ariaPressed === "true");
    const verdicts = new Set(pressed.map((chip) => chip.dataset.verdict));
    let count = 0, deviating = 0;
    for (const row of rows) {
      const isShown = matches(row, words, verdicts);
      row.tr.hidden = !isShown;
      row.note.hidden = !isShown;
      count += isShown;
      deviating += isShown && !row.note.classList.contains("quiet");
      row.cells.forEach((a, column) => {
        a.parentElement.hidden = !isColumnShown(column);
        a.parentElement.classList.toggle("faded", verdicts.size > 0 && !verdicts.has(a.dataset.verdict));
      });
      for (const section of $$(".finding", row.note)) {
        section.hidden = !isColumnShown(engines.indexOf(section.dataset.engine));
      }
    }
    $$(".matrix thead th[data-engine]").forEach((th, column) => { th.hidden = !isColumnShown(column); });
    for (const body of $$(".matrix tbody")) body.hidden = !$("tr[data-id]:not([hidden])", body);
    $(".matrix").classList.toggle("show-said", $("#statements").checked);
    $("#shown").textContent = count === rows.length
      ? `${count} behaviours` : `${count} of ${rows.length} behaviours`;
    $("#nothing").hidden = count > 0;
    $("#none-left").hidden = deviating > 0;
    if (chosen && !isVisible(chosen)) close();
    if (!entry || !isVisible(entry)) setEntry(grid()[0]?.[0]);
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    chips.forEach((chip) => { chip.ariaPressed = "false"; });
    setTimeout(filter); // the fields are reset after this event
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      filter();
    });
  }

  // ------------------------------------------------------------------------------- panel

  const make = (tag, className, ...children) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  };
  const button = (className, action, ...children) => {
    const element = make("button", className, ...children);
    element.type = "button";
    element.addEventListener("click", action);
    return element;
  };
  const markOf = (a) => {
    const mark = make("span", `mark ${a.parentElement.classList[0]}`, a.textContent);
    mark.ariaHidden = "true";
    return mark;
  };

  function open(a) {
    const row = rowOf.get(a.row);
    const engine = engines[a.column];
    const meaning = a.getAttribute("aria-label");
    const section = $$(".finding", row.note).find((each) => each.dataset.engine === engine);
    const clone = section?.cloneNode(true);
    if (clone) {
      clone.hidden = false;
      $$("details", clone).forEach((details) => { details.open = true; });
    }
    const each = make("ul", "each", ...row.cells.filter((_, column) => isColumnShown(column)).map((other) => {
      const chip = button("chip", () => { open(other); $(".each [aria-current]", panel).focus(); },
        markOf(other), engines[other.column]);
      if (other === a) chip.ariaCurrent = "true";
      return make("li", "", chip);
    }));
    const title = make("h3", "", row.id);
    panel.replaceChildren(
      make("div", "head", title, button("plain", () => close(true), "Close")),
      ...$$(":scope > .statement, :scope > .source", row.note).map((p) => p.cloneNode(true)),
      each,
      clone ?? make("section", "finding", make("h4", "", markOf(a), ` ${engine}: ${meaning}`)),
    );
    panel.hidden = false;
    panel.scrollTop = 0;
    $(".work").classList.add("open");
    chosen?.removeAttribute("aria-current");
    chosen = a;
    a.setAttribute("aria-current", "true");
    setEntry(a);
    $("#told").textContent = `${engine}, ${row.id}: ${meaning}. ${a.title}`;
    history.replaceState(null, "", `#${row.id}@${engine}`);
    // in a narrow window the panel covers the lower half: the matrix has to be above it
    if (getComputedStyle(panel).position === "fixed") $("#matrix").scrollIntoView();
    else panel.scrollIntoView({ block: "nearest" });
    a.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function close(shouldFocus = false) {
    if (!chosen) return;
    const last = chosen;
    chosen.removeAttribute("aria-current");
    chosen = null;
    panel.hidden = true;
    $(".work").classList.remove("open");
    history.replaceState(null, "", "#");
    if (shouldFocus) last.focus();
  }

  $(".matrix").addEventListener("click", (event) => {
    const a = event.target.closest("td a");
    if (!a) return;
    event.preventDefault();
    if (a === chosen && event.detail === 0) panel.focus(); // Enter once more: into the panel
    else open(a);
  });

  // ------------------------------------------------------------------------------- keyboard

  const isVisible = (a) => !rowOf.get(a.row).tr.hidden && isColumnShown(a.column);
  const grid = () => rows.filter((row) => !row.tr.hidden).map(shownCells).filter((cells) => cells.length);

  function setEntry(a) {
    if (entry) entry.tabIndex = -1;
    entry = a ?? null;
    if (entry) entry.tabIndex = 0;
  }

  function target(key, isFar, cells, x, y) {
    const last = cells.length - 1, right = cells[y].length - 1;
    switch (key) {
      case "ArrowUp": return [x, Math.max(y - 1, 0)];
      case "ArrowDown": return [x, Math.min(y + 1, last)];
      case "ArrowLeft": return [Math.max(x - 1, 0), y];
      case "ArrowRight": return [Math.min(x + 1, right), y];
      case "Home": return [0, isFar ? 0 : y];
      case "End": return [right, isFar ? last : y];
      default: return null;
    }
  }

  $(".matrix").addEventListener("keydown", (event) => {
    const a = event.target.closest("td a");
    if (!a || event.altKey || event.metaKey || event.shiftKey) return;
    const cells = grid();
    const y = cells.findIndex((line) => line.includes(a));
    const to = y < 0 ? null : target(event.key, event.ctrlKey, cells, cells[y].indexOf(a), y);
    if (!to) return;
    event.preventDefault();
    const next = cells[to[1]][to[0]];
    setEntry(next);
    next.focus();
    if (chosen) open(next);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen) {
      close(true);
    } else if (event.key === "/" && !event.target.closest("input, select")) {
      event.preventDefault();
      search.focus();
    }
  });

  // ------------------------------------------------------------------------------- addresses

  // #id@engine is the address of a cell, #id of a row: its first cell that has something to tell.
  function openAddress() {
    const [id, engine] = decodeURIComponent(location.hash.slice(1)).split("@");
    const row = rowOf.get(id);
    if (!row) return;
    const a = row.cells[engines.indexOf(engine)]
      ?? row.cells.find((cell) => cell.dataset.verdict !== "pass") ?? row.cells[0];
    if (!isVisible(a)) { form.reset(); }
    setTimeout(() => { open(a); a.focus({ preventScroll: true }); });
  }
  window.addEventListener("hashchange", openAddress);
  filter();
  openAddress();
})();
