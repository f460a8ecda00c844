"use strict";
// Leaves only the differences that hold every word.
(() => {
  const only = document.querySelector("#only");
  if (!only) return;
  const all = [...document.querySelectorAll(".difference")].map((article) => ({
    article, text: article.textContent.toLowerCase(),
  }));
  only.addEventListener("input", () => {
    const words = only.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { article, text } of all) {
      article.hidden = !words.every((word) => text.includes(word));
      count += !article.hidden;
    }
    for (const section of document.querySelectorAll(".concern")) {
      section.hidden = !section.querySelector(".difference:not([hidden])");
    }
    document.querySelector("#only-count").textContent = words.length ? `${count} of ${all.length}` : "";
  });
})();
