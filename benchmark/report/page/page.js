// The page: the metric, sections, the filter over all of them, light and dark, printing.
const CROWDED = 14; // rows that have no room for their names in half a page
const PRINTED_OPEN = 12; // rows, a sheet each; of more, those that the reader has opened

function themeChoice() {
  return choice("Colours", [["auto", "as the system"], ["light", "light"], ["dark", "dark"]], "auto", (value) => {
    if (value === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", value);
  });
}

/** The boards by each metric, the one that was asked for first; of the others only what differs is in the file. */
function boards() {
  const { label, metrics, captions, summary, rows, sections, pairs } = DATA;
  const searchOf = (index) => sections.find((one) => one.rows.includes(index)).search;
  return [{ label, metrics, captions, summary, rows, sections, pairs }, ...DATA.others.map((other) => ({
    ...other,
    rows: other.rows.map((changes, n) => ({ ...rows[n], ...changes })),
    sections: other.sections.map((section) => ({ ...section, search: searchOf(section.rows[0]) })),
  }))];
}

function metricChoice(all, show) {
  const id = freshId("metric");
  return [el("label", { for: id }, "Ranked by"),
    el("select", { id, onchange: (event) => show(all[event.target.value]) }, ...all.map(({ label }, n) => el("option", { value: n }, label)))];
}

function boardSection(section, chosen) {
  const heading = freshId("section");
  const curves = curvesPanel(section, chosen);
  const table = boardTable(section, chosen, () => curves.update());
  const node = el("section", { class: `board ${section.watermark ? "smoke" : ""}`, "aria-labelledby": heading, id: `${heading}-top` },
    el("div", { class: "board-head" }, el("h2", { id: heading }, named(section.title)), el("div", { class: "controls" }, table.all)),
    section.watermark ? el("p", { class: "watermark" }, section.watermark) : null,
    el("div", { class: "panel" }, table.node));
  if (section.watermark) node.append(curves.node);
  else node.append(el("div", { class: section.rows.length > CROWDED ? "" : "pair" }, curves.node, costPanel(section)), searchPanel(section));
  return { ...table, node, title: section.title, smoke: Boolean(section.watermark) };
}

function toolbar(parts) {
  const tiers = new Set(DATA.rows.map((row) => row.tier));
  const titles = new Set(parts);
  const words = el("input", { type: "search", placeholder: "model or tier", "aria-label": "Show only rows whose model or tier contains", value: document.querySelector(".toolbar input")?.value, oninput: () => apply() });
  const count = el("span", { class: "muted", role: "status" });
  const box = (set, value, text) => el("label", { class: "choice" },
    el("input", { type: "checkbox", checked: true, onchange: (event) => { set[event.target.checked ? "add" : "delete"](value); apply(); } }), text);
  const group = (legend, ...boxes) => el("fieldset", { class: "group" }, el("legend", {}, legend), ...boxes);
  const allTiers = [...tiers];

  function apply() {
    const wanted = words.value.trim().toLowerCase();
    const matches = (row) => tiers.has(row.tier) && row.name.toLowerCase().includes(wanted);
    let shown = 0;
    for (const part of parts) {
      part.node.hidden = !titles.has(part);
      const fits = part.filter(matches);
      shown += part.node.hidden ? 0 : fits;
    }
    count.textContent = `${shown} of ${DATA.rows.length} rows`;
  }
  apply();
  const boxes = el("div", { class: "controls" }, words,
    allTiers.length > 1 ? group("Tiers", ...allTiers.map((tier) => box(tiers, tier, named(tier)))) : null,
    parts.length > 1 ? group("Sections", ...parts.map((part) => box(titles, part, named(part.smoke ? `smoke tests: ${part.title}` : part.title)))) : null,
    count);
  return el("div", { class: "toolbar", role: "search", "aria-label": "Filter of rows" }, boxes);
}

function contents(parts, hard, sizes) {
  const entries = [
    ...parts.map((part) => [part.node.id, part.smoke ? `Smoke tests: ${part.title}` : part.title]),
    ...sizes.map((node) => [node.id, "By number of training texts"]),
    ...(hard.length ? [[hard[0].id, "What all models get wrong"]] : []), ["protocol", "How to read this page"]];
  return el("ul", {}, ...entries.map(([id, text]) => el("li", {}, el("a", { href: `#${id}` }, named(text)))));
}

/** On paper nothing can be opened: open all first, and put it back afterwards. */
function openForPrinting(shown) {
  let opened = [];
  let details = [];
  window.addEventListener("beforeprint", () => {
    const entries = shown().flatMap((part) => part.entries).filter((entry) => !entry.main.hidden);
    opened = entries.length > PRINTED_OPEN ? [] : entries.filter((entry) => !entry.isOpen());
    opened.forEach((entry) => entry.setOpen(true));
    details = [...document.querySelectorAll("details:not([open])")];
    details.forEach((node) => { node.open = true; });
    drawAll();
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((entry) => entry.setOpen(false));
    details.forEach((node) => { node.open = false; });
  });
}

/** How large a difference must be to matter, by each metric of the rows. */
function margins() {
  return [...new Set(DATA.rows.map((row) => row.metric))].map(measure).map(({ title, within }) => (within == null
    ? `no difference of ${title} is too small to matter` : `differences within ${within} are not worth talking about`));
}

function start() {
  const app = document.getElementById("app");
  const plain = document.getElementById("plain");
  const digests = [...new Set(DATA.rows.filter((row) => !row.watermark).map((row) => row.dataset_digest))];
  const hard = digests.map(hardPanel);
  hard.forEach((node) => { node.id = freshId("wrong"); });
  const sizes = sizeSections();
  const chosen = new Set(DATA.sections.flatMap((section) =>
    section.rows.filter((index) => DATA.curves[index]?.some((one) => one.loss.length > 1)).slice(0, 3)));
  let parts = [];

  function show(board) {
    const opened = parts.flatMap((part) => part.entries).filter((entry) => entry.isOpen()).map((entry) => entry.index);
    Object.assign(DATA, board);
    UNDRAWN.clear();
    parts = DATA.sections.map((section) => boardSection(section, chosen));
    const captions = el("section", { class: "board" }, el("h2", {}, "Notes"),
      el("ul", { class: "captions note" }, ...DATA.captions.map((line) => el("li", {}, named(line)))));
    const smoke = parts.filter((part) => part.smoke).map((part) => part.node);
    const real = parts.filter((part) => !part.smoke).map((part) => part.node);
    if (parts.length) app.replaceChildren(toolbar(parts), ...real, ...sizes, ...hard, ...smoke, captions);
    else app.append(el("p", { class: "empty" }, DATA.empty), ...sizes);
    parts.flatMap((part) => part.entries).filter((entry) => opened.includes(entry.index)).forEach((entry) => entry.setOpen(true));
    document.getElementById("facts").textContent = [`${whole(DATA.rows.length)} ${DATA.rows.length === 1 ? "row" : "rows"}`,
      `${Number((100 * DATA.level).toFixed(2))} % intervals`, ...margins()].join(" · ");
    document.getElementById("summary").replaceChildren(...DATA.summary.map((line) => el("p", { class: "summary" }, `${line}.`)));
    document.getElementById("contents").replaceChildren(contents(parts, hard, sizes));
  }

  const all = boards();
  show(all[0]);
  if (all.length > 1) document.getElementById("metric").append(...metricChoice(all, show));
  document.getElementById("theme").append(themeChoice());
  openForPrinting(() => parts);
  // Only now: should anything above fail, the plain tables stay.
  app.hidden = false;
  plain.remove();
}

start();
