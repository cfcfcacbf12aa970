/** Which engine answers the next prompt, and what it understands. Pure. */

/** Needs no pixels, but an anchor on both sides. */
export const BETWEEN_ONLY = 'interpolate';
const LACKS = { text: 'refuse.lacks_text', exemplars: 'refuse.lacks_exemplars', box: 'refuse.lacks_box', points: 'refuse.lacks_points' };

export const isReady = (engine) => Boolean(engine) && engine.available !== false;
export const can = (engine, ability) => Boolean(engine?.can?.includes(ability));
export const findEngine = (engines, id) => engines.find((engine) => engine.id === id) ?? null;

/** It answers a click. Engines that only label whole frames do not. */
export const understandsPrompts = (engine) => can(engine, 'points');

/** The prompt looks for things by text or example instead of pointing at one. */
export const isSearch = (prompt) => Boolean(prompt?.text || prompt?.exemplars?.length);

/** What an engine must understand to answer the prompt: names as in `can`. */
export function needsOf(prompt) {
  const needs = [];
  if (prompt.text) needs.push('text');
  if (prompt.exemplars?.length) needs.push('exemplars');
  if (prompt.box) needs.push('box');
  if (prompt.points?.length) needs.push('points');
  return needs;
}

/** The first engine that can do it, of those that are ready, else of all; null when none can. */
export function engineFor(engines, ability) {
  const able = engines.filter((engine) => can(engine, ability));
  return able.find(isReady) ?? able[0] ?? null;
}

/** The ready engine after `id` that answers clicks; `id` itself where there is no other. */
export function nextEngine(engines, id) {
  const ready = engines.filter((engine) => isReady(engine) && understandsPrompts(engine)).map((engine) => engine.id);
  return ready.length ? ready[(ready.indexOf(id) + 1) % ready.length] : id;
}

/** Why the chosen engine cannot do `needs`: {key, args} of a sentence, or null when it can. */
export function obstacle({ engine: id, engines }, needs) {
  const engine = findEngine(engines, id);
  if (!isReady(engine)) return { key: 'refuse.engine_off', args: { engine: id, reason: engine?.reason || '' } };
  const lacking = needs.find((need) => !can(engine, need));
  if (!lacking) return null;
  return { key: LACKS[lacking], args: { engine: id, other: engineFor(engines, lacking)?.id ?? '' } };
}

/** The engine that tracks: the chosen one if it can, else a ready one that can; null when none is ready. */
export function tracker(engines, id) {
  const able = engines.filter((engine) => isReady(engine) && can(engine, 'track') && engine.id !== BETWEEN_ONLY);
  return able.find((engine) => engine.id === id) ?? able[0] ?? null;
}
