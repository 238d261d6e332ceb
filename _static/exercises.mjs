// Exercise cards: an editor, a row of buttons, and a Python worker that starts on the first run.
import { markSolved, memory } from "./progress.mjs";

// PyScript's own editor was tried first: a stopped worker could not be started again under the same
// name, and each editor needed a Python of its own. CodeMirror still comes from its package; the
// file names carry hashes that belong to this exact version.
const CODEMIRROR = "https://cdn.jsdelivr.net/npm/@pyscript/core@0.6.60/dist/";
const SECONDS = 15; // what one run may take once Python is loaded; a card's data-seconds overrides

const language = document.documentElement.lang === "ko" ? "ko" : "en";
const words = {
  ko: {
    loading: "파이썬을 불러오는 중입니다. 처음 한 번만 몇 초 걸립니다.",
    importing: "bnlib를 준비하는 중입니다.",
    running: "실행하는 중입니다.",
    stop: "중지",
    run: "실행",
    again: "✗ 다시",
    stopped: "실행을 멈췄습니다. 코드는 그대로 있습니다.",
    slow: seconds => `${seconds}초 안에 끝나지 않아 멈췄습니다. 끝나지 않는 반복이나 너무 오래 걸리는 계산이 있는지 살펴보세요. 코드는 그대로 있습니다.`,
    failed: "파이썬을 불러오지 못했습니다. 네트워크를 확인하고 다시 실행해 주세요.",
    crashed: "파이썬이 멈춰서 새로 시작합니다. 코드는 그대로 있습니다.",
    reset: "처음 코드로 되돌릴까요? 지금 쓴 코드는 사라집니다.",
    escape: "Esc를 누른 다음 Tab을 누르면 편집기 밖으로 나갑니다. Ctrl+Enter로 실행합니다.",
  },
  en: {
    loading: "Loading Python. The first time takes some seconds.",
    importing: "Preparing bnlib.",
    running: "Running.",
    stop: "Stop",
    run: "Run",
    again: "✗ Not yet",
    stopped: "Stopped. Your code is still here.",
    slow: seconds => `Stopped after ${seconds} seconds. Look for a loop that never ends, or a computation that takes too long. Your code is still here.`,
    failed: "Python could not be loaded. Check the network and run again.",
    crashed: "Python crashed and starts afresh. Your code is still here.",
    reset: "Go back to the first code? What you wrote will be lost.",
    escape: "Press Esc, then Tab, to leave the editor. Ctrl+Enter runs the code.",
  },
}[language];

// --- one Python worker for all cards of the page

class Python {
  #worker = null;
  #ready = null; // resolves when the worker can run code
  #reject = () => {};

  start(onStatus) {
    if (this.#ready) return this.#ready;
    const wheel = document.querySelector('meta[name="bnlib-wheel"]').content;
    const worker = new Worker(new URL("exercise-worker.mjs", import.meta.url), { type: "module" });
    this.#worker = worker;
    this.#ready = new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#listen(data => {
        if (data.status) onStatus(words[data.status]);
        if (data.ready) resolve();
      }, failure => this.stop(words.failed, "not_loaded", failure));
      worker.postMessage({ wheel: new URL(wheel, document.baseURI).href });
    });
    return this.#ready;
  }

  async run(code, seconds, onStatus) {
    await this.start(onStatus);
    onStatus(words.running);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.stop(words.slow(seconds), "timed_out"), seconds * 1000);
      const settle = finish => value => { clearTimeout(timer); finish(value); };
      const done = settle(resolve);
      this.#reject = settle(reject);
      this.#listen(data => done(data.result), failure => this.stop(words.crashed, "crashed", failure));
      this.#worker.postMessage({ code, language });
    });
  }

  // An error outside a run counts as well: what an earlier answer left behind may fail in this one.
  #listen(hear, fail) {
    this.#worker.onmessage = ({ data }) => ("failure" in data ? fail(data.failure) : hear(data));
    this.#worker.onerror = event => { event.preventDefault(); fail(event.message); };
  }

  stop(message = words.stopped, mistake = "stopped", detail = "") {
    const reject = this.#reject;
    this.#forget();
    reject(Object.assign(new Error(message), { mistake, detail }));
  }

  #forget() {
    if (!this.#worker) return;
    // A worker that died of too little memory may still report it, after its successor has begun.
    this.#worker.onmessage = this.#worker.onerror = null;
    this.#worker.terminate();
    this.#worker = this.#ready = null;
    this.#reject = () => {};
  }
}

const python = new Python();
let running = null; // the card that runs now

// CodeMirror's own colours suit a light page only: each becomes a colour of the book's style.
function colours({ HighlightStyle, defaultHighlightStyle }) {
  const named = { "#708": "keyword", "#00f": "definition", "#a11": "string", "#164": "number", "#940": "comment" };
  const specs = defaultHighlightStyle.specs.map(({ color, ...spec }) =>
    color ? { ...spec, color: `var(--code-${named[color] ?? "other"})` } : spec);
  return HighlightStyle.define(specs);
}

// Where a line is broken, it goes on a little right of its own first letter. Indentation has a meaning
// here, and at the margin the rest would look like a new statement.
function hangingIndent({ Decoration, ViewPlugin }) {
  const hang = line => {
    const indent = line.text.match(/^ */)[0].length;
    return Decoration.line({ attributes: { style: `--hang: ${indent + 2}ch` } }).range(line.from);
  };
  const hung = ({ state, visibleRanges }) => Decoration.set(visibleRanges.flatMap(({ from, to }) => {
    const [first, last] = [from, to].map(place => state.doc.lineAt(place).number);
    return Array.from({ length: last - first + 1 }, (_, i) => hang(state.doc.line(first + i)));
  }));
  return ViewPlugin.define(view => ({
    decorations: hung(view),
    update(change) {
      if (change.docChanged || change.viewportChanged) this.decorations = hung(change.view);
    },
  }), { decorations: plugin => plugin.decorations });
}

// --- a card

class Card {
  constructor(element) {
    this.element = element;
    this.id = element.dataset.exercise;
    this.editor = element.querySelector(".exercise-editor");
    this.stub = this.editor.querySelector("pre").textContent.trimEnd();
    this.answer = element.querySelector(".exercise-answer");
    this.buttons = Object.fromEntries(
      ["run", "reset", "hint", "solution"].map(n => [n, element.querySelector(`.exercise-${n}`)]));
    this.details = {
      hint: element.querySelector("details.exercise-hints"),
      solution: element.querySelector("details.exercise-solution"),
    };
    this.buttons.run.onclick = () => (running === this ? python.stop() : this.run());
    this.buttons.reset.onclick = () => this.reset();
    for (const name of ["hint", "solution"]) this.connectDetails(name);
    element.querySelector(".exercise-buttons").hidden = false;
    element.classList.add("is-live");
  }

  // The button opens and closes what a reader without JavaScript opens by its summary.
  // Each further press of "hint" shows one hint more.
  connectDetails(name) {
    const [button, details] = [this.buttons[name], this.details[name]];
    const hints = name === "hint" ? [...details.querySelectorAll("li")] : [];
    hints.forEach(hint => (hint.hidden = true));
    details.querySelector("summary").hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.onclick = () => {
      const next = hints.find(hint => hint.hidden);
      if (next) next.hidden = false;
      details.open = next ? true : !details.open;
      button.setAttribute("aria-expanded", String(details.open));
      if (details.open) (next ?? details).scrollIntoView({ block: "nearest" }); // below a long answer
    };
  }

  get seconds() { return Number(this.element.dataset.seconds ?? SECONDS); }
  get code() { return this.view ? this.view.state.doc.toString() : this.saved; }
  get saved() { return memory.get(`code:${this.id}`) ?? this.stub; }

  async openEditor() {
    this.opening ??= this.createEditor();
    return this.opening;
  }

  async createEditor() {
    const [{ EditorView, basicSetup }, { python: pythonLanguage }, { x: language }, { t: view }, commands] =
      await Promise.all([
        import(`${CODEMIRROR}codemirror-BL6UELQn.js`),
        import(`${CODEMIRROR}codemirror_lang-python-B9xSeck3.js`),
        import(`${CODEMIRROR}codemirror_language-bz5_3ooB.js`),
        import(`${CODEMIRROR}codemirror_view-qh1qPB30.js`),
        import(`${CODEMIRROR}codemirror_commands-CkvdNQxZ.js`),
      ]);
    const run = () => { this.buttons.run.click(); return true; };
    const keys = [
      { key: "Ctrl-Enter", run }, { key: "Cmd-Enter", run }, { key: "Shift-Enter", run },
      commands.indentWithTab,
    ];
    const place = document.createElement("div");
    this.view = new EditorView({
      doc: this.saved,
      parent: place,
      extensions: [
        view.keymap.of(keys),
        basicSetup,
        EditorView.lineWrapping,
        hangingIndent(view),
        language.syntaxHighlighting(colours(language)),
        pythonLanguage(),
        language.indentUnit.of("    "),
        EditorView.contentAttributes.of({
          "aria-label": this.editor.dataset.label, "aria-description": words.escape,
        }),
        EditorView.updateListener.of(update => {
          if (update.docChanged) memory.set(`code:${this.id}`, this.code);
        }),
      ],
    });
    this.editor.replaceChildren(place);
  }

  replaceCode(code) {
    const { state } = this.view;
    this.view.dispatch({ changes: { from: 0, to: state.doc.length, insert: code } });
  }

  async reset() {
    if (this.code.trimEnd() !== this.stub && !confirm(words.reset)) return;
    await this.openEditor();
    this.replaceCode(this.stub);
    memory.forget(`code:${this.id}`);
    this.show("", "");
  }

  async run() {
    if (running) return;
    running = this;
    this.buttons.run.textContent = words.stop;
    this.element.classList.add("is-running");
    const started = performance.now();
    try {
      const result = await python.run(this.code, this.seconds, status => this.show("status", status));
      this.show(result.state, "", result.html, result.printed);
      this.element.dataset.mistake = result.mistake ?? "";
      if (result.state === "passed") markSolved(this.id);
    } catch (error) {
      this.show("wrong", error.message, "", escaped(error.detail ?? ""));
      this.element.dataset.mistake = error.mistake;
      if (error.mistake !== "not_loaded") python.start(() => {}).catch(() => {}); // for the next run
    } finally {
      running = null;
      this.buttons.run.textContent = words.run;
      this.element.classList.remove("is-running");
      this.element.dataset.milliseconds = Math.round(performance.now() - started);
    }
  }

  // `html` and `printed` come from bnlib.exercises.page, which escapes what the reader wrote.
  show(state, message, html = "", printed = "") {
    this.element.dataset.state = state;
    this.answer.className = `exercise-answer is-${state || "empty"}`;
    this.answer.innerHTML = html;
    if (message) {
      const paragraph = document.createElement("p");
      if (state === "wrong") paragraph.append(Object.assign(document.createElement("strong"),
        { className: "check-verdict", textContent: words.again }), " ");
      paragraph.append(message);
      this.answer.append(paragraph);
    }
    if (printed) {
      const output = document.createElement("pre");
      output.className = "exercise-printed";
      output.innerHTML = printed;
      this.answer.prepend(output);
    }
  }
}

function escaped(text) {
  return Object.assign(document.createElement("p"), { textContent: text }).innerHTML;
}

const cards = new Map([...document.querySelectorAll(".exercise")].map(e => [e, new Card(e)]));

// The editor is fetched when its card comes near the screen; Python not before the first run.
const observer = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    observer.unobserve(entry.target);
    // Without a network the stub stays readable; Run says what is missing.
    cards.get(entry.target).openEditor().catch(() => {});
  }
}, { rootMargin: "1500px" });
for (const element of cards.keys()) observer.observe(element);
