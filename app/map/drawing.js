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
  const rest = rgb(panel.look.rest);
  const colourOf = colouring(panel, none, rest);
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
    looks[4 * at + 2] = isVerdict && panel.verdicts[at] ? 1 : 0;
    if (stands > 1 || (stands && colour !== none && colour !== rest)) order[--above] = at;
    else order[below++] = at; // grey and dimmed ones lie below
  }
  panel.looks = looks;
  panel.points.paint(colours, looks, order);
}

function colouring(panel, none, rest) {
  const { data, part, look } = panel;
  const clusters = look.clusters.map(rgb);
  // In its small picture the paler grey would not be seen.
  if (data.control) return (at) => clusters[part.control_cluster[at] % clusters.length] ?? rest;
  if (data.colour === "cluster") {
    const by = new Map(part.clusters.map((one) => [one.number, clusters[one.colour] ?? rest]));
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
    const made = make("span", "entry");
    const swatch = make("i", mark ? "mark" : "swatch", mark);
    swatch.style.setProperty("--colour", `#${colour}`);
    made.append(swatch, make("bdi", "", text), make("small", "", n));
    return made;
  };
  for (const one of legend.entries ?? []) {
    const colour = one.verdict ? VERDICTS[one.verdict] : panel.look.clusters[panel.part.clusters[one.cluster]?.colour] ?? panel.look.rest;
    rows.push(entry(colour, one.text, one.n, one.mark));
  }
  if (legend.kind === "scale") {
    const scale = make("span", "scale");
    const ramp = make("i", "ramp");
    ramp.style.background = `linear-gradient(90deg, ${panel.look.ramp.map((one) => `#${one}`)})`;
    const ticks = make("span", "ticks");
    ticks.append(...legend.ticks.map((tick) => make("span", "", tick)));
    scale.append(ramp, ticks);
    rows.push(scale);
  }
  if (legend.words) rows.push(make("span", "words", legend.words));
  if (legend.missing) rows.push(entry(panel.look.none, legend.missing, ""));
  panel.legend.replaceChildren(...rows);
}

function tell(panel, words) {
  panel.said.textContent = words;
}

// The picture: the points, the names above them, and a line that says what it is.

function save(panel) {
  if (!panel.part) return;
  panel.hovered = -1;
  panel.isStale = true;
  draw(panel); // a canvas of WebGL can be read only in the task that drew it
  const { canvas, over, look } = panel;
  const foot = 26 * devicePixelRatio;
  const sheet = make("canvas");
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
    const link = make("a");
    link.href = URL.createObjectURL(blob);
    link.download = panel.data.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
