"""The script of the page: it reads the figures, and draws what a limit means wherever it is said.

Texts become text nodes, never markup, so that no name can turn into an element.
"""

__all__ = ["SCRIPT"]

SCRIPT = r"""
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const [nodes, last] = [data.nodes, data.stops.length - 1];
const free = data.stops[last];
const ROLES = {
  TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell",
};
const PARTS = {
  packed: "packed weights that are kept",
  activations: "activations that are still needed",
  saved: "saved for the backward pass",
  gradients: "gradients",
  workspace: "workspace of the call, with what it packs for itself",
};
const PHASES = {f: "forward", a: "again", b: "backward"};

// ---- figures

function unroll(steps) {
  let value = 0;
  return steps.map((step) => (value += step));
}
for (const stop of data.stops) {
  stop.at = unroll(stop.at);
  stop.bytes = stop.bytes.map(unroll);
  stop.total = stop.at.map((_, k) => stop.bytes.reduce((sum, part) => sum + part[k], 0));
  stop.high = new Map(); // node -> the moment of its most bytes
  stop.at.forEach((node, k) => {
    const known = stop.high.get(node);
    if (known === undefined || stop.total[k] > stop.total[known]) stop.high.set(node, k);
  });
}
const shown = data.parts.filter((_, p) => data.stops.some((s) => s.bytes[p].some((n) => n > 0)));
const most = Math.max(1, ...data.stops.map((stop) => stop.peak));
const STATE = ["rows", "activations", "workspace", "packed", "saved", "lent", "again", "forward",
  "backward"];
function state(stop, node) {
  const values = data.states[stop.states[node]];
  return Object.fromEntries(STATE.map((name, k) => [name, values[k]]));
}

function formatBytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (size >= 1024 && unit < 4) {
    size /= 1024;
    unit += 1;
  }
  if (size % 1) {
    const factor = size >= 100 ? 1 : size >= 10 ? 10 : 100;
    const [whole, rest] = [Math.floor(size * factor), (size * factor) % 1];
    size = (whole + (rest > 0.5 || (rest === 0.5 && whole % 2) ? 1 : 0)) / factor;
  }
  return `${size} ${units[unit]}`;
}
function formatCount(count) {
  const units = ["", " thousand", " million", " billion", " trillion"];
  let unit = 0;
  while (count >= 1000 && unit < 4) {
    count /= 1000;
    unit += 1;
  }
  return `${count >= 100 ? Math.round(count) : Number(count.toPrecision(3))}${units[unit]}`;
}
function formatSeconds(seconds) {
  const [value, unit] = seconds >= 1 ? [seconds, "s"] : [seconds * 1e3, "ms"];
  return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${unit}`;
}
function formatMore(value, than) {
  const more = than > 0 ? (value / than - 1) * 100 : 0;
  if (more < 0.05) return more < -0.05 ? `${(-more).toFixed(1)} % less` : "the same";
  if (more >= 100) return `${(more / 100 + 1).toPrecision(2)} times as much`;
  return `${more.toFixed(more < 10 ? 1 : 0)} % more`;
}
const limitText = (stop) => (stop.limit === null ? "no limit" : formatBytes(stop.limit));
function rowsText(stop) {
  if (stop.rows.every((rows) => rows === data.batch)) return `all ${data.batch} at once`;
  return `${stop.rows.join(", then ")} of ${data.batch} at a time`;
}
const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

// ---- elements

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
function cell(name, kind, ...children) {
  return make("td", {"data-name": name, class: kind}, ...children);
}
function head(id, names) {
  for (const [name, kind] of names) {
    get(id).append(make("th", {scope: "col", class: kind || "", role: "columnheader"}, name));
  }
}
function rowHead(title, below) {
  const small = below ? [make("small", {}, below)] : [];
  return make("th", {scope: "row", role: "rowheader"}, make("bdi", {}, title), ...small);
}
const percent = (part, whole) => `${(100 * part / whole).toFixed(3)}%`;

// ---- what stays as it is

const input = get("limit");
const chosenRows = [];
function chosenAt(stop, convolution) {
  return state(stop, convolution.node)[convolution.back ? "backward" : "forward"].split(" and ");
}

function start() {
  const mode = data.training ? "A step of training" : "Inference";
  get("name").append(data.name);
  get("subject").append(
    `${mode} on a batch of ${data.batch}: ${formatCount(data.multiplyAdds)} multiply-adds ` +
    `forward, beside ${formatBytes(data.parameterBytes)} of parameters, which no limit counts.`);
  input.max = last;
  input.value = data.start;
  get("least").append(limitText(data.stops[0]));
  get("hint").append(
    `The slider stops at ${count(last, "limit", "limits")} for which there are plans, ` +
    "and at no limit. Arrow keys go one further; Home is the least that is possible.");
  get("layers-note").append(
    "In running order. A bar is what is alive while the layer runs" +
    (data.training ? ", forward or backward, whichever is more." : ".") +
    (data.estimated.length ? " Layers with * state no costs: what they take beside their output " +
      "is in no figure." : ""));
  get("run-note").append(data.training
    ? "What is alive at each moment of a step: forward, the loss, and backward."
    : "What is alive while each layer runs, from the first to the last.");
  for (const part of shown) {
    get("legend").append(make("li", {}, make("i", {class: part}), PARTS[part]));
  }
  document.body.classList.toggle("training", data.training);
  startLayers();
  startConvolutions();
  startStops();
  for (const element of document.querySelectorAll("table, thead, tbody, tr, td")) {
    element.setAttribute("role", ROLES[element.tagName]);
  }
}

function startLayers() {
  head("layers-head", [["layer"], ["runs as"], ["output", "number"], ["workspace", "number"],
    ["packed", "number"], ...(data.training ? [["saved", "number"]] : []), ["alive", "alive"]]);
  const starred = new Set(data.estimated);
  nodes.forEach(([id, layer], at) => {
    get("layers").tBodies[0].append(make("tr", {}, rowHead(id + (starred.has(at) ? " *" : ""),
      layer)));
  });
}

function startConvolutions() {
  const convolutions = data.convolutions;
  if (!convolutions.length) {
    get("convolutions-section").hidden = get("to-convolutions").hidden = true;
    return;
  }
  const order = ["im2col", "direct", "im2col_tiled", "winograd"];
  const names = order.filter((name) => convolutions.some((c) => name in c.costs));
  const largest = Math.max(1, ...convolutions.flatMap((c) =>
    Object.values(c.costs).map((cost) => cost[0])));
  head("convolutions-head", [["convolution"], ...names.map((name) => [name])]);
  for (const convolution of convolutions) {
    const row = make("tr", {}, rowHead(nodes[convolution.node][0],
      data.training ? convolution.pass : ""));
    for (const name of names) {
      const cost = convolution.costs[name];
      if (!cost) {
        row.append(cell(name, "half"));
        continue;
      }
      const [workspace, packed, seconds] = cost;
      const filled = make("span", {
        class: name.startsWith("im2col") ? "unfolded" : "one",
        style: {width: percent(workspace, largest)},
      });
      const below = make("small", {}, `${formatSeconds(seconds)}` +
        (packed ? `, packed ${formatBytes(packed)}` : ""));
      row.append(cell(name, "half", make("b", {}, formatBytes(workspace)),
        make("div", {class: "bar thin", "aria-hidden": "true"}, filled), below));
    }
    get("convolutions").tBodies[0].append(row);
    chosenRows.push([row, convolution, names]);
  }
  const worst = convolutions.reduce((a, b) =>
    (b.costs.im2col[0] - b.costs.direct[0] > a.costs.im2col[0] - a.costs.direct[0] ? b : a));
  get("convolutions-note").append(
    "Workspace of every algorithm, for the whole batch and without a memory limit, with packed " +
    "weights and the estimated time on one thread. Most of all, im2col would unfold ",
    formatBytes(worst.costs.im2col[0]), " in ", make("bdi", {}, nodes[worst.node][0]),
    data.training ? ` (${worst.pass})` : "",
    `, where direct takes ${formatBytes(worst.costs.direct[0])}. A tick marks what runs at the ` +
    "limit that the slider shows.");
}

function startStops() {
  head("stops-head", [["limit"], ["peak", "number"],
    data.training ? ["computed again", "number"] : ["at a time", "number"],
    ["estimated time", "number"], ["peak at"]]);
  for (const stop of data.stops) {
    const part = data.training
      ? ["again", layersAgain(stop).length ? `${count(layersAgain(stop).length, "layer", "layers")
        }, ${formatCount(stop.again)} multiply-adds` : "nothing"]
      : ["at a time", stop.rows.join(", then ")];
    get("stops").tBodies[0].append(make("tr", {}, rowHead(limitText(stop)),
      cell("peak", "number", formatBytes(stop.peak)),
      cell(part[0], "number", part[1]),
      cell("time", "number", stop.seconds ? formatSeconds(stop.seconds) : "unknown"),
      cell("at", "", make("bdi", {}, stop.where))));
  }
}

// ---- what follows the slider

function layersAgain(stop) {
  return nodes.map((_, at) => at).filter((at) => state(stop, at).again);
}
function others(stop) {
  return nodes.filter((_, at) => {
    const [now, then] = [state(stop, at), state(free, at)];
    return now.forward !== then.forward || now.backward !== then.backward;
  }).length;
}
function lending(stop) {
  return nodes.filter((_, at) => {
    const now = state(stop, at);
    return now.lent && now.packed && !state(free, at).lent;
  }).length;
}

function show() {
  const stop = data.stops[Number(input.value)];
  get("chosen").textContent = limitText(stop);
  input.setAttribute("aria-valuetext", limitText(stop));
  showSummary(stop);
  showPrice(stop);
  showRun(stop);
  showLayers(stop);
  for (const [row, convolution, names] of chosenRows) {
    const taken = chosenAt(stop, convolution);
    const index = data.convolutions.filter((c) =>
      c.node === convolution.node && c.back === convolution.back).indexOf(convolution);
    names.forEach((name, k) => {
      row.cells[k + 1].classList.toggle("taken", name === (taken[index] || taken[0]));
    });
  }
  [...get("stops").tBodies[0].rows].forEach((row, k) => {
    row.classList.toggle("here", k === Number(input.value));
    if (k === Number(input.value)) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  });
}

function showSummary(stop) {
  const again = layersAgain(stop);
  const within = stop.limit === null ? "Without a limit" : `Within ${formatBytes(stop.limit)}`;
  const parts = [`${within} the peak is ${formatBytes(stop.peak)}`];
  if (data.training) {
    parts.push(again.length
      ? `${again.length} of ${count(nodes.length, "layer is", "layers are")} computed again`
      : "nothing is computed again");
  } else if (data.batch > 1) {
    parts.push(rowsText(stop));
  }
  const changed = others(stop);
  if (changed) parts.push(`${count(changed, "layer takes", "layers take")} another algorithm`);
  if (stop.limit !== null && stop.seconds) {
    parts.push(`estimated time ${formatMore(stop.seconds, free.seconds)}`);
  }
  get("summary").textContent = `${parts.join("; ")}.`;

  const layers = (number) => (number ? count(number, "layer", "layers") : "none");
  const figures = [
    ["Peak", formatBytes(stop.peak), stop.where ? `at ${stop.where}` : ""],
    ["Estimated time", stop.seconds ? formatSeconds(stop.seconds) : "unknown",
      "convolutions on one thread" + (data.training ? "" : ", and smaller runs")],
    ["Other algorithms", layers(changed), "than without a limit"],
  ];
  if (data.training) {
    const share = (100 * stop.again / Math.max(1, data.multiplyAdds)).toFixed(1);
    figures.push(["Computed again", layers(again.length), ""],
      ["Multiply-adds again", stop.again ? formatCount(stop.again) : "none",
        `${share} % of the forward pass`]);
  } else {
    if (data.batch > 1) figures.push(["Rows of the batch", rowsText(stop), ""]);
    figures.push(["Packing for each call", layers(lending(stop)), "more than without a limit"]);
  }
  get("figures").replaceChildren(...figures.map(([name, value, below]) => make("div", {},
    make("dt", {}, name), make("dd", {}, value, make("small", {}, make("bdi", {}, below))))));
}

function showPrice(stop) {
  const known = free.seconds > 0;
  const values = data.stops.map((s) => (known ? s.seconds / free.seconds
    : 1 + s.again / Math.max(1, data.multiplyAdds)));
  const [low, high] = [Math.min(...values), Math.max(...values, Math.min(...values) * 1.01)];
  const x = (k) => (last ? 1000 * k / last : 500);
  const y = (value) => 92 - 84 * (value - low) / (high - low);
  const points = values.map((value, k) => `${x(k)} ${y(value).toFixed(2)}`);
  get("price-curve").setAttribute("d", `M${points.join("L")}`);
  const at = Number(input.value);
  const what = known ? "Estimated time" : "Multiply-adds";
  const times = (value) => `${value.toFixed(2)} times`;
  for (const old of get("price").querySelectorAll("span, i")) old.remove();
  get("price").append(make("i", {
    class: "dot", style: {left: `${x(at) / 10}%`, top: `${y(values[at])}%`},
  }));
  get("price").setAttribute("aria-label", `${what} over the limit: from ${times(values[0])} ` +
    `at ${limitText(data.stops[0])} to ${times(values[last])} without one.`);
  get("price-text").textContent = `${what} over the limit, from ${times(values[0])} at ` +
    `${limitText(data.stops[0])}; here ${times(values[at])} that without a limit.`;
}

function showRun(stop) {
  const moments = stop.at.length;
  const high = get("scale").checked ? Math.max(1, stop.peak) : most;
  const x = (k, of = moments) => (1000 * k / Math.max(1, of)).toFixed(2);
  const y = (size) => (300 - 280 * size / high).toFixed(2);
  const below = new Array(moments).fill(0);
  for (const path of get("run").querySelectorAll("[class^=fill]")) {
    const part = stop.bytes[data.parts.indexOf(path.getAttribute("class").slice(5))];
    const [up, down] = [[], []];
    for (let k = 0; k < moments; k += 1) {
      const top = below[k] + part[k];
      up.push(`${x(k)} ${y(top)}L${x(k + 1)} ${y(top)}`);
      down.push(`${x(k + 1)} ${y(below[k])}L${x(k)} ${y(below[k])}`);
      below[k] = top;
    }
    path.setAttribute("d", moments ? `M${up.join("L")}L${down.reverse().join("L")}Z` : "");
  }
  const bands = [...stop.phases].map((phase, k) => (phase === "a"
    ? `M${x(k)} 0H${x(k + 1)}V300H${x(k)}Z` : ""));
  get("run-again").setAttribute("d", bands.join(""));
  const outline = free.total.map((size, k) =>
    `${x(k, free.total.length)} ${y(size)}H${x(k + 1, free.total.length)}`);
  get("run-free").setAttribute("d", stop === free ? "" : `M${outline.join("L")}`);
  get("run-bound").setAttribute("d", stop.limit === null || stop.limit > high * 1.05 ? ""
    : `M0 ${y(stop.limit)}H1000`);
  for (const old of get("run").querySelectorAll("span")) old.remove();
  const k = stop.total.indexOf(Math.max(...stop.total));
  const share = moments ? (k + 0.5) / moments : 0;
  const side = share > 0.5 ? {right: `${100 - 100 * share}%`} : {left: `${100 * share}%`};
  const label = make("span", {style: {...side, top: "0"}}, `peak ${formatBytes(stop.peak)}`);
  label.style.top = `calc(${y(stop.peak) / 3}% - 1.1rem)`;
  get("run").append(label);
  const loss = stop.phases.indexOf("l");
  get("run-loss").setAttribute("d", loss < 0 ? "" : `M${x(loss + 0.5)} 0V300`);
  const peak = `${formatBytes(stop.peak)}${stop.where ? ` at ${stop.where}` : ""}`;
  get("run").setAttribute("aria-label", `Bytes alive at ${moments} moments; the peak is ${peak}.`);
  get("run-text").replaceChildren(`${count(moments, "moment", "moments")}, the peak ${
    formatBytes(stop.peak)}`, ...(stop.where ? [" at ", make("bdi", {}, stop.where)] : []),
    stop.limit === null ? "." : "; the dashed line is the limit, the thin outline the run without.",
    data.training ? " The upright line is the loss: forward is to its left, backward to its right."
      : "", layersAgain(stop).length ? " Grey stretches are computed again." : "");
}

function showLayers(stop) {
  const scale = get("scale").checked ? Math.max(1, stop.peak) : most;
  const top = Math.max(...stop.total);
  nodes.forEach((_, at) => {
    const row = get("layers").tBodies[0].rows[at];
    while (row.cells.length > 1) row.cells[1].remove();
    const [now, then] = [state(stop, at), state(free, at)];
    const k = stop.high.get(at);
    const runs = [];
    const names = [now.forward, now.backward && now.backward !== now.forward
      ? `${now.backward} backward` : ""].filter(Boolean).join("; ");
    if (names) runs.push(names);
    const was = [then.forward, then.backward && then.backward !== then.forward
      ? `${then.backward} backward` : ""].filter(Boolean).join("; ");
    if (was !== names) runs.push(" ", make("small", {}, `instead of ${was}`));
    const tags = [];
    if (now.again) tags.push("computed again");
    if (now.rows !== data.batch) tags.push(`${now.rows} at a time`);
    if (now.lent && now.packed && !then.lent) tags.push("packs each call");
    for (const tag of tags) runs.push(" ", make("span", {class: "tag"}, tag));
    const sizes = ["activations", "workspace", "packed", ...(data.training ? ["saved"] : [])];
    const segments = data.parts.map((part, p) => make("span", {
      class: part, style: {width: percent(stop.bytes[p][k], scale)},
    }));
    const cells = [
      cell("", "runs", ...runs),
      ...sizes.map((size) => cell(size === "activations" ? "output" : size, "number",
        now[size] ? formatBytes(now[size]) : "")),
      cell("alive", "alive wide", make("div", {class: "amount"},
        make("span", {}, formatBytes(stop.total[k]) +
          (data.training ? ` ${PHASES[stop.phases[k]]}` : "")),
        make("div", {class: "bar", "aria-hidden": "true"}, ...segments))),
    ];
    for (const one of cells) one.setAttribute("role", "cell");
    cells[0].removeAttribute("data-name");
    row.append(...cells);
    row.classList.toggle("peak", stop.total[k] === top);
  });
}

input.addEventListener("input", show);
get("scale").addEventListener("change", show);
start();
show();
"""
