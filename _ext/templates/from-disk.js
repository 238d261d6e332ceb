// In the offline site: load a page's modules. A page opened straight from disk may load none, so
// there their code stands below, and an exercise says what it needs.
(() => {
const modules = document.currentScript.dataset.modules.split(" ");
if (location.protocol !== "file:") {
  for (const module of modules) import(new URL(module, document.baseURI));
  return;
}

/* modules */

const needs = {
  ko: "이 쪽을 디스크에서 바로 열어서 파이썬을 실행할 수 없습니다. 압축을 푼 폴더에서 python3 -m http.server 8000을 실행하고 http://localhost:8000/을 열면 여기에서 풀 수 있습니다.",
  en: "This page was opened straight from disk, where Python cannot run. In the unpacked folder, run python3 -m http.server 8000 and open http://localhost:8000/ to solve this here.",
}[document.documentElement.lang === "ko" ? "ko" : "en"];
for (const answer of document.querySelectorAll(".exercise-answer")) {
  answer.classList.add("is-untried");
  answer.append(Object.assign(document.createElement("p"), { textContent: needs }));
}
})();
