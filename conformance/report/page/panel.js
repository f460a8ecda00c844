"use strict";
// What the page of a run does with a chosen cell: a panel tells of it. Nothing is built from text
// as HTML: what the panel shows is cloned from the notes below the matrix.
(() => {
  const { $, $$, engines, rows, rowOf } = matrix;
  const panel = $("#panel");
  let chosen = null; // the cell that the panel shows

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
    const shown = row.cells.filter((_, column) => matrix.isColumnShown(column));
    const each = make("ul", "each", ...shown.map((other) => {
      const chip = button("chip", () => { open(other); $(".each [aria-current]", panel).focus(); },
        markOf(other), engines[other.column]);
      if (other === a) chip.ariaCurrent = "true";
      return make("li", "", chip);
    }));
    panel.replaceChildren(
      make("div", "head", make("h3", "", row.id), button("plain", () => close(true), "Close")),
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
    matrix.setEntry(a);
    $("#told").textContent = `${engine}, ${row.id}: ${meaning}. ${a.title}`;
    history.replaceState(null, "", `#${row.id}@${engine}`);
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
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen) close(true);
  });

  matrix.onOpen = open;
  matrix.onMove = (a) => { if (chosen) open(a); };
  matrix.onFilter = () => {
    let deviating = 0;
    for (const row of rows) {
      row.note.hidden = row.tr.hidden;
      deviating += !row.tr.hidden && !row.note.classList.contains("quiet");
      for (const section of $$(".finding", row.note)) {
        section.hidden = !matrix.isColumnShown(engines.indexOf(section.dataset.engine));
      }
    }
    $("#none-left").hidden = deviating > 0;
    if (chosen && !matrix.isVisible(chosen)) close();
  };
  matrix.start();
})();
