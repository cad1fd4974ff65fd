// Bars over a value, on a logarithmic scale; a tip tells the bin under the pointer.
//
// data: { name, file, bars: [height], tips: [text], across: [[place, text]], up: [[height, text]] };
// places and heights go from 0 to 1. Left and Right walk over the bins once it has the focus.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 118, TOP = 6, FOOT = 17, LEFT = 22, RIGHT = 3;
const BAR = "#ea8a2f", GAP = 0.04;

const panels = new WeakMap(); // one per mounted component; a rerun keeps its elements

export default function ({ data, parentElement }) {
  const panel = panels.get(parentElement) ?? mount(parentElement);
  panel.data = data;
  panel.root.ariaLabel = data.name;
  panel.svg.ariaHidden = "true";
  choose(panel, -1);
  draw(panel);
  return () => setTimeout(() => {
    if (panel.root.isConnected) return; // only drawn anew
    panel.sizes.disconnect();
    panels.delete(parentElement);
  });
}

function mount(parentElement) {
  const panel = { root: document.createElement("div"), svg: shape("svg"), chosen: -1, bars: [] };
  panel.root.className = "histogram";
  panel.root.tabIndex = 0;
  panel.root.role = "group";
  panel.tip = document.createElement("output");
  panel.button = document.createElement("button");
  panel.button.type = "button";
  panel.button.textContent = "SVG";
  panel.button.title = "Save as a picture";
  panel.button.onclick = () => save(panel);
  const head = document.createElement("div"); // above the bars: neither tip nor button covers one
  head.append(panel.tip, panel.button);
  panel.root.append(head, panel.svg);
  panel.svg.onpointermove = (event) => choose(panel, under(panel, event));
  panel.svg.onpointerleave = () => choose(panel, -1);
  panel.root.onblur = () => choose(panel, -1);
  panel.root.onkeydown = (event) => walk(panel, event);
  panel.sizes = new ResizeObserver(() => draw(panel));
  panel.sizes.observe(panel.root);
  parentElement.append(panel.root);
  panels.set(parentElement, panel);
  return panel;
}

function draw(panel) {
  const { bars, across, up } = panel.data;
  const width = panel.root.clientWidth;
  if (!width) return; // folded away: it is drawn once it has a size
  const inner = width - LEFT - RIGHT, high = HEIGHT - TOP - FOOT, wide = inner / bars.length;
  const floor = TOP + high;
  panel.inner = inner;
  const shapes = up.map(([at]) => {
    const y = floor - at * high;
    return shape("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y, stroke: "currentColor", "stroke-opacity": 0.14 });
  });
  panel.bars = bars.map((height, i) => shape("rect", {
    x: LEFT + (i + GAP / 2) * wide, y: floor - height * high, width: wide * (1 - GAP), height: height * high, fill: BAR,
  }));
  shapes.push(...panel.bars);
  for (const [at, text] of up) shapes.push(label(LEFT - 4, floor - at * high + 3.5, "end", text));
  for (const [at, text] of across) {
    const x = LEFT + at * inner;
    shapes.push(shape("line", { x1: x, x2: x, y1: floor, y2: floor + 3, stroke: "currentColor", "stroke-opacity": 0.4 }));
    shapes.push(label(x, HEIGHT - 4, at < 0.03 ? "start" : at > 0.97 ? "end" : "middle", text));
  }
  panel.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  panel.svg.replaceChildren(...shapes);
  choose(panel, panel.chosen);
}

function shape(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function label(x, y, anchor, text) {
  const made = shape("text", { x, y, "text-anchor": anchor, "font-size": 10, fill: "currentColor", "fill-opacity": 0.7 });
  made.textContent = text;
  return made;
}

function under(panel, event) {
  const { left, top } = panel.svg.getBoundingClientRect();
  const bin = Math.floor(((event.clientX - left - LEFT) / panel.inner) * panel.bars.length);
  const isOver = bin >= 0 && bin < panel.bars.length && event.clientY - top <= HEIGHT - FOOT;
  return isOver ? bin : -1;
}

function walk(panel, event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.target !== panel.root) return;
  event.preventDefault();
  event.stopPropagation();
  choose(panel, Math.min(Math.max(panel.chosen + step, 0), panel.bars.length - 1));
}

function choose(panel, bin) {
  panel.bars[panel.chosen]?.classList.remove("chosen");
  panel.chosen = bin;
  panel.bars[bin]?.classList.add("chosen");
  panel.tip.textContent = panel.data.tips[bin] ?? "";
}

function save(panel) {
  const copy = panel.svg.cloneNode(true);
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", panel.root.clientWidth);
  copy.setAttribute("height", HEIGHT);
  copy.setAttribute("style", "color: #404040; font-family: sans-serif");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([copy.outerHTML], { type: "image/svg+xml" }));
  link.download = panel.data.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
