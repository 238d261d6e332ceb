// The book's search: sections ranked by BM25, in the reader's language, as the reader types.
//
// A Hangul word is looked up by its syllable pairs, after its ending is dropped: 정규화를, 정규화는
// and 배치정규화 all share 정규 and 규화. A Latin word is looked up by its stem. The text is fetched
// by the first search. No module, so that it also works on a page opened straight from disk.

const bookSearch = (() => {
  const language = document.documentElement.lang === "ko" ? "ko" : "en";
  const words = {
    ko: {
      found: n => (n ? `${n}곳을 찾았습니다.` : "찾은 곳이 없습니다. 더 짧은 낱말로 찾아 보세요."),
      failed: "찾을 글을 불러오지 못했습니다. 네트워크를 확인해 주세요.",
    },
    en: {
      found: n => (n ? `${n} found.` : "Nothing found. Try a shorter word."),
      failed: "The text to search could not be loaded. Check the network.",
    },
  }[language];
  const SHOWN = 12;
  // BM25's usual saturation and length weights. A word in a title counts as several in the text.
  const [K1, B, IN_TITLE, IN_INDEX, IN_PAGE_TITLE, IN_OPENING, PAGE, PAGE_K1, HELD, IN_APPENDIX] =
    [1.2, 0.6, 4, 4, 5, 2, 1.5, 6, 0.5, 0.6];
  const ASIDE = /-(next|quiz)$/; // these speak of other chapters, and of what is not so
  const APPENDIX = /^chapters\/9/; // these name what chapters explain

  // --- words and what they are looked up by

  const WORD = /[가-힣]+|(?:(?![가-힣])[\p{L}\p{N}])+/gu;
  // Particles and the commonest verb endings, the longest first by their place in the word.
  const ENDING = new RegExp("(?<=[가-힣]{2})(?:으로부터|에서는|으로는|이라는|이라고|이라면|에게서|하려면|합니까|입니다|" +
    "합니다|습니다|됩니다|입니까|습니까|하면|되면|하고|하는|해서|하기|한다|할까|될까|인가|일까|라는|라고|에서|에게|에는|" +
    "에도|으로|로는|부터|까지|보다|처럼|마다|이나|이란|란|은|는|이|가|을|를|의|에|와|과|도|만|로|나|요|면|던|지|고)$");
  const GREEK = { α: "alpha", β: "beta", γ: "gamma", ε: "epsilon", η: "eta", λ: "lambda", μ: "mu", σ: "sigma" };
  // Letters and English words in Hangul, and what this book writes for them.
  const LOANWORDS = { 노멀라이제이션: "정규화", 노말라이제이션: "정규화", 배치놈: "배치정규화", 레귤러라이제이션: "규제",
    그래디언트: "기울기", 그레이디언트: "기울기", 그라디언트: "기울기", 백프로파게이션: "역전파", 컨볼루션: "합성곱",
    레이어: "층", 러닝레이트: "학습률", "러닝 레이트": "학습률", 웨이트: "가중치", 디케이: "감쇠", 바이어스: "편향",
    오버피팅: "과적합", 인퍼런스: "추론", 트레이닝: "학습", 피처: "특성", 피쳐: "특성", 모멘텀: "momentum",
    감마: "gamma", 베타: "beta", 엡실론: "epsilon", 람다: "lambda", 시그마: "sigma" };
  const LOANWORD = new RegExp(Object.keys(LOANWORDS).join("|"), "g");
  const COMMON = new Set(["무엇", "어떻", "어떤", "하나", "있을", "있나", "때", "것", "수", "왜", "할", "한", "그", "이"]);

  function keys(word) {
    if (GREEK[word]) return [GREEK[word]];
    if (/[가-힣]/.test(word)) {
      const stem = word.replace(ENDING, "");
      if (COMMON.has(stem)) return [];
      if (stem.length < 3) return [stem];
      return [...[...stem].slice(1).map((syllable, i) => stem[i] + syllable), stem];
    }
    const plain = word.toLowerCase();
    if (stopwords.includes(plain)) return [];
    return [/^[a-z]{3,}$/.test(plain) ? stemmer.stemWord(plain) : plain];
  }

  let stemmer;
  const known = new Map();
  const wordsOf = text =>
    text.normalize("NFKC").replace(LOANWORD, loan => LOANWORDS[loan]).match(WORD) ?? [];
  function keysOf(text) {
    return wordsOf(text).flatMap(word => {
      if (!known.has(word)) known.set(word, keys(word));
      return known.get(word);
    });
  }

  // --- the index

  const mean = numbers => numbers.reduce((a, b) => a + b, 0) / numbers.length;

  function counted(...weighted) {
    const counts = new Map();
    for (const [text, weight] of weighted)
      for (const key of keysOf(text)) counts.set(key, (counts.get(key) ?? 0) + weight);
    return counts;
  }

  // Documents with their counts -> a function that scores document number i for the keys of a query.
  function ranking(documents, saturation) {
    const lengths = documents.map(counts => [...counts.values()].reduce((a, b) => a + b, 0));
    const usual = mean(lengths);
    const holders = new Map();
    for (const counts of documents)
      for (const key of counts.keys()) holders.set(key, (holders.get(key) ?? 0) + 1);
    const rarity = key => Math.log(1 + (documents.length - holders.get(key) + 0.5) / (holders.get(key) + 0.5));
    return (i, query) => query.reduce((sum, key) => {
      const count = documents[i].get(key);
      if (!count) return sum;
      return sum + rarity(key) * count * (saturation + 1) / (count + saturation * (1 - B + B * lengths[i] / usual));
    }, 0);
  }

  let sections, scoreSection, scorePage;
  function index() {
    stemmer = new Stemmer();
    sections = bookText.flatMap((page, pageNumber) => page.sections.map(([id, title, text, terms], i) => ({
      page: pageNumber, title, text, terms,
      chapter: `${page.number ? `${page.number}. ` : ""}${page.sections[0][1]}`,
      address: i ? `${page.address}#${id}` : page.address,
      titleKeys: new Set(keysOf(`${title} ${terms}`)),
    })));
    scoreSection = ranking(sections.map(section => counted(
      [section.title, IN_TITLE], [section.terms, IN_INDEX], [section.text, 1],
      [bookText[section.page].sections[0][1], 1])), K1);
    scorePage = ranking(bookText.map(page => counted(
      ...page.sections.filter(([id]) => !ASIDE.test(id))
        .map(([, title, text, terms], i) => [`${title} ${terms} ${text}`, i ? 1 : IN_OPENING]),
      [page.sections[0]?.[1] ?? "", IN_PAGE_TITLE])), PAGE_K1);
  }

  // The best sections first. Each word of the query counts once, however many keys it has. A section
  // of a page that is about the query comes before a stray one, and one that holds it all first.
  function search(query) {
    const asked = wordsOf(query).map(word => [...new Set(keysOf(word))]).filter(keys => keys.length);
    const total = (score, i) => asked.map(keys => score(i, keys) / Math.sqrt(keys.length));
    const pages = bookText.map((_, i) => total(scorePage, i).reduce((a, b) => a + b, 0));
    return sections.map((section, i) => {
      const scores = total(scoreSection, i);
      const held = mean(scores.map(score => Number(score > 0)));
      const sum = scores.reduce((a, b) => a + b, 0) * (ASIDE.test(section.address) ? 0.5 : 1);
      const inTitle = mean(asked.map(keys => mean(keys.map(key => Number(section.titleKeys.has(key))))));
      const weight = (HELD + held + inTitle) * (APPENDIX.test(section.address) ? IN_APPENDIX : 1);
      return { ...section, score: held && (sum + PAGE * pages[section.page]) * weight };
    }).filter(section => section.score > 0).sort((a, b) => b.score - a.score);
  }

  // --- what a result shows: the piece of text that holds most of the query, with its words marked

  function snippet(text, query) {
    const asked = new Set(keysOf(query));
    const hits = [...text.matchAll(WORD)].filter(([word]) => keysOf(word).some(key => asked.has(key)));
    const width = language === "ko" ? 90 : 170;
    const held = hits.map(hit => new Set(hits
      .filter(other => other.index >= hit.index && other.index < hit.index + width)
      .flatMap(([word]) => keysOf(word).filter(key => asked.has(key)))).size);
    const best = hits[held.indexOf(Math.max(...held))]?.index ?? 0;
    const start = best < 30 ? 0 : text.lastIndexOf(" ", best - 15) + 1;
    const end = start + width < text.length ? text.lastIndexOf(" ", start + width) : text.length;
    const paragraph = document.createElement("p");
    let at = start;
    if (start) paragraph.append("… ");
    for (const { 0: word, index } of hits) {
      if (index < start || index + word.length > end) continue;
      paragraph.append(text.slice(at, index), Object.assign(document.createElement("mark"), { textContent: word }));
      at = index + word.length;
    }
    paragraph.append(text.slice(at, end), end < text.length ? " …" : "");
    return paragraph;
  }

  function item(result, root, query) {
    const [entry, link] = [document.createElement("li"), document.createElement("a")];
    link.href = root + result.address;
    link.textContent = result.title;
    entry.append(link);
    if (result.chapter.replace(/^[\d.]+ /, "") !== result.title)
      entry.append(Object.assign(document.createElement("span"), { textContent: result.chapter }));
    else link.textContent = result.chapter;
    entry.append(snippet(result.text, query));
    return entry;
  }

  // --- the forms: one in a dialog on every page, one on the search page

  const load = address => new Promise((resolve, reject) => document.head.append(
    Object.assign(document.createElement("script"), { src: address, onload: resolve, onerror: reject })));
  let loading;
  function ready(root) {
    loading ??= Promise.all([load(`${root}search-text.js`), load(`${root}_static/language_data.js`)])
      .then(index, error => { loading = null; throw error; });
    return loading;
  }

  for (const form of document.querySelectorAll("form.bd-search")) {
    const [input, answer] = [form.querySelector("input"), form.querySelector(".search-answer")];
    const [status, list] = answer.children;
    const show = async () => {
      const query = input.value.trim();
      try {
        await ready(answer.dataset.root);
      } catch {
        status.textContent = words.failed;
        return;
      }
      if (query !== input.value.trim()) return; // typed on while the text was loading
      const results = query ? search(query) : [];
      status.textContent = query ? words.found(results.length) : "";
      list.replaceChildren(...results.slice(0, SHOWN).map(r => item(r, answer.dataset.root, query)));
    };
    input.addEventListener("focus", () => ready(answer.dataset.root).catch(() => {}), { once: true });
    input.addEventListener("input", show);
    if (!form.closest("dialog")) {
      input.value = new URLSearchParams(location.search).get("q") ?? "";
      input.focus();
      show();
    }
  }

  return async (query, root) => { await ready(root); return search(query); };
})();
