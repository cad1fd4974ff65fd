// The mouse, fingers and keys

function listen(panel) {
  const { canvas } = panel;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const [x, y] = inside(panel, event);
    zoom(panel, Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
    point(panel, x, y);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => press(panel, event));
  canvas.addEventListener("pointermove", (event) => move(panel, event));
  canvas.addEventListener("pointerup", (event) => release(panel, event));
  canvas.addEventListener("pointercancel", (event) => {
    panel.fingers.delete(event.pointerId);
    endLasso(panel);
  });
  canvas.addEventListener("pointerleave", () => hover(panel, -1));
  canvas.addEventListener("dblclick", () => panel.hovered < 0 && fit(panel));
  canvas.addEventListener("keydown", (event) => type(panel, event));
  canvas.addEventListener("blur", () => hover(panel, -1));
}

function inside(panel, event) {
  const box = panel.canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function press(panel, event) {
  if (event.button) return;
  const here = inside(panel, event);
  panel.canvas.setPointerCapture(event.pointerId);
  panel.fingers.set(event.pointerId, { here, moved: 0 });
  const isLasso = (panel.isLasso || event.shiftKey) && !panel.data.control && panel.fingers.size === 1;
  panel.lasso = isLasso ? [here] : null;
}

function move(panel, event) {
  const here = inside(panel, event);
  const finger = panel.fingers.get(event.pointerId);
  if (!finger) return point(panel, ...here);
  const by = [here[0] - finger.here[0], here[1] - finger.here[1]];
  const others = [...panel.fingers.values()].filter((one) => one !== finger);
  if (panel.lasso) {
    panel.lasso.push(here);
    redraw(panel, true);
  } else if (others.length) {
    const gap = (place) => Math.hypot(place[0] - others[0].here[0], place[1] - others[0].here[1]);
    const middle = [(here[0] + others[0].here[0]) / 2, (here[1] + others[0].here[1]) / 2];
    pan(panel, by[0] / 2, by[1] / 2);
    zoom(panel, gap(here) / Math.max(1, gap(finger.here)), ...middle);
  } else {
    pan(panel, ...by);
  }
  finger.moved += Math.hypot(...by);
  finger.here = here;
  hover(panel, -1);
}

function release(panel, event) {
  const finger = panel.fingers.get(event.pointerId);
  panel.fingers.delete(event.pointerId);
  if (!finger) return;
  if (panel.lasso && panel.lasso.length > 2) gather(panel, panel.lasso);
  else if (finger.moved < CLICK) {
    point(panel, ...finger.here);
    open(panel, event.ctrlKey || event.metaKey);
  }
  endLasso(panel);
}

function type(panel, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const { width, height } = panel.camera;
  const acts = {
    ArrowLeft: () => pan(panel, width / 10, 0),
    ArrowRight: () => pan(panel, -width / 10, 0),
    ArrowUp: () => pan(panel, 0, height / 10),
    ArrowDown: () => pan(panel, 0, -height / 10),
    "+": () => zoom(panel, 1.25),
    "=": () => zoom(panel, 1.25),
    "-": () => zoom(panel, 1 / 1.25),
    0: () => fit(panel),
    Enter: () => open(panel, false),
    Escape: () => (panel.lasso ? endLasso(panel) : setLasso(panel, false)),
  };
  if (!(event.key in acts) || !panel.grid) return;
  event.preventDefault();
  event.stopPropagation();
  acts[event.key]();
  if (event.key === "Enter" || event.key === "Escape") return;
  point(panel, width / 2, height / 2, Math.min(width, height) / 8); // what is in the middle
  tell(panel, panel.hovered < 0 ? "" : panel.tip.textContent);
}

// Pointing and opening

function point(panel, x, y, radius = NEAR) {
  if (!panel.grid || panel.lasso) return;
  const rank = (at) => (panel.looks[4 * at] > 0 ? 1 : 0); // what is dimmed comes last
  hover(panel, panel.grid.nearest(...onMap(panel, x, y), radius / panel.camera.scale, rank));
}

function hover(panel, at) {
  if (panel.hovered === at) return;
  panel.hovered = at;
  panel.canvas.classList.toggle("pointing", at >= 0 && !panel.data.control);
  panel.tip.hidden = at < 0;
  if (at >= 0) drawTip(panel, at);
  redraw(panel, true);
}

function drawTip(panel, at) {
  const { part, data, tip, camera } = panel;
  const rows = data.control ? [make("b", "", "A random direction")] : tipRows(panel, part, at);
  tip.replaceChildren(...rows);
  const [x, y] = onScreen(panel, panel.places[2 * at], panel.places[2 * at + 1]);
  const box = tip.getBoundingClientRect();
  const left = x + 14 + box.width > camera.width ? x - 14 - box.width : x + 14;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, Math.min(camera.height - box.height, y + 12))}px`;
}

function tipRows(panel, part, at) {
  const rows = [make("b", "", `Feature ${part.feature[at]}`)];
  const [label, isProgram] = panel.labels.get(at) ?? [];
  if (label) rows.push(make("div", isProgram ? "label program" : "label", label));
  const chips = make("div", "chips");
  for (let rank = 0; rank < 3; rank++) {
    const token = part.promoted[3 * at + rank];
    if (token >= 0) chips.append(make("span", "chip", part.tokens[token]));
  }
  if (chips.childElementCount) rows.push(chips);
  const name = part.clusters.find((one) => one.number === part.cluster[at])?.name ?? "none";
  const [effect, draws] = [part.effect[at], part.draws[at]];
  const facts = [
    ["density", short(part.density[at])],
    ["cluster", name],
    ["KL", Number.isNaN(effect) ? "not measured" : `above ${+((effect * draws) / 100).toFixed(1)} of ${draws} random`],
  ];
  for (const [word, value] of facts) {
    const row = make("div", "fact");
    row.append(make("span", "", word), make("bdi", "", value));
    rows.push(row);
  }
  return rows;
}

function short(value) {
  if (value === 0 || Math.abs(value) >= 100) return String(Math.round(value));
  if (Math.abs(value) >= 1e-3) return value.toPrecision(3);
  return value.toExponential(2);
}

function open(panel, isElsewhere) {
  if (panel.hovered < 0 || panel.data.control) return;
  const feature = panel.part.feature[panel.hovered];
  if (isElsewhere) window.open(panel.data.href + feature, "_blank", "noopener");
  else panel.send("open", feature);
}

// The lasso

function setLasso(panel, is) {
  panel.isLasso = is;
  panel.toggle.setAttribute("aria-pressed", is);
  panel.canvas.classList.toggle("lasso", is);
}

function endLasso(panel) {
  panel.lasso = null;
  redraw(panel, true);
}

function gather(panel, lasso) {
  const polygon = lasso.map(([x, y]) => onMap(panel, x, y));
  const found = panel.grid.inside(polygon);
  const n = found.length.toLocaleString("en");
  const most = panel.data.most.toLocaleString("en");
  if (!found.length) return tell(panel, "No point lies inside.");
  if (found.length > panel.data.most) {
    return tell(panel, `${n} points lie inside; a list holds ${most}. Zoom in, or draw a smaller one.`);
  }
  tell(panel, `${n} points lie inside.`);
  setLasso(panel, false);
  panel.send("lasso", found.map((at) => panel.part.feature[at]));
}
