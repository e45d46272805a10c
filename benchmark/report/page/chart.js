// Scales, axes and marks of all drawings.
const SHAPES = {
  default: (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  tuned: (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`,
  other: (x, y, r) => `M${x},${y - 1.3 * r}l${1.3 * r},${1.3 * r}l${-1.3 * r},${1.3 * r}l${-1.3 * r},${-1.3 * r}z`,
};
const kindOf = (tier) => (tier === "default" || tier === "tuned" ? tier : "other");

/** Colour and dash of the n-th line: 20 combinations, and neighbours differ in both. */
const lineClass = (n) => `s${n % 5} d${n % 4}`;

function linear([low, high], [from, to]) {
  const scale = (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  return Object.assign(scale, { low, high, ticks: (count) => niceTicks(low, high, count) });
}

function logarithmic([low, high], range) {
  const inner = linear([Math.log10(low), Math.log10(high)], range);
  return Object.assign((value) => inner(Math.log10(value)), { low, high, ticks: () => logTicks(low, high) });
}

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1) found.push(Number((n * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 2, 5]) found.push(factor * 10 ** power);
  }
  const inside = found.filter((value) => value >= low && value <= high);
  return inside.length > 7 ? inside.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9) : inside;
}

function padded(values, share) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) * 0.02 || 1) * share;
  return [low - room, high + room];
}

function lowerFence(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const quartile = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return quartile(0.25) - 1.5 * Math.max(quartile(0.75) - quartile(0.25), 0.01);
}

/**
 * Range of the figures of some rows. One that is far worse than the others (Tukey's fence: 1.5 times the distance
 * of the quartiles) would press all others together: it is left out, and its mark stands at the edge.
 */
function accuracyRange(rows) {
  const known = rows.filter((row) => row.test_mean != null);
  if (!known.length) return null;
  const { sign } = measure(known[0].metric);
  const fence = lowerFence(known.map((row) => sign * row.test_mean));
  const values = known.filter((row) => sign * row.test_mean >= fence).flatMap((row) => [
    row.test_mean, row.test_ci_low, row.test_ci_high, row.test_min, row.test_max]);
  return padded(values.filter((value) => value != null), 0.06);
}

const UNDRAWN = new Set();

/** Draw into a host at its width, and again when the width changes. */
function chart(host, height, draw) {
  let width = 0;
  const fit = (now) => {
    if (!now || now === width) return;
    width = now;
    UNDRAWN.delete(fit);
    render();
  };
  UNDRAWN.add(fit);
  fit.host = host;
  const render = () => {
    if (!width) return;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    draw(root, width, height);
    host.replaceChildren(root);
  };
  new ResizeObserver(([entry]) => {
    if (!window.matchMedia("print").matches) fit(Math.floor(entry.contentRect.width));
  }).observe(host);
  host.classList.add("chart");
  return render;
}

/** What has just been opened for printing has not been measured yet. */
function drawAll() {
  for (const fit of [...UNDRAWN]) fit(Math.floor(fit.host.clientWidth));
}

/** Grid, ticks and titles; `box` has left, right, top and bottom edges. */
function axes(root, box, x, y, { xTitle, yTitle, xText, yText, xTicks = 6 }) {
  const group = svg("g", { "aria-hidden": "true" });
  for (const value of y.ticks(5)) {
    group.append(
      svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
      svg("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, yText(value)));
  }
  for (const value of x.ticks(xTicks)) {
    group.append(
      svg("line", { class: "axis", x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 4 }),
      svg("text", { x: x(value), y: box.bottom + 17, "text-anchor": "middle" }, xText(value)));
  }
  group.append(
    svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    svg("text", { x: box.right, y: box.bottom + 33, "text-anchor": "end" }, xTitle),
    svg("text", { x: 0, y: box.top - 9 }, yTitle));
  root.append(group);
}

/** A path through points; it breaks where a value is not known. */
function pathOf(pairs) {
  let pen = "M";
  return pairs.map(([x, y]) => {
    if (y == null || Number.isNaN(y)) {
      pen = "M";
      return "";
    }
    const step = `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
    pen = "L";
    return step;
  }).join("");
}

/** Text of a label cut to a length. */
const short = (text, limit = 24) => (text.length <= limit ? text : `${text.slice(0, limit - 1)}…`);

/** Move labels, each {y}, apart so that they do not cover each other, and keep them inside. */
function spread(labels, gap, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, n) => { label.y = Math.max(label.y, n ? labels[n - 1].y + gap : top); });
  for (let n = labels.length - 1; n >= 0; n -= 1) {
    labels[n].y = Math.min(labels[n].y, n === labels.length - 1 ? bottom : labels[n + 1].y - gap);
  }
}

function swatch(classes) {
  return svg("svg", { width: 28, height: 10, "aria-hidden": "true" },
    svg("path", { class: `line stroke ${classes}`, d: "M0,5H28" }));
}

function tierMark(tier, hollow = false) {
  const kind = kindOf(tier);
  return svg("svg", { width: 12, height: 12, "aria-hidden": "true" },
    svg("path", { class: `t-${kind} ${hollow ? "hollow" : "fill"}`, d: SHAPES[kind](6, 6, 4) }));
}
