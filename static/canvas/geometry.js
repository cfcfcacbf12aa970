/**
 * Pure helpers on sparse geometry. Positions are {x, y} in frame pixels (pixel centres at .5);
 * rings are arrays of [x, y]. Nothing here changes its arguments.
 */
const QUANTUM = 64;

/** A coordinate as the server stores it: rounded to 1/64 px. */
export const quantise = (value) => Math.round(value * QUANTUM) / QUANTUM;

export const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

/** `at` moved into the frame, never on its outer border, so that it always names a pixel. */
export function insideFrame(at, width, height) {
  const edge = 1 / QUANTUM;
  return {
    x: quantise(Math.min(Math.max(at.x, edge), Math.max(width - edge, edge))),
    y: quantise(Math.min(Math.max(at.y, edge), Math.max(height - edge, edge))),
  };
}

export const withinFrame = (at, width, height) => at.x >= 0 && at.y >= 0 && at.x < width && at.y < height;

export const emptyGeometry = () => ({ points: [], box: null, text: null, outline: null });

/** Index of the nearest point within `tolerance` px of `at`, or -1; of equals the later (drawn on top) wins. */
export function nearestPoint(points, at, tolerance) {
  let best = -1;
  let least = tolerance;
  points.forEach((point, index) => {
    const d = distance(point, at);
    if (d <= least) {
      best = index;
      least = d;
    }
  });
  return best;
}

/** The nearest ring node within `tolerance`: {ring, node} or null. */
export function nearestNode(rings, at, tolerance) {
  let best = null;
  let least = tolerance;
  (rings ?? []).forEach((ring, r) => ring.forEach(([x, y], n) => {
    const d = Math.hypot(x - at.x, y - at.y);
    if (d <= least) {
      best = { ring: r, node: n };
      least = d;
    }
  }));
  return best;
}

/** The nearest ring edge within `tolerance`: {ring, node, x, y}, where a new node goes after `node`; or null. */
export function nearestEdge(rings, at, tolerance) {
  let best = null;
  let least = tolerance;
  (rings ?? []).forEach((ring, r) => ring.forEach(([x1, y1], n) => {
    const [x2, y2] = ring[(n + 1) % ring.length];
    const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
    const t = length === 0 ? 0 : Math.min(1, Math.max(0, ((at.x - x1) * (x2 - x1) + (at.y - y1) * (y2 - y1)) / length));
    const x = x1 + t * (x2 - x1);
    const y = y1 + t * (y2 - y1);
    const d = Math.hypot(x - at.x, y - at.y);
    if (d <= least) {
      best = { ring: r, node: n, x, y };
      least = d;
    }
  }));
  return best;
}

export function movePoint(geometry, index, to) {
  const points = geometry.points.map((point, i) => (i === index ? { ...point, x: to.x, y: to.y } : point));
  return { ...geometry, points };
}

export function removePoint(geometry, index) {
  return { ...geometry, points: geometry.points.filter((_, i) => i !== index) };
}

export function moveNode(geometry, ring, node, to) {
  const outline = geometry.outline.map((r, i) => (i === ring ? r.map((p, n) => (n === node ? [to.x, to.y] : p)) : r));
  return { ...geometry, outline };
}

/** A node after `node` on `ring`; the new node's index is node + 1. */
export function insertNode(geometry, ring, node, at) {
  const outline = geometry.outline.map((r, i) => (i === ring
    ? [...r.slice(0, node + 1), [at.x, at.y], ...r.slice(node + 1)] : r));
  return { ...geometry, outline };
}

/** Without the node; a ring that would fall below three nodes goes as a whole, the last one leaves no outline. */
export function removeNode(geometry, ring, node) {
  const outline = geometry.outline
    .map((r, i) => (i === ring ? r.filter((_, n) => n !== node) : r))
    .filter((r) => r.length >= 3);
  return { ...geometry, outline: outline.length ? outline : null };
}

/** Corners in any order → (x1, y1, x2, y2) with x1 ≤ x2 and y1 ≤ y2. */
export function boxOf(a, b) {
  return [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)].map(quantise);
}

/** Nothing in it would make an engine or the rasteriser draw anything. */
export function isEmpty(geometry) {
  return !geometry.box && !geometry.outline && !geometry.points.some((point) => point.label === 1);
}
