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

// Okabe and Ito's colours, as they can be told apart on white and on black, one for each of the largest
// clusters; `rest` for the others, `none` for points in no cluster.
const THEMES = {
  light: {
    clusters: ["0072b2", "d55e00", "009e73", "cc79a7", "8c6d00", "56b4e9", "7b4fa3", "e69f00"],
    none: "c6c6c6", rest: "8c8c8c", text: "171717", ground: "ffffff", accent: "0f766e",
    ramp: ["c7e9b4", "7fcdbb", "41b6c4", "2c7fb8", "253494"],
  },
  dark: {
    clusters: ["4ba3e3", "f0803c", "2bc79a", "e79bc7", "d9c23f", "8ed0f7", "b08be0", "f2b134"],
    none: "4c4c4c", rest: "858585", text: "ededed", ground: "171717", accent: "2dd4bf",
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

function build(parent) {
  const panel = {
    root: make("div", "map"),
    bar: make("div", "bar"),
    stage: make("div", "stage"),
    canvas: make("canvas", "points"),
    over: make("canvas", "over"),
    tip: make("div", "tip"),
    legend: make("div", "legend"),
    said: make("span", "said"),
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
    const made = make("button", "", words);
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
