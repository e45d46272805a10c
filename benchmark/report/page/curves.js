// Learning curves: of the seeds of one row, and of chosen rows together.

/** Draw lines, each {values, classes, label}, over epochs. */
function drawCurves(root, width, height, lines, yTitle, title, right) {
  const values = lines.flatMap((line) => line.values).filter((value) => value != null);
  const epochs = Math.max(0, ...lines.map((line) => line.values.length));
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", `${title}, ${lines.length} lines over ${epochs} epochs`);
  if (!values.length) {
    root.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "not recorded"));
    return;
  }
  const isLoss = yTitle.endsWith("loss");
  const box = { left: 40, right: width - right, top: 24, bottom: height - 38 };
  const x = linear([1, Math.max(2, epochs)], [box.left + 4, box.right - 4]);
  x.ticks = () => [...new Set(niceTicks(1, epochs, 6).concat(1, epochs > 8 ? [] : [epochs]).filter((tick) => tick >= 1 && Number.isInteger(tick)))];
  const y = linear(padded(values, 0.05), [box.bottom, box.top]);
  axes(root, box, x, y, {
    xTitle: "epoch", yTitle: yTitle + (isLoss ? "" : " (%)"),
    xText: String, yText: (value) => (isLoss ? String(value) : String(Number((100 * value).toFixed(2)))),
  });
  const labels = [];
  for (const line of lines) {
    const pairs = line.values.map((value, n) => [x(n + 1), value == null ? null : y(value)]);
    root.append(svg("path", { class: `line stroke ${line.classes}`, d: pathOf(pairs) }));
    const last = pairs.filter(([, at]) => at != null).at(-1);
    if (last && pairs.length === 1) root.append(svg("circle", { class: `fill ${line.classes}`, cx: last[0], cy: last[1], r: 3 }));
    if (last && line.label) labels.push({ x: last[0] + 6, y: last[1], text: line.label, classes: line.classes });
  }
  spread(labels, 13, box.top, box.bottom);
  for (const label of labels) {
    root.append(svg("text", { class: "label halo", x: Math.min(label.x, box.right + 4), y: label.y + 4 }, short(label.text, 22)));
  }
}

/** Curves of the chosen rows of a section, one line for each seed. */
function curvesPanel(section, chosen) {
  let metric = "val_accuracy";
  const host = el("div");
  const legend = el("ul", { class: "legend" });
  const empty = el("p", { class: "empty", hidden: true });
  const any = section.rows.some((index) => DATA.curves[index]?.length);
  const classesOf = (index) => lineClass(section.rows.indexOf(index));
  const picked = () => section.rows.filter((index) => chosen.has(index) && DATA.curves[index]);

  const render = chart(host, 330, (root, width, height) => {
    const lines = picked().flatMap((index) => {
      const seeds = DATA.curves[index];
      const longest = seeds.reduce((best, one, n) => (one[metric].length > seeds[best][metric].length ? n : best), 0);
      return seeds.map((one, n) => ({
        values: one[metric], classes: `${classesOf(index)} thin`, label: width > 520 && n === longest ? DATA.rows[index].name : "",
      }));
    });
    drawCurves(root, width, height, lines, METRICS.find(([key]) => key === metric)[1], "Learning curves of chosen rows", width > 520 ? 150 : 12);
  });
  const update = () => {
    const rows = picked();
    empty.hidden = rows.length > 0;
    empty.textContent = any ? "Choose rows by the boxes at the left of the table." : "Learning curves: not recorded";
    host.hidden = !rows.length;
    legend.replaceChildren(...rows.map((index) => el("li", {}, swatch(classesOf(index)), named(DATA.rows[index].name))));
    render();
  };
  const select = el("select", { "aria-label": "Metric of the learning curves", onchange: (event) => { metric = event.target.value; render(); } },
    ...METRICS.map(([key, text]) => el("option", { value: key }, text)));
  update();
  const node = el("div", { class: "panel curves" },
    el("div", { class: "panel-head" }, el("h3", {}, "Learning curves"), any ? el("div", { class: "controls" }, select) : null),
    host, empty, legend, el("p", { class: "note" }, "One line for each seed of the rows that are ticked in the table."));
  return { node, update };
}
