// The metric against cost, with the rows that no cheaper one beats.
const COSTS = {
  train_seconds_median: ["seconds of a run", "median seconds of a final run, logarithmic", (value) => `${seconds(value)} s`],
  search_seconds: ["seconds of the search", "seconds of all trials of the search, logarithmic", (value) => `${seconds(value)} s`],
  predict_ms: ["ms to predict a text", "milliseconds to predict a text, one by one, logarithmic", (value) => `${seconds(value)} ms`],
  parameters: ["parameters", "parameters, logarithmic", compact],
};

/** Rows that no other row beats without costing more; cheapest first. */
function paretoFront(items) {
  const sorted = [...items].sort((a, b) => a.cost - b.cost || b.merit - a.merit);
  let best = -Infinity;
  return sorted.filter((item) => {
    const better = item.merit > best;
    best = Math.max(best, item.merit);
    return better;
  });
}

/** Whether costs are of one machine; parameters are the same everywhere. */
function comparable(items, key) {
  return key === "parameters" || new Set(items.map((item) => item.row.machine).filter(Boolean)).size < 2;
}

function costPanel(section) {
  const rows = section.rows.map((index) => DATA.rows[index]);
  const range = accuracyRange(rows);
  const metric = measure(rows[0].metric);
  let key = "train_seconds_median";
  const host = el("div");
  const note = el("p", { class: "note" });
  // Of a cost of 0 there is no logarithm: published defaults need no search.
  const items = () => rows.filter((row) => row.test_mean != null && row[key] > 0)
    .map((row) => ({ row, cost: row[key], merit: metric.sign * row.test_mean }));

  const render = chart(host, 360, (root, width, height) => drawCost(root, width, height, items(), range, key, metric));
  const describeNote = () => {
    const left = rows.length - items().length;
    note.textContent = (comparable(items(), key) ? "Dotted: the rows that no cheaper one beats by its mean." : "Costs are of different machines.") + " Whiskers: interval over seeds. Hollow: seeds missing, or too few for an interval."
      + (left ? ` Not drawn, without a cost or a mean: ${left}.` : "");
  };
  const select = el("select", { "aria-label": "Cost", onchange: (event) => { key = event.target.value; describeNote(); render(); } },
    ...Object.entries(COSTS).filter(([name]) => name === key || rows.some((row) => row[name] > 0)).map(([value, [text]]) => el("option", { value }, text)));
  describeNote();
  const kinds = [...new Set(rows.map((row) => row.tier))];
  return el("div", { class: "panel cost" },
    el("div", { class: "panel-head" }, el("h3", {}, `${capital(metric.title)} against cost`), el("div", { class: "controls" }, select)),
    range ? host : notRecorded(capital(metric.title)),
    el("ul", { class: "legend" }, ...kinds.map((tier) => el("li", {}, tierMark(tier), named(tier)))), note);
}

function drawCost(root, width, height, items, range, key, metric) {
  if (!items.length) {
    root.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "not recorded"));
    return;
  }
  const [, title, write] = COSTS[key];
  const box = { left: 40, right: width - 14, top: 26, bottom: height - 40 };
  const costs = items.map((item) => item.cost);
  const x = logarithmic([Math.min(...costs) / 1.6, Math.max(...costs) * 1.8], [box.left, box.right]);
  const y = linear(range, [box.bottom, box.top]);
  axes(root, box, x, y, { xTitle: title, yTitle: `test ${metric.label}`, xText: compact, yText: metric.tick });
  for (const item of items) {
    item.x = x(item.cost);
    item.below = item.row.test_mean < range[0] || item.row.test_mean > range[1];
    item.y = !item.below ? y(item.row.test_mean) : metric.larger ? box.bottom - 7 : box.top + 7;
    const hasWhiskers = !item.below && item.row.test_ci_low != null;
    item.top = hasWhiskers ? y(item.row.test_ci_high) : item.y;
    item.bottom = hasWhiskers ? y(item.row.test_ci_low) : item.y;
  }
  const front = comparable(items, key) ? paretoFront(items) : [];
  root.append(svg("path", { class: "front", d: pathOf(front.filter((item) => !item.below).flatMap((item, n, all) => (n ? [[item.x, all[n - 1].y], [item.x, item.y]] : [[item.x, item.y]]))) }));
  const order = [...items].sort((a, b) => a.cost - b.cost);
  const marks = order.map((item) => costMark(item, front.includes(item), write, metric));
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `Test ${metric.title} against ${title}; arrow keys move among rows`);
  placeLabels(root, items, front, box);
  root.append(...marks);
  roving(marks);
}

function costMark(item, onFront, write, { amount, unit, larger }) {
  const { row } = item;
  const kind = kindOf(row.tier);
  const mark = svg("g", { class: `mark t-${kind}`, role: "img" });
  if (item.below) {
    mark.append(svg("path", { class: "fill", d: larger ? `M${item.x - 5},${item.y - 5}h10l-5,9z` : `M${item.x - 5},${item.y + 5}h10l-5,-9z` }));
  } else {
    const whole = row.n_seeds === row.seeds_expected && row.test_ci_low != null;
    if (row.test_ci_low != null) {
      mark.append(svg("line", { class: "stroke", "stroke-width": 1.5, x1: item.x, x2: item.x, y1: item.bottom, y2: item.top }));
    }
    mark.append(svg("path", { class: whole ? "fill" : "hollow", d: SHAPES[kind](item.x, item.y, 5) }));
  }
  mark.append(svg("circle", { class: "ring", cx: item.x, cy: item.y, r: 10 }));
  const lines = [row.name, `${amount(row.test_mean)}${unit} ${between(row.test_ci_low, row.test_ci_high, amount)}`, write(item.cost)];
  if (onFront) lines.push(`no cheaper row has a ${larger ? "higher" : "lower"} mean`);
  if (item.below) lines.push(`${larger ? "below" : "above"} the range of the drawing`);
  describe(mark, lines);
  return mark;
}

/** Write names where they cover neither marks nor each other, those of the front first; the rest have tooltips. */
function placeLabels(root, items, front, box) {
  const taken = items.flatMap((item) => [
    { left: item.x - 7, right: item.x + 7, top: item.y - 7, bottom: item.y + 7 },
    { left: item.x - 1, right: item.x + 1, top: item.top, bottom: item.bottom }]);
  const free = (spot) => spot.left >= box.left && spot.right <= box.right + 10 && spot.top >= box.top - 4 && spot.bottom <= box.bottom
    && !taken.some((other) => spot.left < other.right && spot.right > other.left && spot.top < other.bottom && spot.bottom > other.top);
  const queue = [...front, ...items.filter((item) => !front.includes(item)).sort((a, b) => b.merit - a.merit)];
  for (const item of queue) {
    const text = short(item.row.name, 22);
    const size = 6.3 * text.length;
    const spots = [[10, 4, "start"], [-10, 4, "end"], [8, -11, "start"], [8, 19, "start"], [-8, -11, "end"], [-8, 19, "end"]];
    for (const [dx, dy, anchor] of spots) {
      const left = anchor === "start" ? item.x + dx : item.x + dx - size;
      const spot = { left, right: left + size, top: item.y + dy - 11, bottom: item.y + dy + 3 };
      if (!free(spot)) continue;
      taken.push(spot);
      root.append(svg("text", { class: `label halo ${front.includes(item) ? "strong" : ""}`, x: item.x + dx, y: item.y + dy, "text-anchor": anchor, "aria-hidden": "true" }, text));
      break;
    }
  }
}
