/** Priorities of classes as a list with the winner first. Pure. */
const STEP = 10;
const LIMIT = 1_000_000;

/** A copy of `classes` in the order in which they win: higher priority first; of equals the later in the template. */
export function winnerFirst(classes) {
  return classes.slice().sort((a, b) => b.priority - a.priority || b.order - a.order);
}

/**
 * The classes, winner first, after class `id` went to `place` in that list: it takes a priority between its new
 * neighbours. Where no number is left between them all get new ones, in the order they are in.
 */
export function movedTo(classes, id, place) {
  const rows = winnerFirst(classes);
  const from = rows.findIndex((cls) => cls.id === id);
  const to = Math.min(Math.max(place, 0), rows.length - 1);
  if (from < 0 || from === to) return rows;
  const [cls] = rows.splice(from, 1);
  const upper = rows[to - 1]?.priority;
  const lower = rows[to]?.priority;
  let priority = Number.NaN;
  if (upper === undefined) priority = lower + STEP;
  else if (lower === undefined) priority = upper - STEP;
  else if (upper - lower > 1) priority = Math.floor((upper + lower) / 2);
  rows.splice(to, 0, { ...cls, priority });
  if (Math.abs(priority) <= LIMIT) return rows;
  return rows.map((row, i) => ({ ...row, priority: (rows.length - i) * STEP }));
}

/** {class id: priority} of the classes whose priority differs. */
export function repriced(before, after) {
  const old = new Map(before.map((cls) => [cls.id, cls.priority]));
  return Object.fromEntries(after.filter((cls) => old.get(cls.id) !== cls.priority).map((cls) => [cls.id, cls.priority]));
}
