// --- figures below the tables of cost, overfitting and longer lengths -------------------------------------------------------------------------

function addCost(host) {
  const choices = [["sequences_per_second", "sequences per second"], ["parameters", "parameters"], ["state_size", "state size"], ["seconds_to_solve", "seconds to solve"]];
  choices.label = "Against";
  const draw = (width, measure) => {
    const scope = scopeOf("cost");
    const rows = rowsOf("cost", scope).filter((row) => known(row.mean) && row[measure] > 0);
    if (!rows.length) return {};
    const ends = measure === "sequences_per_second";
    const points = rows.map((row) => ({ row, x: row[measure], y: row.mean, title: `${row.architecture}\nskill ${interval(row)}\n${interval(row, "count", ["sequences_per_second", "sequences_per_second_low", "sequences_per_second_high"])} sequences per second\n${grouped(row.parameters)} parameters` }));
    const front = ends ? points.filter((point) => point.row.front).sort((a, b) => a.x - b.x) : [];
    // To the right of a point of the front nothing better is: the step goes down there.
    const node = picture(`Skill against ${of(Object.fromEntries(choices), measure)}, ${scope}: ${front.length ? `on the front are ${front.map((point) => point.row.architecture).join(", ")}` : `${points.length} architectures`}.`, {
      width, height: 380, marginRight: 24, x: { type: "log", inset: 24 }, y: skillAxis(),
      marks: [logAxis(ticksBetween(points.map((point) => point.x)), width, of(Object.fromEntries(choices), measure)), Plot.ruleY([0]),
        front.length > 1 && Plot.line(front, { x: "x", y: "y", curve: "step-before", stroke: "var(--muted)", strokeDasharray: "4 3", strokeWidth: 1.2 }),
        ...points.flatMap(({ row, x, y }) => {
          const className = `${lookOf(row.architecture).className}`;
          const stroke = colour(row.architecture);
          return [
            known(row.low) && known(row.high) && Plot.ruleX([row], { x, y1: row.low, y2: row.high, stroke, strokeWidth: 1.4, className }),
            ends && known(row.sequences_per_second_low) && known(row.sequences_per_second_high) && Plot.ruleY([row], { y, x1: row.sequences_per_second_low, x2: row.sequences_per_second_high, stroke, strokeWidth: 1.4, className }),
            Plot.dot([row], { x, y, symbol: symbolOf(row.architecture), fill: stroke, r: 5.5, className }),
            ends && row.front && Plot.dot([row], { x, y, r: 9.5, stroke: "var(--ink)", strokeWidth: 1.2 }),
          ].filter(Boolean);
        }),
        ...labelMarks(points, width), tipMark(points)].filter(Boolean),
    });
    return { node };
  };
  addFigure(host, { title: "What skill costs", choices, draw, follows: true,
    caption: ["Each point is an architecture with its skill and its cost, and their 95 % intervals. For speed, the upper right is better. Ringed and joined are the architectures on the front, which no other beats in both.", rowsOf("cost", DATA.scopes[0]).some((row) => !known(row.state_size)) && "An architecture whose state is not stated has no place on the axis of its size."].filter(Boolean) });
}

/** Names beside points, those left out that would cover another. */
function labelMarks(points, width) {
  const xs = points.map((point) => Math.log(point.x));
  const [x0, x1] = d3.extent(xs);
  const at = (point) => ({ left: ((Math.log(point.x) - x0) / (x1 - x0 || 1)) * (width - 120), top: 320 * (1 - point.y) });
  const taken = [];
  const free = (box) => box.left > -30 && box.left + box.width < width - 60 && taken.every((other) => box.left > other.left + other.width || box.left + box.width < other.left || Math.abs(box.top - other.top) > 15);
  for (const point of points) taken.push({ left: at(point).left - 7, width: 14, top: at(point).top });
  const ordered = [...points].sort((a, b) => Number(b.row.front) - Number(a.row.front));
  return ordered.map((point) => {
    const text = shortened(point.row.architecture, 22);
    const place = at(point);
    const length = text.length * 6.6 + 4;
    const options = [["start", 8, -13], ["end", -8, -13], ["start", 8, 13], ["end", -8, 13], ["start", 14, 0], ["end", -14, 0]];
    for (const [textAnchor, dx, dy] of options) {
      const box = { left: place.left + dx - (textAnchor === "end" ? length : 0), width: length, top: place.top + dy };
      if (free(box)) {
        taken.push(box);
        return Plot.text([text], { x: point.x, y: point.y, text: (d) => d, textAnchor, dx, dy, stroke: "var(--paper)", strokeWidth: 3, fill: "var(--ink)", paintOrder: "stroke", className: lookOf(point.row.architecture).className });
      }
    }
    return null;
  }).filter(Boolean);
}

function addOverfitting(host) {
  const words = { train_skill: "skill on training data", validation_skill: "skill on validation data", test_skill: "skill on test data", train_loss: "loss on training data", validation_loss: "loss on validation data", test_loss: "loss on test data" };
  const choices = DATA.overfitting_curves.flatMap((ladder) => {
    const measures = [...new Set(Object.values(ladder.curves).flatMap((its) => Object.keys(its)))];
    const order = ["test_skill", "train_skill", "validation_skill", "test_loss"];
    measures.sort((a, b) => (order.indexOf(a) + 99) % 99 - (order.indexOf(b) + 99) % 99);
    return measures.map((measure) => [{ ladder, measure }, `${ladder.ladder}: ${of(words, measure) || measure.replaceAll("_", " ")}`]);
  });
  choices.label = "Shown";
  const draw = (width, { ladder, measure }) => {
    const labels = drawnOf(Object.keys(ladder.curves)).filter((label) => of(of(ladder.curves, label), measure));
    const its = (label) => {
      const curve = of(of(ladder.curves, label), measure);
      return ladder.sizes.map((x, i) => ({ x, y: curve.mean[i], low: curve.low?.[i], high: curve.high?.[i], title: `${label}\n${grouped(x)} sequences: ${known(curve.mean[i]) ? fixed(curve.mean[i], 2) : NOTHING}` }));
    };
    const skill = measure.endsWith("skill");
    const title = of(words, measure) || measure.replaceAll("_", " ");
    const aside = dodged(labels, width, 4);
    const node = picture(`${title} against the size of the training set, ${ladder.ladder}, for ${labels.length} architectures.`, {
      width, height: 350, x: { type: "log", inset: aside.inset },
      y: skill ? skillAxis(title) : { label: title, grid: true, ticks: 5, nice: true },
      marks: [logAxis(ladder.sizes, width, "sequences in the training set"), skill && Plot.ruleY([0]), ...labels.flatMap((label, i) => seriesMarks(label, its(label), { band: false, whiskers: true, dx: aside.dx(i) })), tipMark(labels.flatMap(its))].filter(Boolean),
    });
    const numbers = [["architecture", ...ladder.sizes.map((size) => grouped(size))], labels.map((label) => [label, ...its(label).map((point) => interval(point, "number", ["y", "low", "high"]))])];
    return { node: html("div", {}, inlineLegend(labels), node), numbers };
  };
  addFigure(host, { title: "Against the size of the training set", choices, draw,
    caption: ["Each point is a mean over seeds with its 95 % interval; points are moved apart a little. The sooner a curve rises, the fewer sequences the architecture needs before what it learns holds on new ones."] });
}

function addLonger(host) {
  const tasks = LEVELS.filter((level) => DATA.longer.some((each) => each.task === level));
  const draw = (width, task) => {
    const points = DATA.longer.filter((each) => each.task === task);
    const ends = points[0].trained.split(" … ").map(Number); // a length, or both ends of a range
    const trained = ends.at(-1);
    const first = ends.length > 1 ? [] : rowsOf("memory", task)
      .filter((row) => known(row.mean)).map((row) => ({ ...row, length: trained, skill: row.mean }));
    const all = [...first, ...points];
    const lengths = [...new Set(all.map((each) => each.length))].sort((a, b) => a - b);
    const labels = drawnOf([...new Set(points.map((each) => each.architecture))]);
    const grows = new Set(rowsOf("memory", task).filter((row) => row.state_growth).map((row) => row.architecture));
    const text = (each) => `${interval(each, "number", ["skill", "low", "high"])}${grows.has(each.architecture) ? `, state ${grouped(each.state_size)}` : ""}`;
    const its = (label) => all.filter((each) => each.architecture === label).sort((a, b) => a.length - b.length)
      .map((each) => ({ x: each.length, y: each.skill, low: each.low, high: each.high, title: `${label}\nlength ${grouped(each.length)}: ${text(each)}` }));
    const aside = dodged(labels, width, 4);
    const node = picture(`Skill against sequence length on ${task}, trained at ${points[0].trained}, for ${labels.length} architectures.`, {
      width, height: 340, x: { type: "log", inset: aside.inset }, y: skillAxis(),
      marks: [logAxis(lengths, width, "length of the test sequences"), Plot.ruleY([0]), Plot.ruleX([trained], { stroke: "var(--muted)", strokeDasharray: "2 3" }),
        Plot.text([trained], { x: (d) => d, text: () => (ends.length > 1 ? `trained at ${points[0].trained}` : "trained"), frameAnchor: "top", textAnchor: "start", dx: 5, dy: 6, fill: "var(--muted)" }),
        ...labels.flatMap((label, i) => seriesMarks(label, its(label), { band: false, whiskers: true, dx: aside.dx(i) })),
        tipMark(labels.flatMap(its))],
    });
    const numbers = [["architecture", ...lengths.map((length) => `length ${grouped(length)}`)], labels.map((label) => [label, ...lengths.map((length) => {
      const each = all.find((one) => one.architecture === label && one.length === length);
      return each ? text(each) : NOTHING;
    })])];
    return { node: html("div", {}, inlineLegend(labels), node), numbers };
  };
  addFigure(host, { title: "Against the length of the test sequences", choices: tasks.map((task) => [task, task]), draw,
    caption: ["The same nets are tested on sequences that are longer than those of training, with 95 % intervals over seeds. A net whose line stays level has learned the task and not its length.", DATA.longer_note].filter(Boolean) });
}

function inlineLegend(labels) {
  return html("ul", { class: "inline-legend" }, labels.map((label) => html("li", {}, swatch(label), name(label))));
}
