// The table of a section: sorting, filtering, choosing rows for the curves, opening rows.

// On a phone these cells need no heading in front of them.
const NAMED_BY_LOOKS = ["rank", "model", "tier", "accuracy"];

/** Order two values; what is not known comes last, whichever way. */
function order(a, b, falling) {
  if (a == null || b == null) return (a == null) - (b == null);
  const found = typeof a === "string" ? a.localeCompare(b) : a - b;
  return falling ? -found : found;
}

function boardTable(section, chosen, onChoice) {
  const rows = section.rows.map((index) => DATA.rows[index]);
  const scale = accuracyScale(rows);
  const state = { key: "rank", falling: false, all: false };
  const columns = columnsOf(rows).filter((column) => !(section.watermark && column.key === "difference"));
  const heads = columns.map((column) => headCell(column, scale, measure(rows[0].metric), () => sortBy(column)));
  const entries = section.rows.map((index, n) => bodyRows(rows[n], index, columns, scale, chosen, onChoice));
  const body = el("tbody");
  const pickHead = el("th", { class: "pick", scope: "col" }, el("span", { class: "sr" }, "curves"));
  const table = el("table", { class: "main" },
    el("caption", { class: "sr" }, section.title), el("thead", {}, el("tr", {}, pickHead, ...heads)), body);
  const sorter = sortChoice(columns, (key) => sortBy(columns.find((column) => column.key === key)));
  const none = el("p", { class: "empty", hidden: true }, "No row matches the filter.");

  function sortBy(column, falling) {
    const fresh = state.key !== column.key;
    state.falling = falling ?? (fresh ? !column.rising && (column.number || column.key === "accuracy" || column.key === "difference") : !state.falling);
    state.key = column.key;
    columns.forEach((other, n) => {
      const way = other.key !== state.key ? "none" : state.falling ? "descending" : "ascending";
      heads[n].setAttribute("aria-sort", way);
      heads[n].querySelector(".arrow").textContent = { none: "", ascending: "↑", descending: "↓" }[way];
    });
    sorter.querySelector("select").value = state.key;
    // By rank means: as the board has them, best first.
    const byRank = column.key === "rank";
    const sorted = entries.map((entry, n) => [entry, n]).sort(([a, m], [b, n]) =>
      (byRank ? (state.falling ? n - m : m - n) : order(column.value(a.row), column.value(b.row), state.falling) || m - n));
    body.append(...sorted.flatMap(([entry]) => [entry.main, entry.more]));
  }

  function showColumns() {
    columns.forEach((column, n) => {
      const hidden = !column.basic && !state.all;
      heads[n].hidden = hidden;
      for (const entry of entries) entry.cells[n].hidden = hidden;
    });
    for (const entry of entries) entry.more.firstChild.colSpan = 1 + (state.all ? columns.length : columns.filter((column) => column.basic).length);
  }

  function filter(matches) {
    let shown = 0;
    for (const entry of entries) {
      const fits = matches(entry.row);
      shown += fits;
      entry.main.hidden = !fits;
      entry.more.hidden = !fits || !entry.isOpen();
    }
    none.hidden = shown > 0;
    return shown;
  }

  sortBy(columns[0], false);
  showColumns();
  const all = el("label", { class: "choice" },
    el("input", { type: "checkbox", onchange: (event) => { state.all = event.target.checked; showColumns(); } }), "All columns");
  const scroller = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Rows of ${section.title}` }, table);
  return { node: el("div", { class: "rows" }, sorter, scroller, none), all, filter, entries };
}

/** Name the baseline where all rows of a section have the same. */
function differenceLabel(rows, points) {
  const names = [...new Set(rows.map((row) => row.baseline).filter(Boolean))];
  return `vs ${names.length === 1 ? short(names[0], 30) : "baseline"}${points}`;
}

function headCell(column, scale, metric, onClick) {
  return el("th", { scope: "col", class: `${metric.share ? "" : "fine"} ${column.number ? "number" : ""} ${column.key === "rank" ? "rank" : ""} ${column.basic ? "" : "extra"}`, "aria-sort": "none", "data-key": column.key },
    column.key === "accuracy" && scale ? scaleTicks(scale, metric) : null,
    el("button", { type: "button", title: column.hint, onclick: onClick }, column.label, el("span", { class: "arrow", "aria-hidden": "true" })));
}

/** On a phone there are no headings to press. */
function sortChoice(columns, onChoice) {
  const id = freshId("sort");
  return el("div", { class: "controls sort-choice" },
    el("label", { for: id }, "Sort by"),
    el("select", { id, onchange: (event) => onChoice(event.target.value) },
      ...columns.map((column) => el("option", { value: column.key }, column.label))));
}

function bodyRows(row, index, columns, scale, chosen, onChoice) {
  const id = freshId("detail");
  const pane = el("td", { class: "detail" });
  const more = el("tr", { class: "more", id, hidden: true }, pane);
  const open = el("button", { type: "button", class: "open", "aria-expanded": "false", "aria-controls": id, onclick: () => setOpen(!isOpen()) },
    el("span", { class: "chevron", "aria-hidden": "true" }), named(row.model));
  const isOpen = () => open.getAttribute("aria-expanded") === "true";
  const setOpen = (wanted) => {
    open.setAttribute("aria-expanded", String(wanted));
    if (wanted && !pane.firstChild) pane.append(rowDetail(index));
    more.hidden = !wanted;
  };
  const pick = el("input", {
    type: "checkbox", "aria-label": `Show the learning curves of ${row.name}`, checked: chosen.has(index), disabled: !DATA.curves[index],
    onchange: (event) => { chosen[event.target.checked ? "add" : "delete"](index); onChoice(); },
  });
  const cells = columns.map((column) =>
    el("td", { class: `${column.number ? "number" : ""} ${column.className || ""} ${column.basic ? "" : "extra"}`, "data-label": NAMED_BY_LOOKS.includes(column.key) ? null : column.label },
      column.key === "model" ? open : column.cell(row, scale)));
  const main = el("tr", { class: "row", "data-row": index }, el("td", { class: "pick", title: "learning curves" }, pick), ...cells);
  return { row, index, main, more, cells, isOpen, setOpen, pick };
}
