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

/** A class put under another one as its child, with the priority it has. */
export function nested(classes, id, parent) {
  const next = structuredClone(classes);
  const cls = next.find((c) => c.id === id);
  if (cls && id !== parent && !below(next, id).has(parent)) cls.parent = parent;
  return next;
}

/** A class one step to the right (under the sibling above it) or to the left (beside its parent). */
export function indented(classes, id, step) {
  const cls = classes.find((c) => c.id === id);
  if (step < 0) {
    const parent = classes.find((c) => c.id === cls.parent);
    return parent ? nested(classes, id, parent.parent ?? null) : classes;
  }
  const peers = rowsOf(classes).map((row) => row.cls).filter((c) => (c.parent ?? null) === (cls.parent ?? null));
  const above = peers[peers.indexOf(cls) - 1];
  return above ? nested(classes, id, above.id) : classes;
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
    if (attributeProblems(cls).size) add(cls, 'attributes', 'attribute_bad');
  }
  return found;
}

/** {place in the list: [string key, {names}]} of the attributes of a class that cannot stand. */
export function attributeProblems(cls) {
  const found = new Map();
  (cls.attributes ?? []).forEach((attribute, i) => {
    const { name, kind, choices = [] } = attribute;
    if (!name.trim()) found.set(i, ['attribute_empty', {}]);
    else if (cls.attributes.some((other, j) => j < i && other.name.trim() === name.trim())) found.set(i, ['attribute_twice', { name }]);
    else if (kind === 'choice' && !choices.length) found.set(i, ['choices_empty', {}]);
    else if (new Set(choices).size < choices.length) found.set(i, ['choices_twice', {}]);
    else if (attribute.default && !fits(attribute)) found.set(i, ['default_bad', { value: attribute.default }]);
  });
  return found;
}
function fits({ kind, choices, default: value }) {
  if (kind === 'number') return Number.isFinite(Number(value));
  if (kind === 'check') return value === 'yes' || value === 'no';
  return kind !== 'choice' || choices.includes(value);
}

/** A name as rules compare it: without case, with _ and - as spaces. */
export const plain = (name) => name.toLowerCase().replace(/[_-]/g, ' ').split(/\s+/).filter(Boolean).join(' ');
const keyOf = (rule) => `${rule.kind} ${rule.kind === 'name' ? plain(rule.key) : rule.key}`;

/** The class ids that a rule leads through; the last is what it comes to, 0 = ignored. Ends where it meets itself. */
export function chainOf(classes, rules, rule) {
  const chain = [];
  for (let step = rule; step;) {
    const id = step.class_id ?? 0;
    chain.push(id);
    const target = classes.find((cls) => cls.id === id);
    if (!target || chain.indexOf(id) < chain.length - 1) break;
    const name = plain(target.name);
    step = rules.find((other) => other.kind === 'name' && plain(other.key) === name);
  }
  return chain;
}

/** {place in the list: [string key, {names}]} of the rules that cannot stand. */
export function ruleProblems(classes, rules) {
  const found = new Map();
  const byId = new Map(classes.map((cls) => [cls.id, cls]));
  const seen = new Set();
  rules.forEach((rule, i) => {
    const target = byId.get(rule.class_id);
    const key = keyOf(rule);
    if (!rule.key.trim() || (rule.kind === 'name' && !plain(rule.key))) found.set(i, ['rule_empty', {}]);
    else if (rule.kind === 'colour' && !COLOUR.test(rule.key)) found.set(i, ['colour_bad', {}]);
    else if (rule.kind === 'value' && !/^(0|-?[1-9]\d{0,9})$/.test(rule.key)) found.set(i, ['rule_value_bad', {}]);
    else if (seen.has(key)) found.set(i, ['rule_twice', { key: rule.key }]);
    else if (rule.class_id && !target) found.set(i, ['rule_class_gone', {}]);
    else if (target && rule.kind === 'name' && plain(rule.key) === plain(target.name)) found.set(i, ['rule_itself', { name: target.name }]);
    seen.add(key);
  });
  rules.forEach((rule, i) => {
    if (found.has(i) || !rule.class_id || rule.kind !== 'name') return;
    const chain = chainOf(classes, rules, rule);
    // Only those that are part of the circle are marked, not those that lead into it.
    const round = chain.length > 1 && chain.at(-1) === chain[0] && chain.some((id) => plain(byId.get(id)?.name ?? '') === plain(rule.key));
    if (round) found.set(i, ['rule_circle', { chain: chain.map((id) => byId.get(id)?.name ?? id).join(' → ') }]);
  });
  return found;
}
