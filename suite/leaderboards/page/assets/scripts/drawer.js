// --- the drawer: everything about one row ----------------------------------------------------------------------------------

function sheet(dialog, id, title, ...children) {
  const close = html("button", { type: "button", class: "quiet close", onclick: () => dialog.close() }, "Close");
  const body = html("div", { class: "sheet" }, html("header", {}, title.swatch && swatch(title.swatch), html("h2", { id, tabindex: -1 }, title.text), close), children);
  dialog.replaceChildren(body);
  return body;
}

/** Opens a dialog; when it closes, the focus goes back to what opened it, even where that was drawn anew. */
function openDialog(dialog, back) {
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("h2").focus({ preventScroll: true });
  dialog.onclose = () => {
    dialog.replaceChildren();
    const target = back();
    if (target) target.focus();
  };
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
}

function rowButton(label) {
  return [...document.querySelectorAll("[role=tabpanel]:not([hidden]) .open")].find((button) => button.dataset.row === label);
}

function openRow(label, level = null) {
  const levels = LEVELS.filter((each) => of(of(DATA.rows, each), label));
  state.row = label;
  state.level = levels.includes(level) ? level : levels.includes(state.scope) ? state.scope : levels[0] ?? null;
  const dialog = byId("drawer");
  const place = html("div", {});
  const body = sheet(dialog, "drawer-title", { swatch: label, text: name(label) });
  const choose = (next) => {
    state.level = next;
    if (select) select.value = next;
    dialog.querySelectorAll("tr[data-level]").forEach((row) => row.classList.toggle("current", row.dataset.level === next));
    drawLevel(place, label, next);
    remember();
  };
  const select = levels.length > 1 ? html("select", { id: "drawer-level", onchange: () => choose(select.value) }, levels.map((each) => html("option", { value: each }, each))) : null;
  const show = (each) => { choose(each); select?.scrollIntoView({ block: "nearest" }); };
  body.append(...[variantOf(label) && html("p", {}, "The architecture and its settings: ", html("bdi", {}, html("code", {}, variantOf(label))), "."), FAMILY.get(label) && html("p", {}, "Its family: ", html("bdi", {}, FAMILY.get(label)), "."), DATA.scopes.length > 1 && summaryTable(label, levels, show),
    levels.length ? html("p", { class: "level" }, select ? html("label", { for: "drawer-level" }, "Task") : null, select || name(levels[0])) : null,
    levels.length ? place : html("p", { class: "nothing" }, "No task of this architecture has been finished.")].filter(Boolean));
  openDialog(dialog, () => {
    state.row = state.level = null;
    remember();
    return rowButton(label);
  });
  if (levels.length) choose(state.level);
}

function summaryTable(label, levels, show) {
  const rows = DATA.scopes.map((scope) => [scope, rowsOf("memory", scope).find((row) => row.architecture === label)]).filter(([, row]) => row);
  const columns = TABLES.get("memory").columns.filter((column) => ["rank", "mean", "group", "solve_rate", "steps", "parameters", "state_size"].includes(column.key));
  const side = (column) => (column.left ? "" : "right");
  const cell = (row, column) => (column.kind === "skill" ? skillCell(row, "td", 90, 24) : html("td", { class: side(column) }, cellText(row, column)[0], column.kind === "state" && cellText(row, column)[1] && html("div", { class: "ci" }, cellText(row, column)[1])));
  const line = ([scope, row]) => html("tr", { "data-level": scope },
    html("th", { scope: "row" }, levels.length > 1 && levels.includes(scope) ? html("button", { type: "button", class: "link", onclick: () => show(scope) }, name(scope)) : name(scope)),
    columns.map((column) => cell(row, column)));
  return html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "on every task, table" }, html("table", { class: "plain" },
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "task"), columns.map((column) => html("th", { scope: "col", class: side(column) }, column.heading)))),
    html("tbody", {}, rows.map(line))));
}

function drawLevel(place, label, level) {
  const row = DATA.rows[level][label];
  const parts = [tuning(row, label), seedsOf(row, label, level), curvesOf(row, label), horizonOf(label, level), gradientOf(row), configuration(row), commands(row)];
  place.replaceChildren();
  // Pictures measure their place, so it has to stand in the page first.
  for (const part of parts.filter(Boolean)) {
    place.append(part.node);
    if (part.draw) part.draw();
  }
}

function tuning(row, label) {
  const searched = Object.entries(row.params);
  const edges = new Set(row.edges);
  const pairs = searched.map(([key, value]) => html("div", {}, html("dt", {}, name(key)), html("dd", {}, html("code", {}, plainText(value)), edges.has(key) && " ", edges.has(key) && html("span", { class: "edge", title: "The best value lies at an edge of what was searched, so a better one may lie beyond." }, "⚠ at the edge"))));
  const both = [["untuned default", row.default_validation, row.default_remark], ["chosen trial", row.tuned_validation]].filter(([, value]) => known(value)).map(([what, mean, remark]) => [what, { mean, low: null, high: null, remark }]);
  const [mean, low, high] = row.evaluated_validation;
  const evaluated = [`mean of ${row.seeds.length} fresh seed${row.seeds.length === 1 ? "" : "s"}`, row.seeds.length > 1 ? { mean, low, high } : { mean, low: null, high: null }];
  const compared = both.length > 0 && html("table", { class: "plain" }, html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "trial"), html("th", { scope: "col" }, "validation skill"))),
    html("tbody", {}, [...both, evaluated].map(([what, skill]) => html("tr", {}, html("th", { scope: "row" }, what), skillCell({ architecture: label, ...skill }, "td", 110, 24)))));
  return { node: html("div", { class: "two" },
    html("div", {}, html("h3", {}, "Chosen hyper-parameters"), searched.length ? html("dl", { class: "pairs" }, pairs) : html("p", { class: "nothing" }, "Untuned: nothing was searched.")),
    html("div", {}, html("h3", {}, "Untuned against tuned"), compared || html("p", { class: "nothing" }, "There were no trials."),
      both.length === 2 && html("p", { class: "how" }, `The search gained ${signed(both[1][1].mean - both[0][1].mean)} on its own seed. The best of several trials owes a part of its skill to the luck of that seed, which fresh seeds do not repeat.`))) };
}

function seedsOf(row, label, level) {
  const place = html("div", { class: "drawing strip", style: `--c: ${colour(label)}` });
  const whole = rowsOf("memory", level).find((each) => each.architecture === label);
  const skillOf = (i) => (known(row.skills[i]) ? `${fixed(row.skills[i], 3)}${row.diverged.includes(row.seeds[i]) ? ", diverged" : ""}` : NOTHING);
  const table = plainTable(["seed", "skill", "steps to solve", "run"], row.seeds.map((seed, i) => [String(seed), skillOf(i), known(row.steps_to_solve[i]) ? grouped(row.steps_to_solve[i]) : "not solved", html("span", { class: "key" }, row.keys[i] || "")]));
  const node = html("div", {}, html("h3", {}, `Skill of ${row.seeds.length} seed${row.seeds.length === 1 ? "" : "s"}`),
    html("p", {}, "Each dot is a seed, on test data. The line below the dots is the mean with its 95 % interval."), place,
    html("details", {}, html("summary", {}, "Each seed"), html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "seeds, table" }, table)));
  const draw = () => {
    const dots = row.skills.map((skill, i) => ({ skill, title: `seed ${row.seeds[i]}: skill ${skillOf(i)}` })).filter((dot) => known(dot.skill));
    const [above, below, lift] = [4, 30, 16];
    const r = dots.length <= 30 ? 4 : 2;
    const strip = (height) => picture(`Skill of each seed: ${dots.map((dot) => dot.title).join("; ")}.`, { width: widthOf(place), height, marginLeft: 10, marginRight: 10, marginTop: above, marginBottom: below,
      x: { domain: [0, 1], ticks: 5, label: null, grid: true, inset: 6 }, y: { axis: null, domain: [0, 1], range: [height - below, height - below - 70] },
      marks: [whole && known(whole.low) && Plot.ruleY([whole], { y: 0.06, x1: "low", x2: "high", stroke: colour(label), strokeWidth: 2.5 }),
        whole && known(whole.mean) && Plot.dot([whole], { x: "mean", y: 0.06, fill: colour(label), stroke: "var(--paper)", r: 4 }),
        Plot.dot(dots, Plot.dodgeY({ anchor: "bottom", padding: 1 }, { x: "skill", r, fill: colour(label), fillOpacity: 0.75, title: "title", dy: -lift }))].filter(Boolean) });
    // Seeds of one skill stand on each other, and only the drawing tells how high.
    const drawn = strip(104);
    const top = d3.min(drawn.querySelectorAll("circle"), (dot) => Number(dot.getAttribute("cy"))) - lift - r;
    place.replaceChildren(top < above ? strip(104 + above - top) : drawn);
  };
  return { node, draw };
}

function steps(curve, key) {
  return curve.step.map((x, i) => ({ x, y: curve[key]?.[i], low: curve[`${key}_low`]?.[i], high: curve[`${key}_high`]?.[i] })).filter((point) => known(point.y));
}

/** Of a logarithmic axis, the ticks that are powers of ten, as plain numbers. */
function powerOfTen(value) {
  const power = Math.log10(value);
  return Math.abs(power - Math.round(power)) < 1e-9 ? String(Number(value.toPrecision(1))) : "";
}

function curvesOf(row, label) {
  const { curve } = row;
  if (!curve || !curve.step.length) return null;
  const skill = html("div", { class: "drawing" }), loss = html("div", { class: "drawing" });
  const node = html("div", {}, html("h3", {}, "Learning curves"), html("p", {}, "The line is the mean over seeds, and the band reaches from the lowest to the highest seed."),
    html("div", { class: "two" }, html("div", {}, html("h4", {}, "validation skill"), skill), html("div", {}, html("h4", {}, "loss: training solid, validation dashed"), loss)));
  const draw = () => {
    const points = steps(curve, "skill").map((point) => ({ ...point, title: `step ${grouped(point.x)}: ${fixed(point.y, 2)}` }));
    skill.replaceChildren(picture("Validation skill against training steps.", { width: widthOf(skill), height: 220, x: { label: "step", ticks: 5, tickFormat: compact }, y: skillAxis(null), marks: [Plot.ruleY([0]), ...seriesMarks(label, points, { dots: points.length < 20 }), tipMark(points)] }));
    const train = steps(curve, "train_loss").map((point) => ({ ...point, title: `training, step ${grouped(point.x)}: ${plainText(Number(point.y.toPrecision(3)))}` }));
    const validation = steps(curve, "validation_loss").map((point) => ({ ...point, title: `validation, step ${grouped(point.x)}: ${plainText(Number(point.y.toPrecision(3)))}` }));
    const both = [...train, ...validation];
    if (!both.length) { loss.replaceChildren(html("p", { class: "nothing" }, "No losses were recorded.")); return; }
    const [low, high] = d3.extent(both, (point) => point.y);
    const log = low > 0 && high / low > 30;
    loss.replaceChildren(picture("Loss on training and validation data against training steps.", { width: widthOf(loss), height: 220, x: { label: "step", ticks: 5, tickFormat: compact }, y: { label: null, grid: true, ticks: log ? 4 : 5, type: log ? "log" : "linear", zero: !log, nice: true, ...(log && { tickFormat: powerOfTen }) },
      marks: [Plot.lineY(train, { x: "x", y: "y", stroke: "var(--training)", strokeWidth: 1.7 }), Plot.lineY(validation, { x: "x", y: "y", stroke: "var(--validation)", strokeWidth: 1.7, strokeDasharray: "5 3" }), tipMark(both)] }));
  };
  return { node, draw };
}

const compact = (value) => (value >= 10000 ? `${plainText(value / 1000)}k` : grouped(value));

/** The horizons on the ladders that a level belongs to. */
function horizonOf(label, level) {
  const ladders = DATA.horizons.filter((each) => each.levels.includes(level) && each.points.some((point) => point.architecture === label));
  if (!ladders.length) return null;
  const places = ladders.map(() => html("div", { class: "drawing" }));
  const node = html("div", {}, html("h3", {}, "Memory horizon"), ladders.map((each, i) => html("div", {},
    html("h4", {}, `${each.ladder}, ${HORIZON_KINDS[each.kind]}: d50 = ${each.fits.find((fit) => fit.architecture === label)?.text ?? NOTHING}`), places[i])));
  return { node, draw: () => ladders.forEach((each, i) => places[i].replaceChildren(horizonDrawing(widthOf(places[i]), each, [label]).node)) };
}

function gradientOf(row) {
  const kinds = GRADIENTS.filter(([kind]) => row[kind]);
  if (!kinds.length) return null;
  const places = kinds.map(() => html("div", { class: "drawing" }));
  const parts = kinds.map(([kind, words], i) => html("div", {}, html("h4", {}, words), saidOfGradient(row, kind).map((sentence) => html("p", {}, sentence)), places[i]));
  const node = html("div", {}, html("h3", {}, "Gradient through time"),
    html("p", {}, `The curves show how much a change of ${kinds.map(([kind]) => MOVES[kind]).join(", or of ")}, as the logarithm of the norm against the lag. A level curve remembers and a falling one forgets; a gradient that lasts is not yet a memory.`),
    !row.gradient && html("p", { class: "how" }, "There is no gradient through a state of constant size."), html("div", { class: kinds.length > 1 ? "two" : "" }, parts));
  return { node, draw: () => kinds.forEach(([kind, words], i) => places[i].replaceChildren(gradientPicture(row[kind], words, widthOf(places[i])))) };
}

function saidOfGradient(row, kind) {
  const said = row[`${kind}_words`];
  return MOMENTS.filter(([moment]) => row[kind][moment] && said[moment]).map(([moment, words]) => `The gradient ${words} ${said[moment]}.`);
}

function gradientPicture(curve, said, width) {
  const moments = MOMENTS.filter(([key]) => curve[key]);
  const log = curve.lag[0] > 0;
  const tones = { start: "var(--muted)", half: "var(--training)", end: "var(--validation)" };
  const points = moments.flatMap(([key, words]) => curve.lag.map((x, i) => ({ x, y: curve[key][i], key, title: `${words}, lag ${x}: ${known(curve[key][i]) ? fixed(curve[key][i], 2) : NOTHING}` })));
  const seen = points.filter((point) => known(point.y));
  const ends = moments.map(([key, words]) => ({ words, point: seen.filter((point) => point.key === key).at(-1) })).filter((each) => each.point);
  return picture(`Logarithm of the norm of the gradient ${said} against the lag, ${moments.map(([, words]) => words).join(", ")}.`, { width, height: 240, marginRight: 110,
    x: { type: log ? "log" : "linear", label: "lag, steps", ticks: 6 }, y: { label: "log₁₀ norm", grid: true, ticks: 5, nice: true },
    marks: [log && logAxis(curve.lag, width - 100, "lag, steps"), ...moments.map(([key, , dash]) => Plot.lineY(points.filter((point) => point.key === key), { x: "x", y: "y", stroke: tones[key], strokeWidth: 1.7, strokeDasharray: dash })),
      ...apart(ends, seen).map((each) => Plot.text([each], { x: each.point.x, y: each.y, text: "words", textAnchor: "start", dx: 8, fill: tones[each.point.key] })), tipMark(seen)].filter(Boolean) });
}

/** Labels at the ends of lines, moved apart where they would cover each other. */
function apart(ends, points) {
  const [low, high] = d3.extent(points, (point) => point.y);
  const gap = ((high - low) || 1) * 0.075;
  const ordered = [...ends].sort((a, b) => a.point.y - b.point.y).map((each) => ({ ...each, y: each.point.y }));
  ordered.forEach((each, i) => { if (i && each.y - ordered[i - 1].y < gap) each.y = ordered[i - 1].y + gap; });
  return ordered;
}

function flattened(value, prefix = "") {
  return Object.entries(value).flatMap(([key, part]) => (part !== null && typeof part === "object" && !Array.isArray(part)
    ? flattened(part, `${prefix}${key}.`)
    : [[`${prefix}${key}`, typeof part === "number" ? String(part) : plainText(part)]]));
}

function configuration(row) {
  const node = html("div", {}, html("h3", {}, "Configuration"), html("div", { class: "config" }, Object.entries(row.config).map(([part, value]) => html("section", {}, html("h4", {}, name(part)),
    html("dl", { class: "pairs" }, flattened(value ?? {}).map(([key, text]) => html("div", {}, html("dt", {}, name(key)), html("dd", {}, text))))))));
  return { node };
}

function commands(row) {
  const pre = html("pre", { tabindex: 0, "aria-label": "Command" }, row.command);
  return { node: html("div", {}, html("h3", {}, "Do it again"), html("div", { class: "code" }, pre, html("button", { type: "button", class: "quiet", onclick: () => copy(row.command) }, "Copy"))) };
}
