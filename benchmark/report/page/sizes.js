// Size curves: the test metric of each model against the number of training texts, with its band.
function drawSizes(root, width, height, { title, label, digits, lines }) {
  const wide = width > 520;
  const box = { left: 40, right: width - (wide ? 150 : 12), top: 26, bottom: height - 40 };
  const points = lines.flatMap((line) => line.points);
  if (!points.length) {
    root.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "not recorded"));
    return;
  }
  const sizes = points.map(([texts]) => texts);
  const x = logarithmic([Math.min(...sizes) / 1.1, Math.max(...sizes) * 1.1], [box.left, box.right]);
  const y = linear(padded(points.flatMap((point) => point.slice(1)).filter((value) => value != null), 0.05), [box.bottom, box.top]);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `${title}; arrow keys move among the points, and the table gives the figures`);
  axes(root, box, x, y, { xTitle: "training texts, logarithmic", yTitle: `test ${label}`, xText: compact, yText: (value) => String(Number(value.toFixed(4))) });
  const write = (value) => value.toFixed(digits);
  const marks = [];
  const labels = [];
  lines.forEach((line, n) => {
    const classes = lineClass(n);
    const banded = line.points.filter((point) => point[2] != null);
    const edge = (place) => banded.map((point) => [x(point[0]), y(point[place])]);
    if (banded.length) root.append(svg("path", { class: `band fill ${classes}`, d: `${pathOf([...edge(3), ...edge(2).reverse()])}z` }));
    root.append(svg("path", { class: `line stroke ${classes}`, d: pathOf(line.points.map((point) => [x(point[0]), y(point[1])])) }));
    for (const [texts, mean, low, high] of line.points) {
      const mark = svg("circle", { class: `mark fill ${classes}`, role: "img", cx: x(texts), cy: y(mean), r: 3.5 });
      describe(mark, [line.model, `${whole(texts)} training texts`, `${write(mean)} ${between(low, high, write)}`]);
      marks.push(mark);
    }
    const last = line.points.at(-1);
    if (last) labels.push({ x: x(last[0]) + 8, y: y(last[1]), text: line.model });
  });
  spread(labels, 13, box.top, box.bottom);
  if (wide) root.append(...labels.map((one) => svg("text", { class: "label halo", x: one.x, y: one.y + 4 }, short(one.text, 22))));
  root.append(...marks);
  roving(marks);
}

/** Draw into the sections that the page has, and return them. */
function sizeSections() {
  return [...document.querySelectorAll(".sizes")].map((node, n) => {
    node.id = freshId("sizes");
    const curves = DATA.sizeCurves[n];
    chart(node.querySelector(".drawing"), 330, (root, width, height) => drawSizes(root, width, height, curves));
    if (curves.lines.length > 1) {
      node.querySelector(".drawing").after(el("ul", { class: "legend" }, ...curves.lines.map((line, place) => el("li", {}, swatch(lineClass(place)), named(line.model)))));
    }
    return node;
  });
}
