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
