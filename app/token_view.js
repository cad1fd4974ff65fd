// Contexts with each token shaded by its activation.
//
// data: { tokens: [[raw, shown, quoted]], groups: [{title, detail, rows}], scale, effect_scale, view,
// breaks }. A row with `removed` says what becomes of its tokens when the feature is removed.
// Tokens reach the page through textContent alone: whatever they hold, they stay text.

const VIEWS = [
  ["stacked", "Stacked", 40, "One line each, the sampled token in one column"],
  ["snippet", "Snippet", 16, "16 tokens before and after the sampled one"],
  ["full", "Full", Infinity, "The whole context"],
];
// Shades from which black is read better than white, on a dark page.
const STRONG = { active: 0.58, negative: 0.7 };
const LEAST_LINE = 0.02; // of the largest effect: a smaller one is not underlined
let isUnderlined = true; // kept until the page is loaded again
const panels = new WeakMap(); // one per mounted component; a rerun keeps its elements

export default function ({ data, parentElement, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel) {
    panel = build(parentElement);
    panels.set(parentElement, panel);
  }
  panel.send = setTriggerValue;
  panel.data = data;
  panel.view = data.view;
  panel.breaks = data.breaks;
  paint(panel);
}

function build(parent) {
  const panel = { root: make("div", "view"), tip: make("div", "tip"), buttons: {} };
  const bar = make("div", "bar");
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "How contexts are shown");
  for (const [view, label, , title] of VIEWS) {
    panel.buttons[view] = button(bar, label, title, () => choose(panel, { view }));
  }
  panel.breakButton = button(bar, "Line breaks", "Break lines where the text does", () =>
    choose(panel, { breaks: !panel.breaks }),
  );
  panel.underlineButton = button(bar, "Underlines", "Underline tokens by what removing the feature does to them", () => {
    isUnderlined = !isUnderlined;
    showUnderlines(panel);
  });
  panel.legend = make("span", "legend");
  bar.append(panel.legend);
  panel.underlines = make("div", "underlines");
  panel.list = make("div", "groups");
  panel.tip.setAttribute("role", "tooltip");
  panel.root.append(bar, panel.underlines, panel.list, panel.tip);
  parent.append(panel.root);
  panel.list.addEventListener("mousemove", (event) => showTip(panel, event.target, event));
  panel.list.addEventListener("mouseleave", () => hideTip(panel));
  panel.list.addEventListener("focusin", (event) => showTip(panel, event.target));
  panel.list.addEventListener("focusout", () => hideTip(panel));
  panel.list.addEventListener("keydown", (event) => moveFocus(panel, event));
  return panel;
}

function button(parent, label, title, onClick) {
  const made = make("button", "", label);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", onClick);
  parent.append(made);
  return made;
}

function choose(panel, change) {
  Object.assign(panel, change);
  paint(panel);
  panel.send("shown", { view: panel.view, breaks: panel.breaks });
}

function paint(panel) {
  const { data, view } = panel;
  for (const [name, made] of Object.entries(panel.buttons)) {
    made.setAttribute("aria-pressed", String(name === view));
  }
  panel.breakButton.setAttribute("aria-pressed", String(panel.breaks));
  panel.breakButton.disabled = view === "stacked";
  panel.root.dataset.view = view;
  panel.root.dataset.feature = data.feature;
  paintLegend(panel);
  paintUnderlines(panel);
  panel.rows = [];
  panel.list.replaceChildren(...data.groups.map((group) => drawGroup(panel, group)));
}

function paintLegend(panel) {
  const { scale, has_negative: hasNegative } = panel.data;
  const parts = [make("span", "ramp"), make("span", "", panel.data.scale_text)];
  if (hasNegative) parts.unshift(make("span", "", "−" + panel.data.scale_text), make("span", "ramp negative"), make("span", "", "0"));
  else parts.unshift(make("span", "", "0"));
  panel.legend.replaceChildren(...(scale ? parts : []));
  panel.legend.title = "Shade of a token: logarithmic, the same for all contexts of this feature";
}

function paintUnderlines(panel) {
  const rows = panel.data.groups.flatMap((group) => group.rows);
  const n = rows.filter((row) => row.removed).length;
  panel.hasUnderlines = n > 0;
  const sample = (kind) => {
    const made = make("span", kind, "token");
    made.style.setProperty("--effect", "1");
    return made;
  };
  panel.underlines.replaceChildren(
    sample("helped"),
    make("span", "", "less likely without the feature"),
    sample("hurt"),
    make("span", "", "likelier without it"),
    make("span", "more", `full colour ${panel.data.effect_text} nats · known for ${n} of ${rows.length} contexts`),
  );
  showUnderlines(panel);
}

function showUnderlines(panel) {
  panel.underlineButton.hidden = !panel.hasUnderlines;
  panel.underlineButton.setAttribute("aria-pressed", String(isUnderlined));
  panel.root.classList.toggle("underlined", panel.hasUnderlines && isUnderlined);
}

function drawGroup(panel, group) {
  const section = make("section");
  const head = make("h3", "", group.title);
  head.append(make("small", "", group.detail));
  const list = make("div", "rows");
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", group.title);
  list.append(...group.rows.map((row) => drawRow(panel, row)));
  section.append(head, list);
  return section;
}

function drawRow(panel, row) {
  const reach = VIEWS.find(([name]) => name === panel.view)[2];
  const at = panel.rows.push(row) - 1;
  const line = make("div", "row");
  line.setAttribute("role", "listitem");
  line.setAttribute("aria-label", `activation ${row.activation}, ${row.document}`);
  const value = make("span", "value", row.activation);
  value.title = row.removed ? `${row.exact}\nwithout the feature: ${row.removed.facts}` : row.exact;
  const text = make("div", "text");
  text.dataset.row = at;
  const first = Math.max(0, row.peak - reach);
  const last = Math.min(row.tokens.length, row.peak + reach + 1);
  const activations = new Map(row.pos.map((pos, i) => [pos, row.act[i]]));
  row.effects = new Map(row.removed?.pos.map((pos, i) => [pos, row.removed.effect[i]]));
  const spans = (from, to) => {
    const made = [];
    for (let pos = from; pos < to; pos++) {
      made.push(drawToken(panel, row, pos, activations.get(pos) ?? 0));
    }
    return made;
  };
  if (panel.view === "stacked") {
    const left = make("span", "left");
    const inner = make("span");
    inner.append(...spans(first, row.peak));
    left.append(inner);
    const right = make("span", "right");
    right.append(...spans(row.peak, last));
    text.append(left, right);
  } else {
    text.append(...(first > 0 ? [make("i", "cut", "…")] : []), ...spans(first, last));
    if (last < row.tokens.length) text.append(make("i", "cut", "…"));
  }
  const tools = make("span", "tools");
  if (panel.data.is_live) {
    const live = button(tools, "live", "Run this context again on Live", () => panel.send("live", row.context));
    live.setAttribute("aria-label", "Run this context again on Live");
  }
  const copy = button(tools, "copy", "Copy the whole context as text", () => copyText(panel, row, copy));
  copy.setAttribute("aria-label", "Copy this context");
  line.append(value, text, tools);
  if (row.removed) line.append(drawRemoved(panel, row));
  return line;
}

// Stacked, a line has room for little: the rest is in the tip of its activation.
function drawRemoved(panel, { removed }) {
  const isStacked = panel.view === "stacked";
  const made = make("small", "removed", isStacked ? removed.kl : `without the feature: ${removed.facts}`);
  made.title = `At ${removed.n} with a next one`;
  return made;
}

function drawToken(panel, row, pos, activation) {
  const [raw, shown] = panel.data.tokens[row.tokens[pos]];
  const isBroken = panel.breaks && panel.view !== "stacked" && raw.includes("\n");
  const span = make("span", "token", isBroken ? shown.replaceAll("↵", "↵\n") : (shown ?? raw));
  span.dataset.pos = pos;
  if (pos === row.peak) {
    span.classList.add("peak");
    span.tabIndex = 0;
  }
  if (activation) {
    const share = Math.min(1, Math.abs(activation) / panel.data.scale);
    const shade = 0.05 + 0.95 * Math.log10(1 + 9 * share);
    span.style.setProperty("--shade", shade.toFixed(3));
    span.dataset.activation = activation;
    const hue = activation > 0 ? "active" : "negative";
    span.classList.add(hue);
    if (shade > STRONG[hue]) span.classList.add("strong");
  }
  const effect = row.effects.get(pos) ?? 0;
  const share = Math.abs(effect) / panel.data.effect_scale;
  if (effect && share >= LEAST_LINE) {
    span.style.setProperty("--effect", (0.15 + 0.85 * share).toFixed(3));
    span.classList.add(effect > 0 ? "helped" : "hurt");
  }
  return span;
}

function showTip(panel, target, mouse) {
  const span = target.closest?.(".token");
  if (!span) return hideTip(panel);
  const row = panel.rows[span.closest(".text").dataset.row];
  const pos = Number(span.dataset.pos);
  const [raw, , quoted] = panel.data.tokens[row.tokens[pos]];
  const activation = Number(span.dataset.activation ?? 0);
  const value = pos === row.peak ? row.exact : activation ? `${activation.toPrecision(4)} ± ${row.step.toPrecision(1)}` : "0";
  panel.tip.replaceChildren(
    make("b", "", quoted ?? JSON.stringify(raw)),
    make("span", "", `activation ${value}`),
    ...effectWords(row.effects.get(pos)),
    make("span", "", `position ${pos} of context ${row.context}`),
    make("span", "", `${row.document}, token ${row.start + pos}`),
  );
  panel.tip.style.display = "grid";
  const box = span.getBoundingClientRect();
  const left = mouse ? mouse.clientX + 12 : box.left;
  const below = (mouse ? mouse.clientY + 16 : box.bottom + 6);
  const size = panel.tip.getBoundingClientRect();
  panel.tip.style.left = `${Math.max(4, Math.min(left, innerWidth - size.width - 8))}px`;
  panel.tip.style.top = `${below + size.height > innerHeight ? box.top - size.height - 6 : below}px`;
}

function effectWords(effect) {
  if (effect === undefined) return [];
  const change = effect ? `${effect > 0 ? "−" : "+"}${Math.abs(effect).toPrecision(2)}` : "0";
  return [make("span", "", `removing the feature changes its log-probability by ${change} nats`)];
}

function hideTip(panel) {
  panel.tip.style.display = "none";
}

// Arrows walk over tokens once one has the focus (Tab reaches each row's sampled token).
function moveFocus(panel, event) {
  const span = event.target.closest?.(".token");
  if (!span || event.altKey || event.ctrlKey || event.metaKey) return;
  const tokens = [...span.closest(".text").querySelectorAll(".token")];
  const peaks = [...panel.list.querySelectorAll(".peak")];
  const line = peaks.findIndex((peak) => peak.closest(".text") === span.closest(".text"));
  const next = {
    ArrowLeft: tokens[tokens.indexOf(span) - 1],
    ArrowRight: tokens[tokens.indexOf(span) + 1],
    ArrowUp: peaks[line - 1],
    ArrowDown: peaks[line + 1],
  };
  if (event.key === "Escape") span.blur();
  if (!(event.key in next)) return;
  event.preventDefault();
  event.stopPropagation();
  const target = next[event.key];
  if (!target) return;
  if (target.tabIndex < 0) target.setAttribute("tabindex", "-1");
  target.focus({ preventScroll: event.key === "ArrowLeft" || event.key === "ArrowRight" });
}

async function copyText(panel, row, copy) {
  const text = row.tokens.map((token) => panel.data.tokens[token][0]).join("");
  try {
    await navigator.clipboard.writeText(text);
    copy.textContent = "copied";
  } catch {
    copy.textContent = "not allowed"; // the browser lends the clipboard to secure pages only
  }
  setTimeout(() => (copy.textContent = "copy"), 1500);
}
