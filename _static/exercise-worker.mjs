// Python for the page's exercises, in a worker so that an endless loop cannot freeze the page.
// Messages in: {wheel} once, then {code, language}. Messages out: {status}, {ready}, {result}, {failure}.
import { loadPyodide } from "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/pyodide.mjs";

let runCell;

async function start(wheel) {
  postMessage({ status: "loading" });
  const [pyodide, archive] = await Promise.all([
    loadPyodide({ packages: ["numpy"] }),
    fetch(wheel).then(response => {
      if (!response.ok) throw new Error(`${wheel}: ${response.status}`);
      return response.arrayBuffer();
    }),
  ]);
  postMessage({ status: "importing" });
  pyodide.unpackArchive(archive, "wheel");
  runCell = pyodide.pyimport("bnlib.exercises.page").run_cell;
  postMessage({ ready: true });
}

function run(code, language) {
  const answer = runCell(code, language);
  const result = answer.toJs({ dict_converter: Object.fromEntries });
  answer.destroy();
  postMessage({ result });
}

onmessage = async ({ data }) => {
  try {
    if (data.wheel) await start(data.wheel);
    else run(data.code, data.language);
  } catch (error) {
    postMessage({ failure: String(error?.message ?? error) });
  }
};
