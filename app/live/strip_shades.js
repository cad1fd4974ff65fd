// Shades

// How much colour a value gets, and which; logarithmic for activations, as in the token view.
function colourOf(value, row) {
  if (typeof value === "string") return ["odd", 0.5]; // nan, inf
  const share = row.scale > 0 ? Math.min(1, Math.abs(value) / row.scale) : 1;
  const hue = value < 0 ? "negative" : row.tone === "activation" ? "active" : row.tone;
  return [hue, row.tone === "activation" ? 0.05 + 0.95 * Math.log10(1 + 9 * share) : share];
}

function shownRow(panel) {
  const key = [panel.hovered, panel.focused, panel.row].find((one) => panel.rows.has(one));
  return panel.rows.get(key);
}

// The text in the colours of the row under the mouse, else of the selected one.
function shade(panel) {
  const row = shownRow(panel);
  for (const span of panel.shaded) {
    span.classList.remove("strong", ...HUES);
    span.style.removeProperty("--shade");
    delete span.dataset.value;
  }
  panel.shaded = [];
  panel.root.dataset.shaded = row?.key ?? "";
  panel.views.forEach((view, at) => {
    const strip = row?.strips[at];
    strip?.pos.forEach((pos, i) => {
      const span = view.spans[pos];
      if (!span || strip.val[i] === 0) return;
      const [hue, opacity] = colourOf(strip.val[i], row);
      span.style.setProperty("--shade", opacity.toFixed(3));
      span.dataset.value = strip.val[i];
      span.classList.add(hue);
      if (opacity > STRONG[hue]) span.classList.add("strong");
      panel.shaded.push(span);
    });
  });
  drawLegend(panel, row);
}

function drawLegend(panel, row) {
  const view = panel.views.at(-1);
  if (!view) return;
  if (!row) {
    const hint = panel.data.rows.length ? "point at a row to shade the text by it" : "";
    return view.legend.replaceChildren(make("span", "", hint));
  }
  const hue = row.tone === "activation" ? "active" : row.tone;
  const curve = row.tone === "activation" ? "log" : "linear";
  const isSigned = row.strips.some((strip) => strip.val.some((value) => value < 0));
  const ramp = [make("span", "", "0"), make("span", `ramp ${curve} ${hue}`), make("span", "", row.scale_text)];
  if (isSigned) ramp.unshift(make("span", "", "−" + row.scale_text), make("span", `ramp back ${curve} negative`));
  view.legend.replaceChildren(make("b", "", nameOf(panel, row)), ...ramp);
  view.legend.title = `Shade of a token: ${curve === "log" ? "logarithmic" : "linear"}, up to this row's scale`;
}

// A row in words: its first cell, after the column's label where that is a number or a link.
function nameOf(panel, row) {
  const [column] = panel.data.columns;
  if (row.name) return row.name;
  if (!column) return row.key;
  const [cell] = row.cells;
  if (column.kind === "link" || column.kind === "number") return `${column.label} ${[cell].flat()[0]}`;
  return column.kind === "text" ? cell : row.key;
}

// Strips: canvases one pixel high, as wide as the screen has pixels there, stretched by CSS.

function observe(sizes, box) {
  try {
    sizes.observe(box, { box: "device-pixel-content-box" }); // tells of zoom and of other screens too
  } catch {
    sizes.observe(box);
  }
}

function resized(panel, entries) {
  for (const entry of entries) {
    const view = panel.views[entry.target.dataset.text];
    const exact = entry.devicePixelContentBoxSize?.[0].inlineSize;
    const width = exact ?? Math.round(entry.contentRect.width * devicePixelRatio);
    if (!width || width === view.width) continue; // nothing when hidden
    view.width = width;
    drawRuler(view);
    drawMarks(panel, view);
    for (const row of panel.data.rows) drawStrip(panel, row, view);
  }
}

function drawStrip(panel, row, view) {
  const canvas = panel.lines.get(row.key).canvases[view.at];
  const strip = row.strips[view.at];
  if (!canvas || !view.n) return;
  const { width, n } = view;
  canvas.width = width;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, 1);
  const inks = new Uint32Array(image.data.buffer); // alpha is the highest byte
  const gap = width / n >= 5 * devicePixelRatio ? Math.round(devicePixelRatio) : 0;
  panel.colours ??= readColours(panel);
  strip.pos.forEach((pos, i) => {
    const value = strip.val[i];
    if (value === 0 || pos >= n) return;
    const [hue, opacity] = colourOf(value, row);
    const first = Math.min(width - 1, Math.floor((pos * width) / n));
    const end = Math.max(first + 1, Math.floor(((pos + 1) * width) / n) - gap);
    const ink = (panel.colours[hue] | (Math.round(255 * opacity) << 24)) >>> 0;
    // Where tokens share a pixel the one with most colour is seen.
    for (let x = first; x < end; x++) if (ink >>> 24 >= inks[x] >>> 24) inks[x] = ink;
  });
  context.putImageData(image, 0, 0);
}

function readColours(panel) {
  const style = getComputedStyle(panel.root); // the same in both themes
  const packed = (hue) => {
    const [red, green, blue] = style.getPropertyValue(`--${hue}`).trim().split(/\s+/).map(Number);
    return red | (green << 8) | (blue << 16); // the order of bytes in an image on every common machine
  };
  return Object.fromEntries(HUES.map((hue) => [hue, packed(hue)]));
}

function drawRuler(view) {
  const width = view.width / devicePixelRatio;
  const step = STEPS.find((one) => (one * width) / view.n >= 40) ?? view.n;
  const ticks = [];
  for (let pos = 0; pos < view.n; pos += step) {
    if ((1 - pos / view.n) * width < 8 * String(pos).length) break;
    const tick = make("span", "tick", pos);
    tick.style.left = `${(100 * pos) / view.n}%`;
    ticks.push(tick);
  }
  view.ruler.setAttribute("aria-hidden", "true");
  view.ruler.replaceChildren(...ticks);
}
