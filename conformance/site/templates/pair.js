"use strict";
// Leaves only the differences that hold every word.
(() => {
  const only = document.querySelector("#only");
  if (!only) return;
  const all = [...document.querySelectorAll(".compared-one")].map((article) => ({
    article,
    // a reason that many share stands once, above them
    text: `${article.textContent} ${article.closest(".compared-cause")?.querySelector("h3").textContent}`.toLowerCase(),
  }));
  only.addEventListener("input", () => {
    const words = only.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { article, text } of all) {
      article.hidden = !words.every((word) => text.includes(word));
      count += !article.hidden;
    }
    for (const section of document.querySelectorAll(".compared-section, .compared-cause")) {
      section.hidden = !section.querySelector(".compared-one:not([hidden])");
    }
    document.querySelector("#only-count").textContent = words.length ? `${count} of ${all.length}` : "";
  });
})();
