// A term's definition covers the lines below it: Escape puts it away until the next term.
addEventListener("keydown", ({ key }) => {
  if (key === "Escape") document.querySelector("a.term:is(:hover, :focus-visible, .is-shown)")?.classList.add("is-quiet");
});
for (const type of ["pointerout", "focusout"]) {
  addEventListener(type, ({ target }) => target.classList?.remove("is-quiet"));
}
// Where nothing hovers, the first touch of a term shows its definition, and the second follows it.
addEventListener("click", event => {
  const term = event.target.closest("a.term");
  for (const shown of document.querySelectorAll("a.term.is-shown")) {
    if (shown !== term) shown.classList.remove("is-shown");
  }
  if (!term || term.classList.contains("is-shown") || matchMedia("(hover: hover)").matches) return;
  event.preventDefault();
  term.classList.add("is-shown");
});
