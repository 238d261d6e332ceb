// What every page needs: a language switch that keeps the place, and sliders for everyone.

import "./progress.mjs";

// --- the language switch

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

// --- explorables

// html-manager asks MathJax 3 for version 2's queue, and no label of ours holds a formula.
// MathJax replaces its global object while it loads, so ask again when the page is complete.
function addQueue() { if (window.MathJax) window.MathJax.Hub ??= { Queue() {} }; }
addQueue();
addEventListener("load", addQueue, { capture: true });

// Two changes of a slider within one frame of the screen reach a view that is already gone, and
// ipywidgets' handler does not look.
// (Before require.js is loaded, `require` is its configuration.)
if (typeof window.require === "function") window.require(["@jupyter-widgets/base"], base => {
  for (const { prototype } of [base.JupyterLuminoWidget, base.JupyterLuminoPanelWidget]) {
    const process = prototype.processMessage;
    prototype.processMessage = function (message) { if (this._view) process.call(this, message); };
  }
});

// ipywidgets gives a slider's handle no name and an index for a value, and a picture no
// description. Widgets appear some time after the page, so each is completed when it does.
function completeExplorables() {
  for (const control of document.querySelectorAll(".explorable-control:not([data-complete])")) {
    const handle = control.querySelector(".noUi-handle");
    const readout = control.querySelector(".widget-readout");
    const label = control.querySelector(".explorable-label");
    if (!handle || !readout || !label?.innerText) continue;
    control.dataset.complete = "";
    readout.contentEditable = "false";
    handle.setAttribute("aria-label", label.innerText.trim());
    const tellValue = () => handle.setAttribute("aria-valuetext", readout.textContent);
    new MutationObserver(tellValue).observe(readout, { childList: true, characterData: true, subtree: true });
    tellValue();
  }
  for (const picture of document.querySelectorAll(".explorable img:not([alt])")) {
    picture.alt = picture.closest("figure")?.querySelector(".explorable-alt")?.textContent ?? "";
  }
}

if (document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]')) {
  new MutationObserver(completeExplorables).observe(document.body, { childList: true, subtree: true });
  completeExplorables();
}
