"use strict";
// Filters and keyboard of the matrix, and the addresses of its rows and cells: #id and #id@engine.
// The page is complete without it. What a page does with the chosen cell is in `matrix.onOpen`.
const matrix = (() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const table = $(".matrix"), form = $("#filters");
  const engines = $$("thead th[data-engine]", table).map((th) => th.dataset.engine);
  const rows = $$("tr[data-id]", table).map((tr) => {
    const cells = $$("td a", tr);
    cells.forEach((a, column) => Object.assign(a, { tabIndex: -1, row: tr.dataset.id, column }));
    const also = (tr.dataset.also ?? "").split(" ").filter(Boolean);
    const note = document.getElementById(tr.dataset.id);
    const told = note && note !== tr ? [note.textContent] : cells.map((a) => a.title);
    return {
      id: tr.dataset.id, also, area: tr.parentElement.dataset.area, tier: tr.dataset.tier,
      tr, note, cells,
      text: [...also, $("th", tr).textContent, ...told].join(" ").toLowerCase(),
    };
  });
  const rowOf = new Map(rows.flatMap((row) => [row.id, ...row.also].map((id) => [id, row])));
  const search = $("#search"), area = $("#area"), tier = $("#tier"), differ = $("#differ");
  const chips = $$("#verdicts .chip"), boxes = $$("#engines input");
  let entry = null; // the one cell that Tab reaches: arrow keys move it

  const self = {
    $, $$, engines, rows, rowOf,
    onOpen: null, // (cell) => void: the address names a cell
    onMove: null, // (cell) => void: an arrow key went to a cell
    onFilter: null, // () => void: other rows or columns are shown
    isColumnShown: (column) => !boxes.length || boxes[column].checked,
    isVisible: (a) => !rowOf.get(a.row).tr.hidden && self.isColumnShown(a.column),
    setEntry(a) {
      if (entry) entry.tabIndex = -1;
      entry = a ?? null;
      if (entry) entry.tabIndex = 0;
    },
    start() {
      filter();
      openAddress();
      window.addEventListener("hashchange", openAddress);
    },
  };

  // ------------------------------------------------------------------------------- filters

  const shownCells = (row) => row.cells.filter((_, column) => self.isColumnShown(column));
  const grid = () => rows.filter((row) => !row.tr.hidden).map(shownCells).filter((cells) => cells.length);

  const isBelow = (id, prefix) => prefix.endsWith(".") && id.startsWith(prefix);

  function matches(row, words, verdicts) {
    if (area.value && row.area !== area.value && !isBelow(row.id, area.value)) return false;
    if (tier.value && row.tier !== tier.value) return false;
    if (!words.every((word) => row.text.includes(word))) return false;
    const seen = shownCells(row).map((a) => a.dataset.verdict);
    if (verdicts.size && !seen.some((verdict) => verdicts.has(verdict))) return false;
    return !differ?.checked || new Set(seen).size > 1;
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = chips.filter((chip) => chip.ariaPressed === "true");
    const verdicts = new Set(pressed.map((chip) => chip.dataset.verdict));
    let count = 0;
    for (const row of rows) {
      row.tr.hidden = !matches(row, words, verdicts);
      count += !row.tr.hidden;
      row.cells.forEach((a, column) => {
        a.parentElement.hidden = !self.isColumnShown(column);
        a.parentElement.classList.toggle("faded", verdicts.size > 0 && !verdicts.has(a.dataset.verdict));
      });
    }
    $$("thead th[data-engine]", table).forEach((th, column) => { th.hidden = !self.isColumnShown(column); });
    for (const body of $$("tbody", table)) body.hidden = !$("tr[data-id]:not([hidden])", body);
    const columns = boxes.length ? boxes.filter((box) => box.checked).length : engines.length;
    table.style.setProperty("--engines", Math.max(columns, 1));
    table.classList.toggle("terse", !$("#statements").checked);
    $("#shown").textContent = count === rows.length
      ? `${count} behaviours` : `${count} of ${rows.length} behaviours`;
    $("#nothing").hidden = count > 0;
    if (!entry || !self.isVisible(entry)) self.setEntry(grid()[0]?.[0]);
    self.onFilter?.();
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
  const asked = new URLSearchParams(location.search); // ?q=WORDS, ?area=AREA
  if (asked.get("q")) search.value = asked.get("q");
  if (asked.get("area")) area.value = asked.get("area");

  // ------------------------------------------------------------------------------- keyboard

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

  table.addEventListener("keydown", (event) => {
    const a = event.target.closest("td a");
    if (!a || event.altKey || event.metaKey || event.shiftKey) return;
    const cells = grid();
    const y = cells.findIndex((line) => line.includes(a));
    const to = y < 0 ? null : target(event.key, event.ctrlKey, cells, cells[y].indexOf(a), y);
    if (!to) return;
    event.preventDefault();
    const next = cells[to[1]][to[0]];
    self.setEntry(next);
    next.focus();
    self.onMove?.(next);
  });

  // ------------------------------------------------------------------------------- addresses

  // A row is its first cell that has something to tell.
  function openAddress() {
    let address = location.hash.slice(1);
    try { address = decodeURIComponent(address); } catch { /* as it stands */ }
    const [id, engine] = address.split("@");
    const row = rowOf.get(id);
    if (!row) return;
    const a = row.cells[engines.indexOf(engine)]
      ?? row.cells.find((cell) => cell.dataset.verdict !== "pass") ?? row.cells[0];
    if (!self.isVisible(a)) form.reset();
    setTimeout(() => {
      $$("tr.target", table).forEach((tr) => tr.classList.remove("target"));
      row.tr.classList.add("target");
      self.setEntry(a);
      self.onOpen?.(a);
      a.focus({ preventScroll: true });
      row.tr.scrollIntoView({ block: "center" });
    });
  }
  return self;
})();
