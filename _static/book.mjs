// What every page needs: a language switch that keeps the place, and names for the sliders.

// html-manager asks MathJax 3 for version 2's queue, and no label of ours holds a formula.
// MathJax replaces its global object while it loads, so ask again when the page is complete.
function addQueue() { if (window.MathJax) window.MathJax.Hub ??= { Queue() {} }; }
addQueue();
addEventListener("load", addQueue, { capture: true });

for (const link of document.querySelectorAll(".language-switch a")) {
  const keepPlace = () => {
    link.hash = location.hash || currentSection();
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

