// What an opened row shows.
const METRICS = [
  ["val_accuracy", "validation accuracy"], ["accuracy", "training accuracy"],
  ["val_loss", "validation loss"], ["loss", "training loss"],
];

function rowDetail(index) {
  const row = DATA.rows[index];
  const warnings = row.notes.map((note) => el("li", {}, note));
  return el("div", { class: "opened" },
    warnings.length ? el("ul", { class: "warned wide" }, ...warnings) : null,
    ownCurves(row, index),
    el("div", { class: DATA.confusions[index]?.length > FEW_CLASSES ? "wide" : "" }, el("h4", {}, "Answers by class"),
      el("div", { class: "answers" }, confusion(row, index), classTable(row, index))),
    el("div", { class: "wide" }, el("h4", {}, `Test ${measure(row.metric).title} of each ${row.folds.length ? "fold" : "seed"}`), seedList(row)),
    el("div", { class: "wide" }, el("h4", {}, "Against every other row"), comparisons(index)),
    el("div", { class: "wide" }, el("h4", {}, "Where it comes from"), origin(row, index)));
}

function ownCurves(row, index) {
  const seeds = DATA.curves[index];
  const block = el("div", {}, el("h4", {}, "Learning curves of its seeds"));
  if (!seeds || !seeds.length) {
    block.append(notRecorded("Curves"));
    return block;
  }
  let metric = "accuracy";
  const host = el("div");
  const render = chart(host, 230, (root, width, height) => {
    const lines = seeds.flatMap((one, n) => [
      { values: one[`val_${metric}`], classes: `s${n % 5} thin`, label: String(one.seed) },
      { values: one[metric], classes: `s${n % 5} d2 thin`, label: "" },
    ]);
    drawCurves(root, width, height, lines, metric, `Learning curves of ${row.name}`, 40);
  });
  const pick = choice("Show", [["accuracy", "accuracy"], ["loss", "loss"]], metric, (value) => { metric = value; render(); });
  const legend = el("ul", { class: "legend" },
    el("li", {}, swatch("s4"), "validation"), el("li", {}, swatch("s4 d2 thin"), "training"), el("li", { class: "muted" }, "numbers: seeds"));
  block.append(el("div", { class: "controls" }, pick), host, legend);
  return block;
}

const FEW_CLASSES = 6; // of more, columns are numbered and small shares are left to the colour
const SHARE_WITH_NUMBER = 0.015;

function confusion(row, index) {
  const counts = DATA.confusions[index];
  if (!counts) return notRecorded("Answers");
  const names = DATA.classes[row.dataset_digest] || [];
  const few = counts.length <= FEW_CLASSES;
  const nameOf = (n) => named(names[n] ?? String(n));
  const rowName = (n) => (few ? [nameOf(n)] : [`${n + 1} `, nameOf(n)]);
  const line = (values, n) => {
    const total = values.reduce((sum, value) => sum + value, 0);
    return el("tr", {}, el("th", { scope: "row", title: few ? null : names[n] }, ...rowName(n)), ...values.map((value, answer) => {
      const share = total ? value / total : 0;
      const cell = few ? el("td", {}, whole(value), el("span", { class: "small" }, `${percent(share)} %`))
        : el("td", { title: `${names[n] ?? n}, answered ${names[answer] ?? answer}: ${whole(value)}, ${percent(share)} %` }, share >= SHARE_WITH_NUMBER ? percent(share, 0) : "");
      cell.style.backgroundColor = `rgba(var(--heat), ${(0.3 * share).toFixed(3)})`;
      return cell;
    }));
  };
  return el("div", {},
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Answers of ${row.name} by class` },
      el("table", { class: `confusion ${few ? "" : "compact"}` },
        el("thead", {}, el("tr", {}, el("td", { class: "muted small" }, "true ↓ answered →"), ...counts.map((_, n) => el("th", { scope: "col", title: few ? null : names[n] }, few ? nameOf(n) : String(n + 1))))),
        el("tbody", {}, ...counts.map(line)))),
    el("p", { class: "note" }, few ? "Summed over seeds; shares are of the true class."
      : "Percent of the true class, all seeds together; columns have the numbers of the classes."));
}

function classTable(row, index) {
  const figures = DATA.byClass[index];
  if (!figures) return null;
  const names = DATA.classes[row.dataset_digest] || [];
  const heads = ["precision %", "recall %", "F1 %", "support"].map((text) => el("th", { scope: "col", class: "number" }, text));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Precision, recall and F1 of ${row.name} by class` },
    el("table", { class: "by-class" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "class"), ...heads)),
      el("tbody", {}, ...figures[0].map((_, n) => el("tr", {}, el("th", { scope: "row" }, named(names[n] ?? String(n))),
        ...figures.map((values, column) => el("td", { class: "number" }, column < 3 ? percent(values[n]) : whole(values[n]))))))),
    el("p", { class: "note" }, "Of the answers of all seeds together; support: test texts of the class."));
}

function seedList(row) {
  if (!row.test_values.length) return notRecorded("Figures of the seeds");
  const { amount } = measure(row.metric);
  return el("ul", { class: "seed-list" }, ...row.test_values.map((value, n) =>
    el("li", {}, el("span", { class: "muted" }, row.folds.length ? `fold ${row.folds[n]}: ` : `seed ${row.seeds[n] ?? n}: `), el("span", { class: "mean" }, amount(value, 2)))));
}

/** Comparisons of a row with all others, from its side. */
function pairsOf(index) {
  const turned = { better: "worse", worse: "better" };
  return new Map(DATA.pairs.filter(([a, b]) => a === index || b === index).map(([a, b, difference, low, high, p, word]) => (a === index
    ? [b, { difference, low, high, p, word }]
    : [a, { difference: -difference, low: -high, high: -low, p, word: turned[word] || word }])));
}

function comparisons(index) {
  const found = pairsOf(index);
  const section = DATA.sections.find((one) => one.rows.includes(index));
  const others = section.rows.filter((other) => other !== index);
  if (section.watermark) return el("p", { class: "empty" }, "Smoke tests are not compared.");
  if (!others.length) return el("p", { class: "empty" }, "There is no other row.");
  const { title, signed, within, share } = measure(DATA.rows[index].metric);
  const inWords = {
    better: "better", worse: "worse", undecided: "undecided",
    equivalent: `no difference worth talking about (within ${within})`,
  };
  const line = (other) => {
    const pair = found.get(other);
    const name = el("th", { scope: "row" }, named(DATA.rows[other].name));
    if (!pair) return el("tr", {}, name, el("td", { colspan: 3, class: "muted" }, `not compared: the same runs, or ${DATA.rows[index].folds.length ? "not on all folds" : "fewer than 3 seeds"}`));
    return el("tr", {}, name,
      el("td", { class: "number" }, el("span", { class: "mean" }, signed(pair.difference, 2)), " ",
        el("span", { class: "interval" }, between(pair.low, pair.high, (value) => signed(value, 2)))),
      el("td", { class: "number" }, probability(pair.p)),
      el("td", {}, el("span", { class: "sign", "aria-hidden": "true" }, OUTCOMES[pair.word][0]), inWords[pair.word]));
  };
  return el("div", { class: "scroll comparison-list", tabindex: "0", role: "region", "aria-label": `Comparisons of ${DATA.rows[index].name}` },
    el("table", { class: "comparisons" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "this row less"), el("th", { scope: "col", class: "number" }, share ? "points, interval" : `${title}, interval`),
        el("th", { scope: "col", class: "number" }, "corrected p"), el("th", { scope: "col" }, "this row is"))),
      el("tbody", {}, ...others.map(line))));
}

function origin(row, index) {
  const runs = row.run_ids.length ? row.run_ids.join(" ") : null;
  const link = webLink(DATA.links[index], "Compare its runs in MLflow");
  const { title, amount, share, unit } = measure(row.metric);
  const sampling = row.sampling_error == null ? null
    : `${amount(row.sampling_error, 2)}${share ? " points" : ""}, ${between(row.sampling_ci_low, row.sampling_ci_high, amount)}${unit}`;
  const aim = row.metric === row.optimised_for ? "" : `; exploratory, the runs were optimised for ${measure(row.optimised_for).title}`;
  const entries = [
    ["metric", title + aim],
    ["sampling error", sampling], ["data set", `${row.dataset}, digest ${row.dataset_digest}`], ["study", row.study], ["budget", row.budget],
    ["protocol", row.protocol], ["search", `${whole(row.search_trials)} trials, ${seconds(row.search_seconds)} s`],
    ["median epochs", row.epochs_median == null ? null : String(row.epochs_median)],
    ["reads of the test split", (row.test_reads_unrecorded ? "at least " : "") + whole(row.test_reads)], ["device", row.device], ["machine", row.machine], ["versions", row.versions], ["commit", row.git_commit], ["runs", runs],
  ];
  return el("dl", { class: "facts" },
    ...entries.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value ? named(value) : "not recorded")]),
    el("dt", {}, "MLflow"), el("dd", {}, link || "not recorded"));
}
