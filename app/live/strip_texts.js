// The texts

function drawTexts(panel) {
  cross(panel, null);
  panel.waiting.clear();
  panel.shaded = [];
  panel.views = panel.data.texts.map((text, at) => drawText(panel, text, at));
  panel.texts.dataset.count = panel.views.length;
  panel.texts.replaceChildren(...panel.views.map((view) => view.section));
}

function drawText(panel, text, at) {
  const view = { at, n: text.ids.length, selected: new Set(), last: 0, width: 0 };
  view.section = make("section");
  const head = make("h3", "", text.title);
  view.picked = make("span", "picked");
  view.clear = make("button", "clear", "clear");
  view.clear.type = "button";
  view.clear.title = "Select no token";
  view.clear.addEventListener("click", () => {
    view.spans[view.last]?.focus({ preventScroll: true }); // the button is about to go
    select(panel, view, new Set());
  });
  head.append(make("small", "", text.detail), view.picked, view.clear);
  view.legend = make("span", "legend");
  head.append(view.legend);
  view.box = make("div", "passage");
  view.box.dataset.text = at;
  view.box.setAttribute("role", "group");
  view.box.setAttribute("aria-label", `Tokens of ${text.title || "the text"}`);
  view.spans = text.ids.map((id, pos) => {
    const [raw, shown] = text.tokens[id];
    const words = raw.includes("\n") ? shown.replaceAll("↵", "↵\n") : (shown ?? raw);
    const span = make("span", "token", words);
    span.dataset.pos = pos;
    span.tabIndex = pos === 0 ? 0 : -1;
    span.setAttribute("role", "button");
    view.box.append(span);
    return span;
  });
  view.section.append(head, view.box);
  return view;
}

function tokenAt(panel, target) {
  const span = target.closest?.(".token");
  if (!span) return null;
  return { view: panel.views[span.closest(".passage").dataset.text], pos: Number(span.dataset.pos) };
}

function clickToken(panel, event) {
  const found = tokenAt(panel, event.target);
  const isSelecting = event.detail > 0 && String(getSelection()).length > 0;
  if (found && !isSelecting) toggle(panel, found.view, found.pos, event.shiftKey);
}

function toggle(panel, view, pos, isRange) {
  if (panel.data.selected[view.at] === null) return;
  const selected = new Set(view.selected);
  if (isRange) {
    for (let at = Math.min(pos, view.last); at <= Math.max(pos, view.last); at++) selected.add(at);
  } else if (!selected.delete(pos)) {
    selected.add(pos);
  }
  view.last = pos;
  select(panel, view, selected);
}

function select(panel, view, selected) {
  view.selected = selected;
  const positions = inOrder(selected);
  sent(panel, view.at, positions);
  markTokens(panel, view);
  // A state, because of two triggers sent while the script runs Streamlit keeps only the later one;
  // with the time, because selecting again what the script has dropped is a change too.
  const all = panel.views.map((one) => inOrder(one.selected));
  panel.keep("tokens", { text: view.at, positions, selected: all, time: Date.now() });
}

function inOrder(positions) {
  return [...positions].sort((a, b) => a - b);
}

function markTokens(panel, view) {
  view.spans.forEach((span, pos) => {
    const isSelected = view.selected.has(pos);
    if (span.getAttribute("aria-pressed") !== String(isSelected)) span.setAttribute("aria-pressed", isSelected);
  });
  const n = view.selected.size;
  view.picked.textContent = n ? `${n} selected` : "";
  view.clear.hidden = !n;
  view.clear.setAttribute("aria-label", `Clear the ${n} selected`);
  drawMarks(panel, view);
}

function drawMarks(panel, view) {
  const { at, selected } = view;
  panel.frame.style.setProperty(`--marks-${at}`, lines(view, selected, "var(--mark)", "transparent"));
  panel.frame.style.setProperty(`--tint-${at}`, lines(view, selected, "transparent", "var(--mark-tint)"));
}

// Runs of positions as a CSS background: upright lines left and right of each, a tint between. In
// whole pixels: the browser loses a line that lies between two.
function lines(view, positions, line, tint) {
  const stops = [];
  const edge = (pos) => Math.floor((pos * view.width) / view.n) / devicePixelRatio;
  for (let pos = 0; pos < view.n && view.width; pos++) {
    if (!positions.has(pos)) continue;
    const left = Math.max(1, edge(pos)); // stays inside at either end
    while (positions.has(pos + 1)) pos++;
    const right = Math.min(edge(view.n) - 1, edge(pos + 1));
    stops.push(`transparent ${left - 1}px`, `${line} ${left - 1}px ${left}px`, `${tint} ${left}px ${right}px`);
    stops.push(`${line} ${right}px ${right + 1}px`, `transparent ${right + 1}px`);
  }
  return stops.length ? `linear-gradient(90deg, ${stops.join(", ")})` : "none";
}

function pressInText(panel, event) {
  const found = tokenAt(panel, event.target);
  if (!found || event.altKey || event.ctrlKey || event.metaKey) return;
  const { view, pos } = found;
  const isToggle = event.key === "Enter" || event.key === " ";
  const moves = {
    ArrowLeft: () => pos - 1,
    ArrowRight: () => pos + 1,
    ArrowUp: () => lineAway(view, pos, -1),
    ArrowDown: () => lineAway(view, pos, 1),
    Home: () => 0,
    End: () => view.n - 1,
  };
  if (event.key === "Escape") event.target.blur();
  if (!isToggle && !(event.key in moves)) return;
  event.preventDefault();
  event.stopPropagation();
  if (isToggle) toggle(panel, view, pos, event.shiftKey);
  else view.spans[moves[event.key]()]?.focus();
}

// The token that stands nearest to this one in the line above or below.
function lineAway(view, pos, way) {
  const boxes = (at) => view.spans[at].getClientRects()[0] ?? view.spans[at].getBoundingClientRect();
  const here = boxes(pos);
  let [best, top, distance] = [pos, null, Infinity];
  for (let at = pos + way; at >= 0 && at < view.n; at += way) {
    const box = boxes(at);
    if (Math.abs(box.top - here.top) < 4) continue;
    top ??= box.top;
    if (Math.abs(box.top - top) >= 4) break;
    if (Math.abs(box.left - here.left) < distance) [best, distance] = [at, Math.abs(box.left - here.left)];
  }
  return best;
}
