// Searches: the expected best validation accuracy by budget, and who would lead at another budget.
const UNITS = {
  trials: { title: "trials of the search", write: (value) => `${whole(Math.round(value))} ${Math.round(value) === 1 ? "trial" : "trials"}` },
  seconds: { title: "seconds of the search, logarithmic", write: (value) => `${seconds(value)} s` },
};

/** Value of a curve at a budget; null before its first and after its last point. */
function curveAt(curve, name, budget) {
  const last = curve.x.length - 1;
  if (budget < curve.x[0] || budget > curve.x[last]) return null;
  const right = curve.x.findIndex((value) => value >= budget);
  if (right === 0 || curve.x[right] === budget) return curve[name][right];
  const share = (budget - curve.x[right - 1]) / (curve.x[right] - curve.x[right - 1]);
  return curve[name][right - 1] + share * (curve[name][right] - curve[name][right - 1]);
}

/** Rows by expected best at a budget; those whose curve is not known there come last. */
function rankedAt(curves, budget, larger) {
  const entries = Object.entries(curves).map(([row, curve]) => ({
    row: Number(row), curve, mean: curveAt(curve, "mean", budget), low: curveAt(curve, "low", budget), high: curveAt(curve, "high", budget),
  }));
  return entries.sort((a, b) => order(a.mean, b.mean, larger) || a.row - b.row);
}

function searchPanel(section) {
  const search = section.search;
  const panel = el("div", { class: "panel searches" });
  const rows = Object.keys(search.trials.curves).map(Number);
  if (!rows.length) {
    panel.append(el("h3", {}, "The search at other budgets"), notRecorded("Trials of a search"));
    return panel;
  }
  const metric = measure(DATA.rows[rows[0]].optimised_for);
  const state = { unit: "trials", budget: 1, lit: null, metric };
  const host = el("div");
  const list = el("ol", { class: "ranking" });
  const output = el("output");
  const slider = el("input", { type: "range", "aria-label": "Budget of the search", oninput: () => { state.budget = budgetAt(slider.value); announce(); render(); } });
  const changes = el("div");
  const classesOf = (row) => lineClass(rows.indexOf(row));
  const curves = () => search[state.unit].curves;
  const extent = () => {
    const all = Object.values(curves()).flatMap((curve) => [curve.x[0], curve.x.at(-1)]);
    return [Math.min(...all), Math.max(...all)];
  };
  // A slider over seconds moves by equal factors.
  const budgetAt = (value) => {
    const [low, high] = extent();
    if (state.unit === "trials") return Number(value);
    return Number(value) === 0 ? low : Number(value) >= 200 ? high : low * (high / low) ** (value / 200);
  };

  const render = chart(host, 330, (root, width, height) => drawSearch(root, width, height, curves(), state, extent(), classesOf));
  const light = (row) => { state.lit = row; render(); };
  function announce() {
    const { write } = UNITS[state.unit];
    output.textContent = write(state.budget);
    slider.setAttribute("aria-valuetext", write(state.budget));
    let place = 0;
    const items = rankedAt(curves(), state.budget, metric.larger).map((entry) => rankingItem(entry, state, classesOf, entry.mean == null ? "" : (place += 1), light));
    roving(items);
    list.replaceChildren(...items);
  }
  function setUnit(unit) {
    state.unit = unit;
    const [low, high] = extent();
    const span = unit === "trials" ? [low, high] : [0, 200];
    slider.min = span[0];
    slider.max = span[1];
    slider.value = span[1];
    state.budget = budgetAt(span[1]);
    changes.replaceChildren(crossingList(search[unit].crossings, unit));
    announce();
    render();
  }
  setUnit("trials");
  const pick = choice("Budget in", [["trials", "trials"], ["seconds", "seconds"]], "trials", setUnit);
  const failed = rows.reduce((sum, row) => sum + search.counts[row][1], 0);
  panel.append(
    el("div", { class: "panel-head" }, el("h3", {}, "The search at other budgets"), el("div", { class: "controls" }, pick)),
    el("p", { class: "note" },
      `Expected best validation ${metric.title} after so many trials like these, in random order, with a band for each budget by itself. This describes the search; `
      + "test figures above come from fresh seeds. A pruned trial counts with the value it had reached, a failed one as the worst of its search"
      + (failed ? ` (${failed} failed).` : ".")),
    el("div", { class: "search" },
      el("div", {}, host, el("div", { class: "slider" }, el("span", {}, "Budget"), slider, output)),
      el("div", {}, el("h4", {}, `Expected best at this budget${metric.share ? " (%)" : ""}`), list)),
    changes);
  return panel;
}

function rankingItem(entry, state, classesOf, place, light) {
  const row = DATA.rows[entry.row];
  const first = entry.curve.x[0];
  const { amount } = state.metric;
  let figures;
  if (entry.mean != null) figures = el("span", {}, el("span", { class: "mean" }, amount(entry.mean)), " ", el("span", { class: "interval" }, between(entry.low, entry.high, amount)));
  else if (state.budget < first) figures = el("span", {}, `first trial may not be done before ${UNITS[state.unit].write(first)}`);
  else figures = el("span", {}, `stopped after ${UNITS[state.unit].write(entry.curve.x.at(-1))}: ${amount(entry.curve.mean.at(-1))}`);
  return el("li", {
    class: entry.mean == null ? "unknown" : "", "data-row": entry.row, onpointerenter: () => light(entry.row), onpointerleave: () => light(null),
    onfocus: () => light(entry.row), onblur: () => light(null),
  }, el("span", { class: "place" }, String(place)), swatch(classesOf(entry.row)), named(row.name), figures);
}

function drawSearch(root, width, height, curves, state, extent, classesOf) {
  const box = { left: 40, right: width - 12, top: 26, bottom: height - 40 };
  const wide = extent[0] < extent[1] ? extent : [extent[0] * 0.9, extent[1] * 1.1];
  const x = (state.unit === "trials" ? linear : logarithmic)(wide, [box.left + 4, box.right - 4]);
  if (state.unit === "trials") x.ticks = () => niceTicks(wide[0], wide[1], 7).filter(Number.isInteger);
  const { title, label, larger, sign, tick } = state.metric;
  const shown = rankedAt(curves, state.budget, larger);
  const lit = state.lit ?? shown[0].row;
  // Bands of early budgets are wide; the lines shall have the room.
  const fence = lowerFence(Object.values(curves).map((curve) => sign * curve.mean.at(-1)));
  const drawn = Object.values(curves).filter((curve) => sign * curve.mean.at(-1) >= fence);
  const means = drawn.flatMap((curve) => curve.mean);
  const best = larger ? Math.max(...drawn.flatMap((curve) => curve.high)) : Math.min(...drawn.flatMap((curve) => curve.low));
  const y = linear(padded([...means, best], 0.06), [box.bottom, box.top]);
  const clip = freshId("clip");
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", `Expected best validation ${title} over ${UNITS[state.unit].title}; the list gives the figures`);
  axes(root, box, x, y, {
    xTitle: UNITS[state.unit].title, yTitle: `expected best validation ${label}`,
    xText: state.unit === "trials" ? String : compact, yText: tick,
  });
  root.append(svg("clipPath", { id: clip }, svg("rect", { x: box.left, y: box.top - 4, width: box.right - box.left, height: box.bottom - box.top + 4 })));
  const banded = Object.keys(curves).length <= 3 ? Object.keys(curves).map(Number) : [lit];
  for (const [key, curve] of Object.entries(curves)) {
    const row = Number(key);
    const upper = curve.x.map((value, n) => [x(value), y(curve.high[n])]);
    const lower = curve.x.map((value, n) => [x(value), y(curve.low[n])]).reverse();
    if (banded.includes(row)) root.append(svg("path", { class: `band fill ${classesOf(row)}`, d: `${pathOf([...upper, ...lower])}z`, "clip-path": `url(#${clip})` }));
    root.append(svg("path", { class: `line stroke ${classesOf(row)} ${state.lit != null && state.lit !== row ? "fade" : ""}`, "clip-path": `url(#${clip})`, d: pathOf(curve.x.map((value, n) => [x(value), y(curve.mean[n])])) }));
    if (curve.x.length === 1) root.append(svg("circle", { class: `fill ${classesOf(row)}`, cx: x(curve.x[0]), cy: y(curve.mean[0]), r: 3, "clip-path": `url(#${clip})` }));
  }
  if (drawn.length < Object.keys(curves).length) {
    root.append(svg("text", { x: box.right, y: box.top - 9, "text-anchor": "end" }, `far ${larger ? "below" : "above"}, not drawn: ${Object.keys(curves).length - drawn.length}`));
  }
  const at = x(state.budget);
  root.append(svg("line", { class: "cursor", x1: at, x2: at, y1: box.top - 4, y2: box.bottom }));
}

function crossingList(found, unit) {
  if (!found.length) return el("p", { class: "note" }, "No two of these curves change their order at any budget that both have.");
  const remark = (one) => {
    if (one.apart_before && one.apart_after) return "yes, before and after";
    if (one.apart_after) return "only after";
    if (one.apart_before) return "only before";
    return "never: may be chance";
  };
  const line = (one) => el("tr", {},
    el("td", { class: "number" }, unit === "trials" ? one.budget.toFixed(1) : seconds(one.budget)),
    el("td", {}, named(DATA.rows[one.ahead].name), one.first_place ? el("span", { class: "muted" }, ", takes the lead") : null),
    el("td", {}, named(DATA.rows[one.behind].name)), el("td", { class: "muted" }, remark(one)));
  const summary = `${found.length} ${found.length === 1 ? "budget" : "budgets"} at which the order of two models changes`;
  const note = "Where two curves meet, their bands overlap. Reported is whether the bands separate anywhere up to the next change of the same two.";
  return el("details", { class: "changes", open: found.length <= 6 },
    el("summary", {}, summary),
    el("div", { class: "scroll crossings", tabindex: "0", role: "region", "aria-label": summary },
      el("table", {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "number" }, unit), el("th", { scope: "col" }, "ahead from there"),
          el("th", { scope: "col" }, "overtaken"), el("th", { scope: "col" }, "bands apart near it?"))),
        el("tbody", {}, ...found.map(line)))),
    el("p", { class: "note" }, note));
}
