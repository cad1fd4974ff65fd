// A map of points that can be moved, pointed at and lassoed.
//
// data: { map, control, colour, legend, found, chosen, marked, label, caption, file, most, href }
// `map` names the parts that parts.js keeps; `found` and `chosen` hold a bit for each point, `marked`
// is a feature's number or -1. The control draws random directions and can only be looked at.
// Triggers: open (feature), lasso ([feature]).
// Names, labels and tokens reach the page through textContent and fillText alone.

const parts = (globalThis[Symbol.for("feature browser: parts of maps")] ??= new Map());
const panels = new WeakMap(); // one per mounted component; a rerun keeps its camera
const NEAR = 9; // pixels between the mouse and the point that it points at
const CLICK = 4; // pixels that a hand may move while it clicks
const DEEPEST = 400; // times the first scale
const MOST_NAMES = 60;

// Okabe and Ito's colours, as they can be told apart on white and on black.
const THEMES = {
  light: {
    clusters: ["0072b2", "d55e00", "009e73", "cc79a7", "8c6d00", "56b4e9", "7b4fa3", "e69f00"],
    none: "b9b9b9", text: "171717", ground: "ffffff", accent: "0f766e",
    ramp: ["c7e9b4", "7fcdbb", "41b6c4", "2c7fb8", "253494"],
  },
  dark: {
    clusters: ["4ba3e3", "f0803c", "2bc79a", "e79bc7", "d9c23f", "8ed0f7", "b08be0", "f2b134"],
    none: "5c5c5c", text: "ededed", ground: "171717", accent: "2dd4bf",
    ramp: ["2a4b8d", "2c7fb8", "41b6c4", "7fcdbb", "e9f7a5"],
  },
};
const VERDICTS = [null, "0d9463", "d08700", "dc3d3d", "808080"]; // as everywhere in the app
const SHAPES = [0, 0, 1, 2, 3];

export default function ({ data, parentElement, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel) {
    panel = build(parentElement);
    panels.set(parentElement, panel);
  }
  panel.data = data;
  panel.send = setTriggerValue;
  adopt(panel);
  return () => setTimeout(() => {
    if (panel.root.isConnected) return; // only drawn anew
    window.removeEventListener("feature-browser-map-part", panel.onPart);
    panel.theme.removeEventListener("change", panel.onPart);
    panel.sizes.disconnect();
    panel.points.release();
    panels.delete(parentElement);
  });
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function build(parent) {
  const panel = {
    root: element("div", "map"),
    bar: element("div", "bar"),
    stage: element("div", "stage"),
    canvas: element("canvas", "points"),
    over: element("canvas", "over"),
    tip: element("div", "tip"),
    legend: element("div", "legend"),
    said: element("span", "said"),
    camera: { x: 0, y: 0, scale: 1, width: 1, height: 1 },
    fingers: new Map(),
    hovered: -1,
    lasso: null,
    isLasso: false,
    widths: new Map(),
    frame: 0,
  };
  panel.root.setAttribute("role", "group");
  panel.canvas.tabIndex = 0;
  panel.tip.hidden = true;
  panel.canvas.setAttribute("role", "application");
  panel.tip.setAttribute("role", "tooltip");
  panel.said.setAttribute("role", "status");
  panel.stage.append(panel.canvas, panel.over, panel.tip);
  panel.root.append(panel.bar, panel.stage, panel.legend);
  parent.append(panel.root);
  panel.points = renderer(panel.canvas);
  buttons(panel);
  listen(panel);
  panel.onPart = () => adopt(panel);
  panel.theme = matchMedia("(prefers-color-scheme: dark)");
  panel.theme.addEventListener("change", panel.onPart);
  window.addEventListener("feature-browser-map-part", panel.onPart);
  panel.canvas.addEventListener("restored", () => redraw(panel));
  panel.sizes = new ResizeObserver(() => resized(panel));
  panel.sizes.observe(panel.stage);
  return panel;
}

function buttons(panel) {
  const button = (words, title, act) => {
    const made = element("button", "", words);
    made.type = "button";
    made.title = title;
    made.addEventListener("click", act);
    panel.bar.append(made);
    return made;
  };
  panel.toggle = button("Lasso", "Draw around points to list them; or hold Shift and drag", () => setLasso(panel, !panel.isLasso));
  button("+", "Zoom in (+)", () => zoom(panel, 1.5)).setAttribute("aria-label", "Zoom in");
  button("−", "Zoom out (−)", () => zoom(panel, 1 / 1.5)).setAttribute("aria-label", "Zoom out");
  button("Reset view", "All points (0, or a double click)", () => fit(panel));
  button("PNG", "Save what is seen as a picture", () => save(panel));
  panel.bar.append(panel.said);
  setLasso(panel, false);
}

// What is drawn

function adopt(panel) {
  const { data } = panel;
  const part = parts.get(`points ${data.map}`);
  const said = parts.get(`said ${data.map}`);
  panel.root.classList.toggle("control", data.control);
  panel.canvas.setAttribute("aria-label", data.label);
  if (!part || !(said || data.control)) return tell(panel, "Loading the map …");
  if (panel.part !== part) {
    panel.part = part;
    panel.places = data.control ? part.control_place : part.place;
    panel.n = panel.places.length / 2;
    panel.grid = pickingGrid(panel.places);
    panel.points.place(panel.places);
    panel.widths.clear();
    fit(panel);
  }
  panel.labels = new Map(data.control ? [] : said.labels.map(([at, ...label]) => [at, label]));
  panel.verdicts = said?.verdict;
  panel.look = THEMES[isDark(panel) ? "dark" : "light"];
  panel.font = getComputedStyle(panel.root).fontFamily;
  const isNews = panel.marked !== data.marked;
  panel.marked = data.marked;
  panel.at = data.marked < 0 ? -1 : part.feature.indexOf(data.marked);
  paint(panel);
  drawLegend(panel);
  tell(panel, panel.points.isSlow ? "Drawn without WebGL, which this browser does not offer: slower." : "");
  if (isNews && panel.at >= 0) show(panel, panel.at);
  redraw(panel);
}

function isDark(panel) {
  const ground = rgb(getComputedStyle(panel.root).getPropertyValue("--st-background-color").trim().replace("#", ""));
  return ground[0] + ground[1] + ground[2] < 384;
}

function rgb(hex) {
  const number = parseInt(hex || "ffffff", 16);
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255];
}

function bits(text, n) {
  if (!text) return null;
  const bytes = atob(text);
  return Uint8Array.from({ length: n }, (_, at) => (bytes.charCodeAt(at >> 3) >> (at & 7)) & 1);
}

function paint(panel) {
  const { data, n } = panel;
  const found = bits(data.found, n);
  const chosen = bits(data.chosen, n);
  const none = rgb(panel.look.none);
  const colourOf = colouring(panel, none);
  const colours = new Uint8Array(4 * n);
  const looks = new Uint8Array(4 * n);
  const order = new Uint32Array(n);
  let [below, above] = [0, n];
  const isVerdict = !data.control && data.colour === "verdict";
  for (let at = 0; at < n; at++) {
    const colour = colourOf(at);
    for (let axis = 0; axis < 3; axis++) colours[4 * at + axis] = colour[axis];
    colours[4 * at + 3] = 255;
    const stands = chosen?.[at] ? 3 : found?.[at] ? 2 : found || chosen ? 0 : 1;
    const shape = isVerdict ? SHAPES[panel.verdicts[at]] : 0;
    looks[4 * at] = stands;
    looks[4 * at + 1] = shape;
    if (stands > 1 || (stands && colour !== none)) order[--above] = at;
    else order[below++] = at; // grey and dimmed ones lie below
  }
  panel.looks = looks;
  panel.points.paint(colours, looks, order);
}

function colouring(panel, none) {
  const { data, part, look } = panel;
  const clusters = look.clusters.map(rgb);
  if (data.control) return (at) => (part.control_cluster[at] < 0 ? none : clusters[part.control_cluster[at] % clusters.length]);
  if (data.colour === "cluster") {
    const by = new Map(part.clusters.map((one) => [one.number, clusters[one.colour]]));
    return (at) => by.get(part.cluster[at]) ?? none;
  }
  if (data.colour === "verdict") {
    const by = VERDICTS.map((one) => (one ? rgb(one) : none));
    return (at) => by[panel.verdicts[at]];
  }
  const { array, low, high, log } = data.legend;
  const scale = log ? Math.log : (value) => value;
  const ramp = steps(look.ramp.map(rgb), 64);
  return (at) => {
    const value = part[array][at];
    if (Number.isNaN(value) || (log && value <= 0)) return none;
    const share = high > low ? (scale(value) - scale(low)) / (scale(high) - scale(low)) : 1;
    return ramp[Math.round(63 * Math.max(0, Math.min(1, share)))];
  };
}

function steps(stops, n) {
  return Array.from({ length: n }, (_, at) => {
    const place = (at / (n - 1)) * (stops.length - 1);
    const from = Math.min(Math.floor(place), stops.length - 2);
    return stops[from].map((one, axis) => Math.round(one + (stops[from + 1][axis] - one) * (place - from)));
  });
}

// What lies over the points is drawn far more often than they: with every move of the mouse.
function redraw(panel, isOver = false) {
  panel.isStale ||= !isOver;
  panel.frame ||= requestAnimationFrame(() => draw(panel));
}

function draw(panel) {
  panel.frame = 0;
  if (!panel.part || panel.camera.width < 2) return;
  const size = pointSize(panel);
  if (panel.isStale) drawPoints(panel, size);
  panel.isStale = false;
  drawOver(panel, size);
}

function pointSize({ camera, data, first, n }) {
  const base = n > 50_000 ? 3 : n > 10_000 ? 3.2 : n > 1_000 ? 5 : 8;
  const zoomed = Math.max(1, Math.sqrt(camera.scale / first));
  return Math.max(2, Math.min(14, base * zoomed * (data.control ? 0.6 : 1)));
}

function drawPoints(panel, size) {
  const { camera, look, n } = panel;
  const strength = n > 10_000 ? 0.75 : 0.9;
  const [found, chosen] = [rgb(look.text), rgb(look.accent)];
  panel.points.draw(camera, { size, strength, faint: 0.16, found, chosen });
}

function drawOver(panel, size) {
  const { camera, look, over } = panel;
  const pen = over.getContext("2d");
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, camera.width, camera.height);
  const ring = (at, radius, colour) => {
    if (at < 0) return;
    pen.beginPath();
    pen.arc(...onScreen(panel, panel.places[2 * at], panel.places[2 * at + 1]), radius, 0, 7);
    pen.lineWidth = 2;
    pen.strokeStyle = `#${colour}`;
    pen.stroke();
  };
  if (!panel.data.control) {
    drawNames(panel, pen);
    ring(panel.at, size / 2 + 7, look.accent);
    ring(panel.at, size / 2 + 3, look.text);
  }
  ring(panel.hovered, size / 2 + 3, look.text);
  if (!panel.lasso) return;
  pen.beginPath();
  for (const [x, y] of panel.lasso) pen.lineTo(x, y);
  pen.closePath();
  pen.fillStyle = `#${look.accent}22`;
  pen.fill();
  pen.lineWidth = 1.5;
  pen.strokeStyle = `#${look.accent}`;
  pen.stroke();
}

// The largest clusters first; a name that would cover another is left out until there is room.
function drawNames(panel, pen) {
  const { camera, look, part } = panel;
  const drawn = [];
  pen.font = `600 12px ${panel.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  panel.order ??= [];
  if (panel.order.part !== part) panel.order = Object.assign([...part.clusters].sort((a, b) => b.n - a.n), { part });
  for (const one of panel.order) {
    if (drawn.length >= MOST_NAMES) break;
    const [x, y] = onScreen(panel, one.x, one.y);
    if (x < 0 || y < 0 || x > camera.width || y > camera.height) continue;
    if (!panel.widths.has(one.number)) panel.widths.set(one.number, pen.measureText(one.name).width);
    const half = panel.widths.get(one.number) / 2 + 4;
    const middle = Math.max(half, Math.min(camera.width - half, x)); // whole inside the map
    const isFree = drawn.every((box) => Math.abs(box.x - middle) > box.half + half || Math.abs(box.y - y) > 17);
    if (!isFree) continue;
    drawn.push({ x: middle, y, half });
    pen.lineWidth = 4;
    pen.strokeStyle = `#${look.ground}d0`;
    pen.strokeText(one.name, middle, y);
    pen.fillStyle = `#${look.text}`;
    pen.fillText(one.name, middle, y);
  }
}

function drawLegend(panel) {
  const { legend, control } = panel.data;
  if (control) return;
  const rows = [];
  const entry = (colour, text, n, mark) => {
    const made = element("span", "entry");
    const swatch = element("i", mark ? "mark" : "swatch", mark);
    swatch.style.setProperty("--colour", `#${colour}`);
    made.append(swatch, element("bdi", "", text), element("small", "", n));
    return made;
  };
  for (const one of legend.entries ?? []) {
    const colour = one.verdict ? VERDICTS[one.verdict] : panel.look.clusters[panel.part.clusters[one.cluster].colour];
    rows.push(entry(colour, one.text, one.n, one.mark));
  }
  if (legend.kind === "scale") {
    const scale = element("span", "scale");
    const ramp = element("i", "ramp");
    ramp.style.background = `linear-gradient(90deg, ${panel.look.ramp.map((one) => `#${one}`)})`;
    const ticks = element("span", "ticks");
    ticks.append(...legend.ticks.map((tick) => element("span", "", tick)));
    scale.append(ramp, ticks);
    rows.push(scale);
  }
  if (legend.words) rows.push(element("span", "words", legend.words));
  if (legend.missing) rows.push(entry(panel.look.none, legend.missing, ""));
  panel.legend.replaceChildren(...rows);
}

function tell(panel, words) {
  panel.said.textContent = words;
}

// The camera

function onScreen({ camera }, x, y) {
  return [(x - camera.x) * camera.scale + camera.width / 2, camera.height / 2 - (y - camera.y) * camera.scale];
}

function onMap({ camera }, x, y) {
  return [camera.x + (x - camera.width / 2) / camera.scale, camera.y - (y - camera.height / 2) / camera.scale];
}

function resized(panel) {
  const { width, height } = panel.stage.getBoundingClientRect();
  if (!width || !height) return;
  const isFirst = panel.camera.scale === panel.first || !panel.first;
  Object.assign(panel.camera, { width, height });
  for (const canvas of [panel.canvas, panel.over]) {
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
  }
  if (panel.part && isFirst) fit(panel);
  panel.isStale = true;
  draw(panel); // now: a resized canvas is empty
}

function fit(panel) {
  const { camera, grid } = panel;
  if (!grid || camera.width < 2) return;
  const { low, high } = grid.box;
  const margin = Math.min(40, camera.width / 12);
  const [across, up] = [high[0] - low[0] || 1, high[1] - low[1] || 1];
  camera.scale = Math.min((camera.width - 2 * margin) / across, (camera.height - 2 * margin) / up);
  panel.first = camera.scale;
  [camera.x, camera.y] = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
  hover(panel, -1);
  redraw(panel);
}

function zoom(panel, by, x = panel.camera.width / 2, y = panel.camera.height / 2) {
  const { camera, first } = panel;
  const before = onMap(panel, x, y);
  camera.scale = Math.max(first / 3, Math.min(first * DEEPEST, camera.scale * by));
  const after = onMap(panel, x, y);
  camera.x += before[0] - after[0];
  camera.y += before[1] - after[1];
  redraw(panel);
}

function pan(panel, x, y) {
  panel.camera.x -= x / panel.camera.scale;
  panel.camera.y += y / panel.camera.scale;
  redraw(panel);
}

// Bring a point into view, if it is not.
function show(panel, at) {
  const { camera } = panel;
  const [x, y] = onScreen(panel, panel.places[2 * at], panel.places[2 * at + 1]);
  if (x > 0 && y > 0 && x < camera.width && y < camera.height) return;
  [camera.x, camera.y] = [panel.places[2 * at], panel.places[2 * at + 1]];
}

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
  const rows = data.control ? [element("b", "", "A random direction")] : tipRows(panel, part, at);
  tip.replaceChildren(...rows);
  const [x, y] = onScreen(panel, panel.places[2 * at], panel.places[2 * at + 1]);
  const box = tip.getBoundingClientRect();
  const left = x + 14 + box.width > camera.width ? x - 14 - box.width : x + 14;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, Math.min(camera.height - box.height, y + 12))}px`;
}

function tipRows(panel, part, at) {
  const rows = [element("b", "", `Feature ${part.feature[at]}`)];
  const [label, isProgram] = panel.labels.get(at) ?? [];
  if (label) rows.push(element("div", isProgram ? "label program" : "label", label));
  const chips = element("div", "chips");
  for (let rank = 0; rank < 3; rank++) {
    const token = part.promoted[3 * at + rank];
    if (token >= 0) chips.append(element("span", "chip", part.tokens[token]));
  }
  if (chips.childElementCount) rows.push(chips);
  const name = part.clusters.find((one) => one.number === part.cluster[at])?.name ?? "none";
  const effect = part.effect[at];
  const facts = [
    ["density", short(part.density[at])],
    ["cluster", name],
    ["KL", Number.isNaN(effect) ? "not measured" : `above ${short(effect)}% of random`],
  ];
  for (const [word, value] of facts) {
    const row = element("div", "fact");
    row.append(element("span", "", word), element("bdi", "", value));
    rows.push(row);
  }
  return rows;
}

function short(value) {
  if (value === 0 || Math.abs(value) >= 100) return String(Math.round(value));
  if (Math.abs(value) >= 1e-3) return value.toPrecision(3);
  const [digits, power] = value.toExponential(2).split("e");
  return `${Number(digits)}e${power}`;
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

// The picture: the points, the names above them, and a line that says what it is.

function save(panel) {
  if (!panel.part) return;
  panel.hovered = -1;
  panel.isStale = true;
  draw(panel); // a canvas of WebGL can be read only in the task that drew it
  const { canvas, over, look } = panel;
  const foot = 26 * devicePixelRatio;
  const sheet = element("canvas");
  [sheet.width, sheet.height] = [canvas.width, canvas.height + foot];
  const pen = sheet.getContext("2d");
  pen.fillStyle = `#${look.ground}`;
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.drawImage(canvas, 0, 0);
  pen.drawImage(over, 0, 0);
  pen.fillStyle = `#${look.text}`;
  pen.font = `${12 * devicePixelRatio}px ${panel.font}`;
  pen.textBaseline = "middle";
  pen.fillText(panel.data.caption, 10 * devicePixelRatio, canvas.height + foot / 2);
  sheet.toBlob((blob) => {
    const link = element("a");
    link.href = URL.createObjectURL(blob);
    link.download = panel.data.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
