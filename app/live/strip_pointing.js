// The mouse and the focus

function point(panel, event) {
  const key = event?.target.closest?.("tbody tr")?.dataset.key ?? null;
  if (key !== panel.hovered) {
    panel.hovered = key;
    shade(panel);
  }
  const found = event && (tokenAt(panel, event.target) ?? cellAt(panel, event));
  cross(panel, found);
  if (found) showTip(panel, found, event.clientX + 12, event.clientY + 16, event.clientY - 6);
  else panel.tip.style.display = "none";
}

function cellAt(panel, event) {
  const strip = event.target.closest?.(".strip");
  const view = panel.views[strip?.dataset.text];
  if (!view?.n) return null;
  const box = strip.getBoundingClientRect();
  const pos = Math.floor(((event.clientX - box.left) / box.width) * view.n);
  return { view, pos: Math.max(0, Math.min(view.n - 1, pos)) };
}

function focusMoved(panel, target) {
  const isVisible = target?.matches?.(":focus-visible");
  const found = target && tokenAt(panel, target);
  const key = (isVisible && target.closest("tbody tr")?.dataset.key) || null;
  if (key !== panel.focused) {
    panel.focused = key;
    shade(panel);
  }
  if (found) {
    found.view.spans.forEach((span, pos) => (span.tabIndex = pos === found.pos ? 0 : -1));
    if (!isVisible) return; // the mouse did it, and shows its own tip
    const box = target.getBoundingClientRect();
    showTip(panel, found, box.left, box.bottom + 6, box.top - 6);
  } else {
    panel.tip.style.display = "none";
  }
  cross(panel, found);
}

// One position marked in its text and through all strips.
function cross(panel, found) {
  const span = found && found.view.spans[found.pos];
  if (panel.crossed === span) return;
  panel.crossed?.classList.remove("crossed");
  panel.crossed = span;
  span?.classList.add("crossed");
  for (const view of panel.views) {
    const line = found?.view === view ? lines(view, new Set([found.pos]), "var(--cross)", "transparent") : "none";
    panel.frame.style.setProperty(`--cross-${view.at}`, line);
  }
}

function showTip(panel, { view, pos }, left, below, above) {
  const text = panel.data.texts[view.at];
  const [raw, , quoted] = text.tokens[text.ids[pos]];
  const row = shownRow(panel);
  const parts = [make("b", "", quoted ?? JSON.stringify(raw))];
  if (row) {
    const strip = row.strips[view.at];
    const value = strip.val[strip.pos.indexOf(pos)] ?? 0;
    parts.push(make("span", "", `${nameOf(panel, row)}: ${String(value).replace("-", "−")}`));
  }
  parts.push(make("span", "", `position ${pos} of ${view.n}`));
  panel.tip.replaceChildren(...parts);
  panel.tip.style.display = "grid";
  const size = panel.tip.getBoundingClientRect();
  panel.tip.style.left = `${Math.max(4, Math.min(left, innerWidth - size.width - 8))}px`;
  panel.tip.style.top = `${below + size.height > innerHeight ? above - size.height : below}px`;
}
