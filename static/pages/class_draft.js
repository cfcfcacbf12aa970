/** The draft of a class template: what the server has, what was changed here, and who wants to know of it. */
import { problem, t } from '../app.js';
import { difference } from './colour_vision.js';
import { problemsOf, rowsOf, ruleProblems } from './rulebook.js';

export const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('draft-data').textContent);
const contentOf = ({ name, classes, rules }) => structuredClone({ name, classes, rules });

export const state = {
  /** as the server has it; null where there is none */
  template: data.template,
  /** class id → number of its regions */
  usage: data.usage,
  draft: data.template && contentOf(data.template),
  chosen: null,
  wrong: { classes: new Map(), rules: new Map() },
};
const shows = { draft: [], chosen: [] };
/** `draft`: something was edited; `chosen`: another class is edited, or the draft is another. */
export const on = (what, show) => shows[what].push(show);

export const changed = () => Boolean(state.draft) && JSON.stringify(state.draft) !== JSON.stringify(contentOf(state.template));
export const current = () => state.draft?.classes.find((cls) => cls.id === state.chosen) ?? null;
export const nameOf = (id) => state.draft.classes.find((cls) => cls.id === id)?.name ?? String(id);

export function touch() {
  state.wrong = { classes: problemsOf(state.draft.classes), rules: ruleProblems(state.draft.classes, state.draft.rules) };
  shows.draft.forEach((show) => show());
}
/** Change the chosen class, then show it everywhere. */
export function edit(change) {
  const cls = current();
  if (!cls) return;
  change(cls);
  touch();
}
export function select(id) {
  state.chosen = id;
  touch();
  shows.chosen.forEach((show) => show());
}
export function discard() {
  state.draft = contentOf(state.template);
  select(current() ? state.chosen : rowsOf(state.draft.classes)[0]?.cls.id ?? null);
}
/** Nothing is unsaved any more: the page may be left. */
export function forget() {
  state.draft = null;
}

/** No id ever means two classes, also not one that an older revision had. */
export const freshId = () => Math.max(data.next_id, ...state.draft.classes.map((cls) => cls.id + 1));

/** Colours that are told apart also by colour-blind eyes. */
export const STREET = ['#73c1fe', '#ae5320', '#78ba53', '#8a5b9b', '#ffb9d0', '#c5b98e', '#1f8876', '#bb3acf', '#d7005c', '#fca300', '#eaf467', '#4f6bed'];
export function freshColour() {
  const used = state.draft.classes.map((cls) => cls.colour);
  const rated = STREET.map((colour) => ({ colour, d: Math.min(Infinity, ...used.map((other) => difference(colour, other))) }));
  return rated.sort((a, b) => b.d - a.d)[0].colour;
}
export function complain(block = null) {
  const slot = byId('save-problem') ?? byId('problems');
  slot.replaceChildren(...(block ? [block] : []));
  if (block) slot.scrollIntoView({ block: 'nearest' });
}
/** What touches regions is saved at once; a draft beside it would be lost. */
export function mayLeaveDraft() {
  if (!changed()) return true;
  complain(problem(t('draft_first'), t('draft_first_then'), 'warn'));
  return false;
}

const FLASH = 'pt-class-template';
/** Load the page anew, and say then what was done. */
export function reload(text) {
  forget();
  try { sessionStorage.setItem(FLASH, text); } catch { /* then it is not said */ }
  location.reload();
}
export function flash() {
  try {
    const text = sessionStorage.getItem(FLASH);
    sessionStorage.removeItem(FLASH);
    return text;
  } catch {
    return null;
  }
}
