// What every page needs: progress, and a language switch that keeps the place.

import "./progress.mjs";

// --- the language switch

for (const link of document.querySelectorAll(".language-switch a")) {
  const keepPlace = () => {
    link.hash = location.hash || currentSection();
    link.search = location.search;
    try { localStorage.setItem("bnlib:language", link.hreflang); } catch {}
  };
  link.addEventListener("click", keepPlace);
  link.addEventListener("auxclick", keepPlace);
}

// The last section whose heading has passed the top of the window.
function currentSection() {
  const passed = [...document.querySelectorAll("main section[id]")]
    .filter(section => section.getBoundingClientRect().top < 120);
  return passed.length > 1 ? `#${passed.at(-1).id}` : "";
}

// --- what scrolls sideways can be reached by keyboard: the theme looks for it when the window is
// resized, and so misses what opens later

const reachable = new ResizeObserver(entries => {
  for (const { target } of entries) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});
for (const code of document.querySelectorAll("article pre")) reachable.observe(code);

// --- paper is white

let theme;
addEventListener("beforeprint", () => {
  theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => { document.documentElement.dataset.theme = theme; });
