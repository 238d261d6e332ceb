async () => {
  const language = document.documentElement.lang;
  document.documentElement.dataset.theme = "light";
  for (const image of document.images) image.loading = "eager";
  for (const box of document.querySelectorAll("details.box")) box.open = true;

  // A quiz has its answers at its end.
  for (const quiz of document.querySelectorAll("section[id$=-quiz]")) {
    const answers = [];
    let last = null, number = 0;
    for (const choice of quiz.querySelectorAll("details.choice")) {
      number = choice.previousElementSibling === last && last ? number + 1 : 1;
      last = choice;
      if (choice.classList.contains("right")) answers.push(`${answers.length + 1}. ${"①②③④⑤⑥"[number - 1]}`);
    }
    if (answers.length) quiz.append(Object.assign(document.createElement("p"), {
      className: "quiz-answers", textContent: `${language === "ko" ? "정답" : "Answers"}: ${answers.join("  ")}`,
    }));
  }

  // Chromium keeps the place of an element only if something on its page links to it.
  const targets = document.createElement("div");
  targets.className = "paper-targets";
  for (const { id } of document.querySelectorAll("article [id]"))
    targets.append(Object.assign(document.createElement("a"), { href: `#${CSS.escape(id)}`, textContent: "." }));
  document.querySelector("article").append(targets);

  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map(image => image.decode().catch(() => {})));

  // The page's headings, for the outline: level, place and words.
  return [...document.querySelectorAll("article section[id] > :is(h1, h2)")].map(heading =>
    [Number(heading.tagName[1]), heading.parentElement.id, heading.innerText.replace(/#$/, "").trim()]);
}
