// --- figures -----------------------------------------------------------------------------------------------------------

const drawnOf = (labels) => ARCHITECTURES.filter((label) => state.drawn.has(label) && labels.includes(label));

function addFigures() {
  const host = byId("figures");
  if (LEVELS.length > 1) addGlance(host);
  const profiled = DATA.scopes.filter((scope) => of(DATA.profiles, scope));
  if (profiled.length) addProfiles(host, profiled);
  if (DATA.horizons.length) addHorizons(host);
  if (DATA.by_lag.length) addByLag(host);
  addGradients(host);
  const budgeted = DATA.budget ? DATA.scopes.filter((scope) => of(DATA.budget, scope)) : [];
  if (budgeted.length) addBudget(host, budgeted);
  if (DATA.critical) addCritical(host);
  const beyond = byId("beyond-plot");
  if (beyond) addLonger(beyond);
  const cost = byId("cost-plot");
  if (cost) addCost(cost);
  const overfitting = byId("overfitting-plot");
  if (overfitting && DATA.overfitting_curves.length) addOverfitting(overfitting);
}

/** Every architecture on every task: a table of small intervals. */
function addGlance(host) {
  const draw = (width, scope) => {
    const column = Math.max(112, Math.min(190, (width - 150) / LEVELS.length));
    const order = rowsOf("memory", DATA.scopes[0]).map((row) => row.architecture).filter((label) => state.drawn.has(label));
    const lookup = new Map(LEVELS.map((level) => [level, new Map(rowsOf("memory", level).map((row) => [row.architecture, row]))]));
    const cell = (label, level) => {
      const row = lookup.get(level).get(label);
      if (!row || !known(row.mean)) return html("td", {}, NOTHING);
      return html("td", { style: `--c: ${colour(label)}` }, html("span", { class: "both", title: `${level}: ${interval(row)}` },
        bar(row, Math.round(column - 44), 24), html("span", {}, fixed(row.mean, 2)), row.remark && html("span", { class: "remark" }, row.remark)));
    };
    const table = html("table", { class: "plain glance" },
      html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "architecture"), LEVELS.map((level) => html("th", { scope: "col" }, name(level))))),
      html("tbody", {}, order.map((label) => html("tr", { class: lookOf(label).className },
        html("th", { scope: "row" }, html("span", { class: "who" }, swatch(label), name(label))), LEVELS.map((level) => cell(label, level))))));
    return { node: html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "skill on every task, table" }, table) };
  };
  addFigure(host, { title: "Skill on every task", caption: ["Each column is a task, with means and 95 % intervals on an axis from 0 to 1. An architecture that wins overall need not win everywhere."], draw });
}

function addProfiles(host, scopes) {
  const draw = (width, scope) => {
    const { thresholds, curves } = of(DATA.profiles, scope);
    const points = new Map(drawnOf(Object.keys(curves)).map((label) => [label, thresholds.map((x, i) => ({
      x, y: of(curves, label).share[i], low: of(curves, label).low[i], high: of(curves, label).high[i],
      title: `${label}\n${fixed(100 * of(curves, label).share[i], 0)}% of runs above ${fixed(x, 2)}`,
    }))]));
    const at = [0.1, 0.25, 0.5, 0.75, 0.9].map((wanted) => d3.leastIndex(thresholds, (a, b) => Math.abs(a - wanted) - Math.abs(b - wanted)));
    const node = picture(`Share of runs with skill above each threshold, ${scope}, for ${points.size} architectures.`, {
      width, height: 340, x: { label: "skill τ", domain: [0, 1], ticks: 5 }, y: { label: "share of runs above τ", domain: [0, 1], grid: true, ticks: 5, percent: false },
      marks: [Plot.ruleY([0]), ...[...points].flatMap(([label, its]) => [
        ...seriesMarks(label, its, { dots: false }),
        Plot.dot(its.filter((_, i) => i % 10 === 5), { x: "x", y: "y", fill: colour(label), r: 3, symbol: symbolOf(label), className: lookOf(label).className }),
      ]), tipMark([...points.values()].flat())],
    });
    const numbers = [["architecture", ...at.map((i) => `above ${fixed(thresholds[i], 2)}`)],
      [...points].map(([label, its]) => [label, ...at.map((i) => `${fixed(100 * its[i].y, 0)}%`)])];
    return { node, numbers };
  };
  addFigure(host, { title: "Performance profiles", choices: scopes.map((scope) => [scope, scope]), draw,
    caption: ["Each curve is the share of runs whose skill exceeds τ, with its 95 % band. Higher is better. A step shows runs that either succeed or fail, which a mean hides. Where two curves do not cross, the higher one wins."] });
}

const HORIZON_KINDS = { trained: "trained at each delay", extrapolated: "tested beyond training", read: "read from one trained net by lag" };

function addHorizons(host) {
  const named = (each) => `${each.ladder}, ${HORIZON_KINDS[each.kind]}`;
  const choices = DATA.horizons.map((each) => [each, named(each)]);
  choices.label = "Ladder";
  addFigure(host, { title: "Memory horizon", choices, draw: horizonDrawing,
    caption: ["Each point is the skill at a delay, with its 95 % interval over seeds; points are moved apart a little, and the curves are fitted to them. The horizon d50 is where a curve has lost half of its plateau. A “≥” says that it lies beyond the longest delay that was tried.", DATA.horizons.some((each) => each.kind === "read") && "A horizon that is read from one trained net takes its answers apart by their lags. It is not that of nets which are trained at each delay.", DATA.horizons.some((each) => each.kind === "extrapolated") && DATA.longer_note].filter(Boolean) });
}

function horizonDrawing(width, ladder, only = null) {
  const labels = only || drawnOf([...new Set(ladder.points.map((point) => point.architecture))]);
  const delays = [...new Set(ladder.points.map((point) => point.delay))].sort((a, b) => a - b);
  const aside = dodged(labels, width);
  const fits = new Map(ladder.fits.map((fit) => [fit.architecture, fit]));
  const all = [];
  const marks = labels.flatMap((label, i) => {
    const dx = aside.dx(i);
    const fit = fits.get(label);
    const { className, dash } = lookOf(label);
    const points = ladder.points.filter((point) => point.architecture === label)
      .map((point) => ({ x: point.delay, y: point.skill, low: point.low, high: point.high, title: `${label}\ndelay ${grouped(point.delay)}: ${interval(point, "number", ["skill", "low", "high"])}` }));
    all.push(...points);
    return [
      Plot.ruleX(points.filter((p) => known(p.low) && known(p.high)), { x: "x", y1: "low", y2: "high", stroke: colour(label), strokeWidth: 1.4, dx, className }),
      Plot.dot(points, { x: "x", y: "y", fill: colour(label), r: 3.6, symbol: symbolOf(label), dx, className }),
      fit && fit.fitted.length && Plot.line(ladder.delays, { x: (d) => d, y: fit.fitted, stroke: colour(label), strokeWidth: 1.6, strokeDasharray: dash, className }),
    ].filter(Boolean);
  });
  const node = picture(`Skill against delay on ${ladder.ladder} for ${labels.length} architectures, with fitted curves.`, {
    width, height: 350, x: { type: "log", inset: aside.inset },
    y: skillAxis(), marks: [logAxis(delays, width, "delay, steps"), Plot.ruleY([0]), ...marks, tipMark(all)],
  });
  const numbers = [["architecture", "d50 [95 %]", ...delays.map((delay) => `at ${grouped(delay)}`)], labels.map((label) => [label,
    fits.get(label)?.text || NOTHING, ...delays.map((delay) => {
      const point = ladder.points.find((each) => each.architecture === label && each.delay === delay);
      return point ? interval(point, "number", ["skill", "low", "high"]) : NOTHING;
    })])];
  return { node, numbers };
}

/** How far the marks of each architecture are moved aside, and the room that the outermost ones need at both ends. */
function dodged(labels, width, apart = 3) {
  const middle = (labels.length - 1) / 2, step = Math.min(apart, width / 8 / Math.max(1, middle));
  return { dx: (i) => Math.round((i - middle) * step), inset: 12 + middle * step };
}

/** An axis with ticks at given values: Plot's own leaves out labels of a logarithmic one. */
function logAxis(values, width, label) {
  return Plot.axisX(thinned(values, width), { text: (value) => (value < 10 ? plainText(Number(value.toPrecision(2))) : grouped(value)), label });
}

function ticksBetween(values) {
  const [low, high] = d3.extent(values);
  return high / low > 8 ? d3.scaleLog([low, high], [0, 1]).ticks(6) : d3.ticks(low * 0.97, high * 1.03, 6).filter((tick) => tick > 0);
}

/** Values that have room for their labels on a logarithmic axis. */
function thinned(values, width) {
  const span = Math.log(values.at(-1) / values[0]) || 1;
  const kept = [];
  for (const value of values) { // from the first on, so that the shortest is always said
    if (!kept.length || (Math.log(value / kept.at(-1)) / span) * (width - 90) > 34) kept.push(value);
  }
  return kept;
}

/** Skill against the lag that a task states of its steps, or against their position. */
function addByLag(host) {
  const tasks = LEVELS.filter((level) => DATA.by_lag.some((each) => each.task === level));
  const draw = (width, task) => {
    const points = DATA.by_lag.filter((each) => each.task === task);
    const [axis] = points.map((each) => each.axis);
    const places = [...new Set(points.map((each) => each.place))].sort((a, b) => a - b);
    const labels = drawnOf([...new Set(points.map((each) => each.architecture))]);
    const its = (label) => points.filter((each) => each.architecture === label)
      .map((each) => ({ x: each.place, y: each.skill, low: each.low, high: each.high, title: `${label}\n${axis} ${grouped(each.place)}: ${interval(each, "number", ["skill", "low", "high"])}` }));
    const aside = dodged(labels, width);
    const node = picture(`Skill against the ${axis} of a step on ${task}, for ${labels.length} architectures.`, {
      width, height: 340, x: { type: "log", inset: aside.inset }, y: skillAxis(),
      marks: [logAxis(places, width, axis === "lag" ? "lag, steps" : "position in the sequence, steps"), Plot.ruleY([0]),
        ...labels.flatMap((label, i) => seriesMarks(label, its(label), { band: false, whiskers: true, dx: aside.dx(i) })), tipMark(labels.flatMap(its))],
    });
    const numbers = [["architecture", ...places.map((place) => `${axis} ${grouped(place)}`)], labels.map((label) => [label, ...places.map((place) => {
      const each = points.find((one) => one.architecture === label && one.place === place);
      return each ? interval(each, "number", ["skill", "low", "high"]) : NOTHING;
    })])];
    return { node, numbers };
  };
  addFigure(host, { title: "Skill by lag and position", choices: tasks.map((task) => [task, task]), draw,
    caption: ["The answers of each net to the longest test sequences, taken apart by the lag of the step, with 95 % intervals over seeds. The lag is the distance to the farthest input that the answer depends on. Where a task states none, its steps are taken by their position."] });
}

function addBudget(host, scopes) {
  const draw = (width, scope) => {
    const curves = of(DATA.budget, scope);
    const labels = drawnOf(Object.keys(curves));
    const most = d3.max(labels, (label) => of(curves, label).expected.length) || 1;
    const called = (k) => (k ? `best of ${k + 1}` : "default");
    const its = (label) => {
      const { expected, low, high } = of(curves, label);
      return expected.map((y, k) => ({ x: k + 1, y, low: low?.[k], high: high?.[k], title: `${label}\n${called(k)}: ${interval({ mean: y, low: low?.[k], high: high?.[k] })}` }));
    };
    const ticks = d3.ticks(1, most, Math.min(most, 8)).filter((tick) => Number.isInteger(tick) && tick > 1);
    const node = picture(`Expected best validation skill against the number of trials, ${scope}, for ${labels.length} architectures.`, {
      width, height: 340, x: { label: "trials", domain: [1, most], ticks: [1, ...ticks], tickFormat: (d) => (d > 1 ? String(d) : "default"), inset: 26 },
      y: skillAxis("expected best validation skill"),
      marks: [Plot.ruleY([0]), ...labels.flatMap((label) => seriesMarks(label, its(label), { dots: most <= 12 })), tipMark(labels.flatMap(its))],
    });
    const numbers = [["architecture", ...d3.range(most).map(called)], labels.map((label) => [label,
      ...its(label).map((point) => interval({ ...point, mean: point.y }))])];
    return { node, numbers };
  };
  addFigure(host, { title: "Budget of the search", choices: scopes.map((scope) => [scope, scope]), draw,
    caption: ["Each curve is the validation skill that the best of so many trials is expected to have. It begins at the untuned default, which is the first trial, and the others are drawn from those that were made. The band holds 95 % of the draws, so it closes where all are drawn. It does not contain the luck of the seed, of which each trial has one. A curve that still rises at its end would gain from more trials. Where two curves cross, the ranking depends on the budget."] });
}

function addCritical(host) {
  const { p, tasks, ranks, cliques } = DATA.critical;
  const draw = (width) => ({ node: criticalPicture(width, ranks, cliques, p), numbers: [["architecture", "mean rank"], ranks.map((each) => [each.architecture, fixed(each.rank, 2)])] });
  addFigure(host, { title: "Critical differences", draw,
    caption: [`Ranks are means over ${tasks} tasks, and the best is at the left. A bar joins architectures that do not differ significantly (Friedman p ${p < 0.001 ? "< 0.001" : `= ${pText(p)}`}, then Wilcoxon, adjusted after Holm).`] });
}

/** Ranks on one axis, names on both sides, cliques as bars below the axis. */
function criticalPicture(width, ranks, cliques, p) {
  const ordered = [...ranks].sort((a, b) => a.rank - b.rank);
  const side = Math.min(170, width * 0.3);
  const top = 30, step = 21, bars = cliques.length * 9 + 10;
  const scale = d3.scaleLinear([1, Math.max(2, ordered.length)], [side, width - side]);
  const half = Math.ceil(ordered.length / 2);
  const height = top + bars + half * step + 14;
  const node = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "font-size": 12, fill: "currentColor",
    "aria-label": `Mean ranks, best first: ${ordered.map((each) => `${each.architecture} ${fixed(each.rank, 2)}`).join(", ")}.` });
  node.append(svg("path", { d: `M${scale.range()[0]},${top}H${scale.range()[1]}`, stroke: "currentColor" }));
  for (const tick of scale.ticks(Math.min(ordered.length, 10)).filter(Number.isInteger)) {
    node.append(svg("path", { d: `M${scale(tick)},${top}v-5`, stroke: "currentColor" }), svg("text", { x: scale(tick), y: top - 9, "text-anchor": "middle" }, String(tick)));
  }
  ordered.forEach((each, i) => {
    const left = i < half;
    const y = top + bars + (left ? i : ordered.length - 1 - i) * step + 6;
    const end = left ? side - 6 : width - side + 6;
    node.append(svg("g", { class: lookOf(each.architecture).className },
      svg("path", { d: `M${scale(each.rank)},${top}V${y}H${end}`, stroke: colour(each.architecture), "stroke-width": 1.4, fill: "none" }),
      svg("text", { x: left ? end - 6 : end + 6, y: y + 4, "text-anchor": left ? "end" : "start" }, `${shortened(each.architecture, Math.floor(side / 7.5) - 5)} ${fixed(each.rank, 1)}`)));
  });
  const place = new Map(ordered.map((each) => [each.architecture, each.rank]));
  cliques.forEach((clique, i) => {
    const its = clique.map((label) => place.get(label)).filter(known);
    if (its.length > 1) node.append(svg("path", { d: `M${scale(Math.min(...its)) - 4},${top + 8 + i * 9}H${scale(Math.max(...its)) + 4}`, stroke: "currentColor", "stroke-width": 4 }));
  });
  return node;
}

const shortened = (text, most) => (text.length > most ? `${text.slice(0, Math.max(3, most - 1))}…` : text);
