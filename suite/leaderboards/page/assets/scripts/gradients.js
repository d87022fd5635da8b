// --- the gradients through time of all architectures -----------------------------------------------------------------------

const MOMENTS = [["start", "before training", undefined], ["half", "half-way", "5 3"], ["end", "at the end", "2 2"]];

function addGradients(host) {
  const rowsAt = (level, moment) => Object.entries(of(DATA.rows, level) || {}).filter(([, row]) => row.gradient?.[moment]);
  const choices = LEVELS.flatMap((level) => MOMENTS.filter(([moment]) => rowsAt(level, moment).length)
    .map(([moment, words]) => [{ level, moment, words }, `${level}, ${words}`]));
  if (!choices.length) return;
  choices.label = "Task and moment";
  const draw = (width, { level, moment, words }) => {
    const rows = new Map(rowsAt(level, moment));
    const labels = drawnOf([...rows.keys()]);
    const its = (label) => {
      const { gradient } = rows.get(label);
      const [means, reaches] = [gradient[moment], gradient[`${moment}_reach`]];
      const ends = (i) => (known(reaches[i]) ? { low: means[i] - reaches[i], high: means[i] + reaches[i] } : {});
      return gradient.lag.map((x, i) => ({ x, y: means[i], ...ends(i) }))
        .map((point) => ({ ...point, title: `${label}\nlag ${grouped(point.x)}: ${interval(point, "number", ["y", "low", "high"])}` }));
    };
    const lags = [...new Set(labels.flatMap((label) => rows.get(label).gradient.lag))].sort((a, b) => a - b);
    const all = labels.flatMap(its);
    const node = labels.length && picture(`Logarithm of the gradient's norm against the lag on ${level}, ${words}, for ${labels.length} architectures.`, {
      width, height: 350, x: { type: "log", inset: 16 }, y: { label: "log₁₀ norm", grid: true, ticks: 6, nice: true },
      marks: [logAxis(lags, width, "lag, steps"), Plot.ruleY([0]), ...labels.flatMap((label) => seriesMarks(label, its(label))), tipMark(all)],
    });
    const at = (label, lag) => its(label).find((point) => point.x === lag);
    const numbers = [["architecture", "its gradient", ...lags.map((lag) => `lag ${grouped(lag)}`)], labels.map((label) => [label, rows.get(label).gradient_words[moment] || NOTHING,
      ...lags.map((lag) => (known(at(label, lag)?.y) ? interval(at(label, lag), "number", ["y", "low", "high"]) : NOTHING))])];
    return { node, numbers };
  };
  addFigure(host, { title: "Gradient through time", choices, draw,
    caption: ["Each line is how much a change some steps ago still moves the state now: the mean over seeds of log₁₀ norm, with its 95 % band. A line that falls forgets, and one that rises explodes. A gradient that lasts is not yet a memory, so read it beside the skill."] });
}
