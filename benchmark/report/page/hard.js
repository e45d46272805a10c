// Test examples that every row gets wrong.
const LONG_TEXT = 320;
const FEW_ROWS = 4;

function hardPanel(digest) {
  const examples = DATA.hard[digest] || [];
  const total = DATA.hardTotal[digest];
  const dataset = DATA.rows.find((row) => row.dataset_digest === digest)?.dataset ?? digest;
  const id = freshId("hard");
  const heading = el("h2", { id }, "What all models get wrong: ", named(dataset));
  const section = el("section", { class: "board hard-examples", "aria-labelledby": id }, heading);
  if (total == null && !examples.length) {
    section.append(notRecorded("Answers"));
    return section;
  }
  section.append(el("div", { class: "panel" },
    el("p", { class: "note" }, `Most seeds of every row give a wrong answer to ${whole(total ?? examples.length)} test examples; ${whole(examples.length)} are listed. `
      + "Rows that give the same answer to everything are left out. Some examples may have the wrong label."),
    el("ul", { class: "hard" }, ...examples.map(hardExample))));
  return section;
}

function hardExample(example) {
  const byAnswer = new Map();
  for (const [row, answer] of Object.entries(example.answers)) byAnswer.set(answer, [...(byAnswer.get(answer) || []), row]);
  const said = [...byAnswer].flatMap(([answer, rows]) => [
    el("dt", {}, "said ", el("strong", {}, named(answer))), el("dd", {}, rowNames(rows, byAnswer.size === 1)),
  ]);
  return el("li", {},
    el("div", {}, el("p", { class: "small muted" }, `test example ${example.index}`), exampleText(example.text)),
    el("div", { class: "said" }, el("p", {}, "truly ", el("strong", {}, named(example.label))), el("dl", {}, ...said)));
}

function rowNames(rows, all) {
  const names = named(rows.join(", "));
  if (rows.length <= FEW_ROWS) return names;
  return el("details", {}, el("summary", {}, all ? `all ${rows.length} rows` : `${rows.length} rows`), names);
}

function exampleText(text) {
  if (text == null) return el("p", { class: "muted" }, "text not at hand");
  const paragraph = el("p", { class: "text" }, text);
  if (text.length <= LONG_TEXT) return paragraph;
  // A cut must not split a pair of surrogates.
  const beginning = `${Array.from(text.slice(0, LONG_TEXT + 1)).slice(0, -1).join("")}…`;
  paragraph.textContent = beginning;
  const button = el("button", { type: "button", class: "more", "aria-expanded": "false", onclick: () => setOpen(button.getAttribute("aria-expanded") !== "true") }, "show all of it");
  const setOpen = (open) => {
    paragraph.textContent = open ? text : beginning;
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "show less" : "show all of it";
  };
  window.addEventListener("beforeprint", () => setOpen(true));
  return el("div", {}, paragraph, button);
}
