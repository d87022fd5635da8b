// --- the gradients through time of all architectures -----------------------------------------------------------------------

const MOMENTS = [["start", "before training", undefined], ["half", "half-way", "5 3"], ["end", "at the end", "2 2"]];
const GRADIENTS = [["gradient", "through the state"], ["input_gradient", "from output to input"]];
const MOVES = { gradient: "the state some steps ago still moves the state now", input_gradient: "the input some steps ago still moves the output now" };

function addGradients(host) {
  const rowsAt = (level, moment, kind) => Object.entries(of(DATA.rows, level) || {}).filter(([, row]) => row[kind]?.[moment]);
  const kinds = GRADIENTS.filter(([kind]) => LEVELS.some((level) => MOMENTS.some(([moment]) => rowsAt(level, moment, kind).length)));
  const choices = LEVELS.flatMap((level) => MOMENTS.filter(([moment]) => kinds.some(([kind]) => rowsAt(level, moment, kind).length))
    .map(([moment, words]) => [{ level, moment, words }, `${level}, ${words}`]));
  if (!choices.length) return;
  choices.label = "Task and moment";
  kinds.label = "Gradient";
  const stateless = Object.values(DATA.rows).some((rows) => Object.values(rows).some((row) => row.input_gradient && !row.gradient));
  kinds.first = stateless ? kinds.length - 1 : 0;
  const draw = (width, { level, moment, words }, kind) => {
    const rows = new Map(rowsAt(level, moment, kind));
    const labels = drawnOf([...rows.keys()]);
    const its = (label) => {
      const curve = rows.get(label)[kind];
      const [means, reaches] = [curve[moment], curve[`${moment}_reach`]];
      const ends = (i) => (known(reaches[i]) ? { low: means[i] - reaches[i], high: means[i] + reaches[i] } : {});
      return curve.lag.map((x, i) => ({ x, y: means[i], ...ends(i) }))
        .map((point) => ({ ...point, title: `${label}\nlag ${grouped(point.x)}: ${interval(point, "number", ["y", "low", "high"])}` }));
    };
    const lags = [...new Set(labels.flatMap((label) => rows.get(label)[kind].lag))].sort((a, b) => a - b);
    const all = labels.flatMap(its);
    const said = GRADIENTS.find(([each]) => each === kind)[1];
    const node = labels.length && picture(`Logarithm of the norm of the gradient ${said} against the lag on ${level}, ${words}, for ${labels.length} architectures.`, {
      width, height: 350, x: { type: "log", inset: 16 }, y: { label: "log₁₀ norm", grid: true, ticks: 6, nice: true },
      marks: [logAxis(lags, width, "lag, steps"), Plot.ruleY([0]), ...labels.flatMap((label) => seriesMarks(label, its(label))), tipMark(all)],
    });
    const at = (label, lag) => its(label).find((point) => point.x === lag);
    const numbers = [["architecture", "its gradient", ...lags.map((lag) => `lag ${grouped(lag)}`)], labels.map((label) => [label, rows.get(label)[`${kind}_words`][moment] || NOTHING,
      ...lags.map((lag) => (known(at(label, lag)?.y) ? interval(at(label, lag), "number", ["y", "low", "high"]) : NOTHING))])];
    const others = kinds.flatMap(([other]) => rowsAt(level, moment, other).map(([label]) => label));
    const missing = drawnOf(others.filter((label) => !rows.has(label)));
    const why = kind === "gradient" ? "there is no gradient through a state of constant size" : "it was not measured";
    const note = missing.length > 0 && ["Not drawn, because ", why, ": ", missing.flatMap((label, i) => [i ? ", " : "", name(label)]), "."];
    return { node, numbers, note };
  };
  const moved = kinds.map(([kind, words]) => `The gradient ${words} is how much a change of ${MOVES[kind]}.`);
  addFigure(host, { title: "Gradient through time", choices, kinds, draw,
    caption: [...moved, "Each line is the mean over seeds of its log₁₀ norm, with the 95 % band. A line that falls forgets, and one that rises explodes. A gradient that lasts is not yet a memory, so read it beside the skill."] });
}
