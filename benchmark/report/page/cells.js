// Columns of the table: what each is worth when sorted, and how its cell looks.
const OUTCOMES = { better: ["▲", "better"], worse: ["▼", "worse"], equivalent: ["=", "equivalent"], undecided: ["?", "undecided"] };
const SCALE = { width: 140, height: 26 };

function outcome(word) {
  const [sign, text] = OUTCOMES[word] || ["", word];
  return el("span", { class: "outcome" }, el("span", { class: "sign", "aria-hidden": "true" }, sign), text);
}

function accuracyScale(rows) {
  const range = accuracyRange(rows);
  return range && linear(range, [5, SCALE.width - 5]);
}

/** Mean, interval and seeds of a row on the scale of its section. */
function accuracyDrawing(row, scale) {
  const root = svg("svg", { ...SCALE, viewBox: `0 0 ${SCALE.width} ${SCALE.height}`, "aria-hidden": "true" });
  const kind = kindOf(row.tier);
  const group = svg("g", { class: `t-${kind}` });
  for (const tick of scale.ticks(5)) root.append(svg("line", { class: "grid", x1: scale(tick), x2: scale(tick), y1: 0, y2: SCALE.height }));
  root.append(group);
  if (row.test_mean < scale.low || row.test_mean > scale.high) {
    group.append(svg("path", { class: "fill", d: row.test_mean < scale.low ? "M2,10l8,-5v10z" : `M${SCALE.width - 2},10l-8,-5v10z` }));
    return root;
  }
  for (const value of row.test_values) {
    if (value >= scale.low && value <= scale.high) group.append(svg("circle", { class: "fill seed", cx: scale(value), cy: 20, r: 1.9 }));
  }
  if (row.test_ci_low != null) {
    const ends = [row.test_ci_low, row.test_ci_high].map((value) => Math.min(Math.max(0, scale(value)), SCALE.width));
    group.append(svg("line", { class: "stroke", "stroke-width": 2, x1: ends[0], x2: ends[1], y1: 10, y2: 10 }));
  }
  const whole = row.n_seeds === row.seeds_expected && row.test_ci_low != null;
  group.append(svg("path", { class: whole ? "fill" : "hollow", d: SHAPES[kind](scale(row.test_mean), 10, 4) }));
  return root;
}

function scaleTicks(scale, { share, tick }) {
  const root = svg("svg", { class: "scale", width: SCALE.width, height: 13, viewBox: `0 0 ${SCALE.width} 13`, "aria-hidden": "true" });
  for (const value of scale.ticks(share ? 5 : 3)) {
    root.append(svg("text", { x: scale(value), y: 10, "text-anchor": "middle" }, tick(value)));
  }
  return root;
}

function accuracyCell(row, scale) {
  if (row.test_mean == null) return el("span", { class: "marked" }, row.run_ids.length ? "withheld" : "no seed finished");
  const { amount, share } = measure(row.metric);
  return el("div", { class: `accuracy ${share ? "" : "fine"}` },
    el("span", { class: "mean" }, amount(row.test_mean)),
    el("span", { class: "interval" }, between(row.test_ci_low, row.test_ci_high, amount)),
    accuracyDrawing(row, scale));
}

const lost = (row) => [["failed", row.n_failed], ["diverged", row.n_diverged], ["failed to learn", row.n_unlearned], ["missing", row.n_missing]]
  .filter(([, count]) => count).map(([word, count]) => `${count} ${word}`);

function seedsCell(row) {
  if (row.n_seeds === row.seeds_expected) return String(row.n_seeds);
  return el("span", { class: "lines marked" }, el("span", {}, `${row.n_seeds} of ${row.seeds_expected}`), ...lost(row).map((text) => el("span", {}, text)));
}

function differenceCell(row) {
  if (row.difference == null) {
    const isBaseline = DATA.rows.some((other) => other.baseline === row.name && other.dataset_digest === row.dataset_digest
      && other.budget === row.budget && other.protocol === row.protocol);
    return isBaseline ? el("span", { class: "muted" }, "baseline") : unknown();
  }
  const { amount, signed } = measure(row.metric);
  const verdict = el("span", {}, outcome(row.difference_outcome));
  if (row.difference_p != null && row.difference_outcome !== "undecided") verdict.append(`, p ${probability(row.difference_p)}`);
  if (row.difference_outcome === "undecided" && row.detectable != null) verdict.append(` (${amount(row.detectable)})`);
  return el("span", { class: "lines" },
    el("span", {}, el("span", { class: "mean" }, signed(row.difference)), " ",
      el("span", { class: "interval" }, between(row.difference_ci_low, row.difference_ci_high, signed))),
    verdict);
}

function rankCell(row) {
  if (row.watermark) return el("span", { class: "stamp" }, "SMOKE TEST");
  return row.rank == null ? unknown() : row.rank_text;
}

function tierCell(row) {
  return el("span", { class: "tier" }, tierMark(row.tier), named(row.tier));
}

function searchCell(row) {
  if (!row.search_trials) return el("span", { class: "muted" }, "none");
  return el("span", { class: "lines" }, el("span", {}, `${whole(row.search_trials)} trials`),
    el("span", { class: "muted" }, row.search_seconds == null ? "not timed" : `${seconds(row.search_seconds)} s`));
}

const figure = (value, write) => (value == null ? unknown() : write(value));

/** A column whose figure stands in one field. */
function field(key, label, hint, write, more = {}) {
  return { key, label, hint, number: true, value: (row) => row[key], cell: (row) => figure(row[key], write), ...more };
}

function wordField(key, label, hint = "") {
  return { key, label, hint, className: "words", value: (row) => row[key], cell: (row) => (row[key] ? named(row[key]) : unknown()) };
}

/** The columns of a section: they are named after its metric, and written as that is. */
function columnsOf(rows) {
  const { title, larger, share, amount, signed, unit, points } = measure(rows[0].metric);
  const timed = rows.some((row) => row.predict_ms != null);
  const inPoints = share ? ", in points" : "";
  const several = rows.some((row) => row.folds.length) ? "folds" : "seeds";
  return [
    { key: "rank", label: "rank", hint: "all places that the comparisons leave open", number: true, basic: true, className: "rank", rising: true,
      value: (row) => row.rank, cell: rankCell },
    { key: "model", label: "model", hint: "open a row by its name", basic: true, className: "model", value: (row) => row.model, cell: null },
    { key: "tier", label: "tier", hint: "default as published, tuned by the search", basic: true, className: "tier-cell", value: (row) => row.tier, cell: tierCell },
    { key: "accuracy", label: `test ${title}${unit}`, hint: `mean over ${several}, interval over ${several}, each of the ${several} as a dot`, basic: true, className: "accuracy-cell", rising: !larger,
      value: (row) => row.test_mean, cell: accuracyCell },
    { key: "difference", label: differenceLabel(rows, points), hint: `interval over new ${several === "folds" ? "data" : "seeds and examples"}, and p, corrected for this column; undecided (N): these ${several} find a difference of N with 80 %`, basic: true, rising: !larger, className: "difference-cell",
      value: (row) => row.difference, cell: differenceCell },
    { key: "seeds", label: "seeds", hint: "in the mean", number: true, basic: true, value: (row) => row.n_seeds, cell: seedsCell },
    field("sampling_error", "sampling error", `standard error over other test examples, same trained models${inPoints}`, (v) => amount(v, 2), { basic: true, rising: true }),
    field("val_test_gap", "val−test gap", `mean on validation less mean on test${inPoints}`, (v) => signed(v), { basic: true }),
    field("parameters", "params", "parameters of the network", compact, { basic: true, rising: true }),
    field("train_seconds_median", "seconds a run", "median seconds of a final run", seconds, { basic: true, rising: true }),
    { key: "search_trials", label: "search", hint: "what the search cost: its trials, and the seconds of all of them", number: true, basic: true, rising: true,
      value: (row) => row.search_trials, cell: searchCell },
    field("predict_ms", "predict ms", "milliseconds a text, one by one", seconds, { basic: timed, rising: true }),
    field("predict_texts_per_second", "predict texts/s", "texts a second in batches of 256", whole, { basic: timed }),
    field("test_reads", "test reads", "how often this model has read the test split", whole, { rising: true }),
    field("search_seconds", "search s", "seconds of all trials", seconds, { rising: true }),
    field("test_std", "std", `over seeds${inPoints}`, (v) => amount(v, 2), { rising: true }),
    field("test_median", `median${unit}`, "over seeds", (v) => amount(v), { rising: !larger }),
    field("test_min", `min${unit}`, "over seeds", (v) => amount(v), { rising: !larger }),
    field("test_max", `max${unit}`, "over seeds", (v) => amount(v), { rising: !larger }),
    field("test_loss_mean", "test loss", "mean over seeds", (v) => v.toFixed(4), { rising: true }),
    field("val_mean", `validation${unit}`, "mean over seeds", (v) => amount(v), { rising: !larger }),
    field("sampling_ci_low", `sampling from${unit}`, "interval over other test examples", (v) => amount(v), { rising: !larger }),
    field("sampling_ci_high", `sampling to${unit}`, "interval over other test examples", (v) => amount(v), { rising: !larger }),
    field("epochs_median", "epochs", "median of a final run", (v) => String(v), { rising: true }),
    field("n_failed", "failed", "seeds", whole),
    field("n_diverged", "diverged", "seeds", whole),
    field("n_missing", "missing", "seeds", whole),
    field("n_unlearned", "failed to learn", "seeds no better than the most frequent class", whole),
    field("failure_bound", "fail at most %", "upper bound of the share of seeds that diverge or fail to learn", (v) => percent(v, 0)),
    wordField("study", "study"), wordField("protocol", "protocol"), wordField("budget", "budget"), wordField("dataset", "data set"),
    wordField("optimised_for", "optimised for"), wordField("device", "device"), wordField("machine", "machine"), wordField("versions", "versions"), wordField("git_commit", "commit"),
  ];
}
