// What a reader has solved and written: kept by the browser, drawn in the sidebar and in the table
// of contents, exported and imported as a file. Korean and English pages share it.

const language = document.documentElement.lang === "ko" ? "ko" : "en";
const words = {
  ko: {
    title: "연습 진도",
    of: (solved, all) => `${all}개 가운데 ${solved}개를 풀었습니다.`,
    solved: "풀었음",
    save: "내보내기",
    load: "가져오기",
    loaded: n => `가져왔습니다. 새로 풀린 연습 ${n}개.`,
    kept: n => ` 이 브라우저에 이미 쓴 코드 ${n}개는 그대로 두었습니다.`,
    broken: "진도 파일이 아니어서 가져오지 않았습니다. 달라진 것은 없습니다.",
  },
  en: {
    title: "Exercises",
    of: (solved, all) => `${solved} of ${all} solved.`,
    solved: "solved",
    save: "Export",
    load: "Import",
    loaded: n => `Imported. Newly solved: ${n}.`,
    kept: n => ` The code already written in this browser was kept for ${n}.`,
    broken: "Not a progress file, so nothing was imported and nothing has changed.",
  },
}[language];

// --- what the browser remembers; it may refuse to

export const memory = {
  get(key) { try { return localStorage.getItem(`bnlib:${key}`); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(`bnlib:${key}`, value); } catch {} },
  forget(key) { try { localStorage.removeItem(`bnlib:${key}`); } catch {} },
  keys(prefix) {
    try {
      return Object.keys(localStorage).filter(key => key.startsWith(`bnlib:${prefix}`))
        .map(key => key.slice(`bnlib:${prefix}`.length)).sort();
    } catch { return []; }
  },
};

export function markSolved(id) {
  memory.set(`solved:${id}`, "yes");
  draw();
}

// --- drawing

// {chapter's page: [its exercises' ids]}, written by exercise_cells.py
const chapters = JSON.parse(document.getElementById("bnlib-exercises")?.textContent ?? "{}");
const isSolved = id => memory.get(`solved:${id}`) !== null;

function draw() {
  for (const id of Object.values(chapters).flat()) {
    for (const link of document.querySelectorAll(`a.nav-link[href="#ex-${id}"]`)) {
      link.classList.toggle("is-solved", isSolved(id));
      link.title = isSolved(id) ? words.solved : "";
    }
    document.getElementById(`ex-${id}`)?.classList.toggle("is-solved", isSolved(id));
  }
  for (const link of document.querySelectorAll(".bd-sidebar-primary a.reference.internal, .chapter-map a")) {
    const page = new URL(link.href).pathname;
    const name = Object.keys(chapters).find(name => page.endsWith(`/${name}.html`));
    if (!name) continue;
    const solved = chapters[name].filter(isSolved).length;
    link.dataset.progress = `${solved}/${chapters[name].length}`;
    link.classList.toggle("is-solved", solved === chapters[name].length);
  }
  const all = Object.values(chapters).flat();
  const solved = all.filter(isSolved).length;
  for (const box of document.querySelectorAll(".progress-box")) {
    box.hidden = all.length === 0;
    Object.assign(box.querySelector("progress"), { value: solved, max: all.length });
    box.querySelector(".progress-text").textContent = words.of(solved, all.length);
  }
}

// --- export and import: {"version": 1, "solved": [ids], "code": {id: text}}

export function exported() {
  const code = Object.fromEntries(memory.keys("code:").map(id => [id, memory.get(`code:${id}`)]));
  return { version: 1, solved: memory.keys("solved:"), code };
}

function isProgress(data) {
  return data?.version === 1 && Array.isArray(data.solved)
    && data.solved.every(id => typeof id === "string")
    && Object.prototype.toString.call(data.code) === "[object Object]"
    && Object.values(data.code).every(text => typeof text === "string");
}

// Adds to what is here and overwrites nothing.
function add(data) {
  const fresh = data.solved.filter(id => !isSolved(id));
  for (const id of fresh) memory.set(`solved:${id}`, "yes");
  let kept = 0;
  for (const [id, text] of Object.entries(data.code)) {
    const here = memory.get(`code:${id}`);
    if (here === null) memory.set(`code:${id}`, text);
    else if (here !== text) kept += 1;
  }
  return words.loaded(fresh.length) + (kept ? words.kept(kept) : "");
}

function save() {
  const blob = new Blob([JSON.stringify(exported(), null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "bnlib-progress.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

async function load(input, note) {
  const [file] = input.files;
  if (!file) return;
  let data = null;
  try { data = JSON.parse(await file.text()); } catch {}
  note.textContent = isProgress(data) ? add(data) : words.broken;
  input.value = "";
  draw();
}

for (const box of document.querySelectorAll(".progress-box")) {
  const find = name => box.querySelector(name);
  box.setAttribute("aria-label", words.title);
  find(".progress-title").textContent = words.title;
  find("progress").setAttribute("aria-label", words.title);
  find(".progress-save").textContent = words.save;
  find(".progress-load").textContent = words.load;
  find(".progress-save").onclick = save;
  find(".progress-load").onclick = () => find("input").click();
  find("input").onchange = event => load(event.target, find(".progress-note"));
}
addEventListener("storage", draw); // another tab solved something
draw();
