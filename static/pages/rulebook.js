/** The rules of a class template, without DOM: order, moving, and what is wrong with it. */
export const COLOUR = /^#[0-9a-f]{6}$/;

/** Rows of the tree: [{cls, depth}], the winner first, children below their parent. */
export function rowsOf(classes) {
  const place = new Map(classes.map((cls, i) => [cls.id, i]));
  const wins = (a, b) => b.priority - a.priority || place.get(b.id) - place.get(a.id);
  const childrenOf = (id) => classes.filter((cls) => (place.has(cls.parent) ? cls.parent : null) === id).sort(wins);
  const rows = [];
  const seen = new Set();
  const add = (cls, depth) => {
    if (seen.has(cls.id)) return;
    seen.add(cls.id);
    rows.push({ cls, depth });
    childrenOf(cls.id).forEach((child) => add(child, depth + 1));
  };
  childrenOf(null).forEach((cls) => add(cls, 0));
  // A circle of parents has no root; its classes must be reachable all the same, to be mended.
  classes.forEach((cls) => add(cls, 0));
  return rows;
}

export function below(classes, id) {
  const found = new Set();
  const add = (parent) => classes.forEach((cls) => {
    if (cls.parent === parent && !found.has(cls.id)) {
      found.add(cls.id);
      add(cls.id);
    }
  });
  add(id);
  return found;
}

/** A class put before or after another: it takes a priority between its new neighbours, and their parent. */
export function moved(classes, id, target, after) {
  const next = structuredClone(classes);
  const cls = next.find((c) => c.id === id);
  const other = next.find((c) => c.id === target);
  if (!cls || !other || cls === other || below(next, id).has(target)) return next;
  cls.parent = other.parent;
  const peers = rowsOf(next).map((row) => row.cls).filter((c) => c.id !== id && c.parent === other.parent);
  const at = peers.indexOf(other) + (after ? 1 : 0);
  const [upper, lower] = [peers[at - 1], peers[at]];
  if (!upper) cls.priority = lower.priority + 10;
  else if (!lower) cls.priority = upper.priority - 10;
  else if (upper.priority - lower.priority > 1) cls.priority = Math.floor((upper.priority + lower.priority) / 2);
  else {
    // No number is left between the two: everything gets new ones, ten apart, in the order it is in.
    const order = rowsOf(next).map((row) => row.cls).filter((c) => c.id !== id);
    order.splice(order.indexOf(lower), 0, cls);
    order.forEach((c, i) => { c.priority = (order.length - i) * 10; });
  }
  return next;
}

/** {class id: {field: [string key, {names}]}} of everything that keeps the template from being saved. */
export function problemsOf(classes) {
  const found = new Map();
  const add = (cls, field, key, args = {}) => {
    const mine = found.get(cls.id) ?? {};
    mine[field] ??= [key, args];
    found.set(cls.id, mine);
  };
  const whole = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
  for (const cls of classes) {
    const others = classes.filter((c) => c !== cls);
    if (!cls.name.trim()) add(cls, 'name', 'name_empty');
    const same = others.find((c) => c.name.trim() === cls.name.trim());
    if (cls.name.trim() && same) add(cls, 'name', 'name_taken', { name: same.name });
    const key = cls.shortcut && others.find((c) => c.shortcut.toLowerCase() === cls.shortcut.toLowerCase());
    if (key) add(cls, 'shortcut', 'key_taken', { key: cls.shortcut.toUpperCase(), name: key.name });
    if (!COLOUR.test(cls.colour)) add(cls, 'colour', 'colour_bad');
    if (!whole(cls.priority, -1_000_000, 1_000_000)) add(cls, 'priority', 'priority_bad');
    if (cls.value !== null && cls.value !== undefined && !whole(cls.value, 0, 65535)) add(cls, 'value', 'value_bad');
    const written = (c) => c.value ?? c.id;
    const twin = others.find((c) => written(c) === written(cls));
    if (twin) add(cls, 'value', 'value_taken', { name: twin.name, value: written(cls) });
    if (cls.parent !== null && cls.parent !== undefined && below(classes, cls.id).has(cls.parent)) {
      add(cls, 'parent', 'cycle', { name: classes.find((c) => c.id === cls.parent)?.name ?? '' });
    }
  }
  return found;
}
