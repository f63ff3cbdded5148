// What the search page of the built docs shows, by the program that it runs itself.
//
//     node tools/search_docs.js FOLDER 'delayed job' nginx
//
// Prints a line for each search: a JSON list of [page, title, anchor], best first.

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [folder, ...searches] = process.argv.slice(2);
const nothing = { children: [], textContent: "", addEventListener() {} };
const context = {
  URLSearchParams,
  SPHINX_HIGHLIGHT_ENABLED: false,
  _ready() {},
  _: (text) => text,
  console,
  document: { getElementById: () => nothing, addEventListener() {}, readyState: "complete" },
  localStorage: { setItem() {} },
};
context.window = context;
vm.createContext(context);
for (const file of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"]) {
  const text = fs.readFileSync(path.join(folder, file), "utf-8");
  // What a script declares with const is not a property of the context.
  vm.runInContext(text.replace(/^const (Search|stopwords|splitQuery) = /gm, "var $1 = "), context);
}
for (const words of searches) {
  context.words = words;
  const found = vm.runInContext("Search._performSearch(...Search._parseQuery(words))", context);
  // The page takes them from the end.
  console.log(JSON.stringify(found.reverse().map(([page, title, anchor]) => [page, title, anchor])));
}
