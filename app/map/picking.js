// Which points lie near a place, or inside a lasso: a grid of cells, each with the points in it.

function pickingGrid(places) {
  const n = places.length / 2;
  const side = Math.max(8, Math.min(1024, Math.floor(Math.sqrt(n / 4))));
  const box = bounds(places);
  const cell = (value, axis) => {
    const at = Math.floor(((value - box.low[axis]) / (box.high[axis] - box.low[axis] || 1)) * side);
    return Math.max(0, Math.min(side - 1, at));
  };
  const of = (at) => cell(places[2 * at + 1], 1) * side + cell(places[2 * at], 0);
  const starts = new Uint32Array(side * side + 1);
  for (let at = 0; at < n; at++) starts[of(at) + 1]++;
  for (let at = 0; at < side * side; at++) starts[at + 1] += starts[at];
  const next = starts.slice();
  const members = new Uint32Array(n);
  for (let at = 0; at < n; at++) members[next[of(at)]++] = at;

  // Every point of the cells that touch a box.
  function* within(left, low, right, high) {
    for (let row = cell(low, 1); row <= cell(high, 1); row++) {
      const from = starts[row * side + cell(left, 0)];
      const to = starts[row * side + cell(right, 0) + 1];
      for (let at = from; at < to; at++) yield members[at];
    }
  }

  return {
    box,
    // The nearest point to a place within a radius; of two, the one that `rank` puts first. -1: none.
    nearest(x, y, radius, rank) {
      let [best, least] = [-1, radius * radius];
      for (const at of within(x - radius, y - radius, x + radius, y + radius)) {
        const distance = (places[2 * at] - x) ** 2 + (places[2 * at + 1] - y) ** 2;
        if (distance > radius * radius) continue;
        const isBetter = best < 0 || rank(at) > rank(best) || (rank(at) === rank(best) && distance <= least);
        if (isBetter) [best, least] = [at, distance];
      }
      return best;
    },
    // The points inside a polygon of [x, y], rising.
    inside(polygon) {
      const xs = polygon.map((one) => one[0]);
      const ys = polygon.map((one) => one[1]);
      const found = [];
      for (const at of within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys))) {
        if (isInside(polygon, places[2 * at], places[2 * at + 1])) found.push(at);
      }
      return found.sort((a, b) => a - b);
    },
  };
}

function bounds(places) {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  for (let at = 0; at < places.length; at++) {
    const axis = at % 2;
    if (places[at] < low[axis]) low[axis] = places[at];
    if (places[at] > high[axis]) high[axis] = places[at];
  }
  return { low, high };
}

function isInside(polygon, x, y) {
  let is = false;
  for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
    const [[xa, ya], [xb, yb]] = [polygon[a], polygon[b]];
    if (ya > y !== yb > y && x < ((xb - xa) * (y - ya)) / (yb - ya) + xa) is = !is;
  }
  return is;
}
