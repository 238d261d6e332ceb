// A term's definition covers the lines below it: Escape puts it away until the next term.
addEventListener("keydown", ({ key }) => {
  if (key === "Escape") document.querySelector("a.term:is(:hover, :focus-visible)")?.classList.add("is-quiet");
});
for (const type of ["pointerout", "focusout"]) {
  addEventListener(type, ({ target }) => target.classList?.remove("is-quiet"));
}
