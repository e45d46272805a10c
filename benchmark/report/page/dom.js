// Elements, words for figures, and the one tooltip. Names come from users: they are set as text, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const NOTHING = "–";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

let lastId = 0;
function freshId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

function named(text, more = "") {
  return el("bdi", { class: `name ${more}` }, text);
}

function unknown() {
  return el("span", { class: "muted" }, el("span", { "aria-hidden": "true" }, NOTHING), el("span", { class: "sr" }, "not recorded"));
}

function notRecorded(what) {
  return el("p", { class: "empty" }, `${what}: not recorded`);
}

/** A link only where it leads to a web page: other addresses can run scripts. */
function webLink(address, text) {
  if (!/^https?:\/\//.test(address || "")) return null;
  return el("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, text);
}

const percent = (value, places = 1) => (value == null ? NOTHING : (100 * value).toFixed(places));
const whole = (value) => (value == null ? NOTHING : value.toLocaleString("en-US", { maximumFractionDigits: 0 }));

/** How the figures of a metric are written: in percent and points, or as they are with two digits more. */
function measure(metric) {
  const { title, larger_is_better: larger, percent: share, margin } = DATA.metrics[metric];
  const amount = (value, places = 1) => (value == null ? NOTHING : share ? percent(value, places) : value.toFixed(places + 2));
  const signed = (value, places = 1) => {
    const text = amount(value && Math.abs(value), places);
    return value == null || Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
  };
  const within = margin == null ? null : `${amount(margin)}${share ? " points" : ""}`;
  const tick = (value) => String(Number(share ? (100 * value).toFixed(2) : value.toFixed(4)));
  return { title, larger, share, sign: larger ? 1 : -1, amount, signed, within, tick, unit: share ? " %" : "", points: share ? ", points" : "", label: `${title}${share ? " (%)" : ""}` };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function seconds(value) {
  if (value == null) return NOTHING;
  const places = value < 1 ? 2 : value < 100 ? 1 : 0;
  return value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
}

function probability(value) {
  return value < 0.001 ? "< 0.001" : value.toFixed(3);
}

function compact(value) {
  return value.toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 });
}

function between(low, high, write) {
  return low == null || high == null ? "no interval" : `[${write(low)}, ${write(high)}]`;
}

/** One choice of several, as radio buttons: `options` are [value, text]. */
function choice(legend, options, chosen, onChoice) {
  const name = freshId("choice");
  const buttons = options.map(([value, text]) =>
    el("label", { class: "choice" },
      el("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onChoice(value) }), text));
  return el("fieldset", { class: "group" }, el("legend", {}, legend), ...buttons);
}

const TIP = el("div", { class: "tip", hidden: true });
document.body.append(TIP);
let tipTarget = null;
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") TIP.hidden = true;
});
// A mark that gets the focus may be scrolled into view: what it says goes with it.
document.addEventListener("scroll", () => { if (!TIP.hidden) placeTip(tipTarget); }, { passive: true, capture: true });

function showTip(target, lines) {
  TIP.replaceChildren(...lines.map((line) => el("div", {}, line)));
  TIP.hidden = false;
  tipTarget = target;
  placeTip(target);
}

function placeTip(target) {
  const mark = target.getBoundingClientRect();
  const box = TIP.getBoundingClientRect();
  const left = Math.min(Math.max(8, mark.left + mark.width / 2 - box.width / 2), window.innerWidth - box.width - 8);
  const above = mark.top - box.height - 10;
  TIP.style.left = `${left}px`;
  TIP.style.top = `${above > 4 ? above : mark.bottom + 10}px`;
}

/** What a mark says, by pointer and by keyboard; the first line is its name. */
function describe(mark, lines) {
  mark.setAttribute("aria-label", lines.join(", "));
  const show = () => showTip(mark, lines);
  const hide = () => { TIP.hidden = true; };
  mark.addEventListener("pointerenter", show);
  mark.addEventListener("pointerleave", hide);
  mark.addEventListener("focus", show);
  mark.addEventListener("blur", hide);
}

/** Make many marks one stop of the Tab key; arrows, Home and End move among them. */
function roving(marks) {
  marks.forEach((mark, place) => {
    mark.setAttribute("tabindex", place ? "-1" : "0");
    mark.addEventListener("keydown", (event) => {
      const to = {
        ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: marks.length - 1,
      }[event.key];
      if (to == null || !marks[to]) return;
      event.preventDefault();
      mark.setAttribute("tabindex", "-1");
      marks[to].setAttribute("tabindex", "0");
      marks[to].focus();
    });
  });
}
