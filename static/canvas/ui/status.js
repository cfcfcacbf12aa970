/** Status bar: a sentence when something is to be said, the hints of the tool, and what is saved. Screen readers hear both. */
import { hintsFor } from '../actions.js';
import { el, icon, kbd } from '../dom.js';
import { keyCaps } from '../keys.js';
import { proposedClass } from '../paint/proposal.js';

const CLEAR_MS = 9000;

export function mountStatus({ hints, saved, live }, { store, t }) {
  const message = el('span', { class: 'pt-say', role: 'status', hidden: true });
  const list = el('span', { class: 'pt-hints' });
  hints?.append(message, list);
  let timer = 0;
  let shown = '';

  function cap(name) {
    const key = `key.${name}`;
    const word = t(key);
    return kbd(word === key ? name : word);
  }

  function update(state) {
    const items = hintsFor(state);
    const name = state.classes.get(proposedClass(state))?.name ?? '';
    const sign = JSON.stringify([items, name]);
    if (sign === shown) return;
    shown = sign;
    list.replaceChildren(...items.map((item) => el('span', { class: 'hint' },
      ...(item.chord ? keyCaps(item.chord).map(kbd) : item.caps.map(cap)), t(item.text, { name }))));
  }

  function say(text, kind = 'info') {
    clearTimeout(timer);
    store.set({ message: text ? { text, kind } : null });
    if (text) timer = setTimeout(() => store.set({ message: null }), kind === 'error' ? CLEAR_MS * 2 : CLEAR_MS);
  }

  const savedIcon = { saved: 'check', saving: 'clock', retrying: 'warn' };
  function showSaved({ saved: state }) {
    if (!saved) return;
    saved.dataset.state = state;
    saved.classList.toggle('warnc', state === 'retrying');
    saved.replaceChildren(icon(savedIcon[state], true), t(`saved.${state}`));
  }

  store.on((state, changed) => {
    if (changed.has('message')) {
      message.hidden = !state.message;
      message.className = `pt-say ${state.message?.kind ?? ''}`;
      message.replaceChildren(...(state.message
        ? [icon({ error: 'err', warn: 'warn' }[state.message.kind] ?? 'info', true), state.message.text] : []));
    }
    if (changed.has('saved')) showSaved(state);
    if (['tool', 'held', 'proposal', 'prompt', 'selected', 'classId', 'gesture', 'classes'].some((key) => changed.has(key))) update(state);
  });
  update(store.get());
  showSaved(store.get());

  let spoken = 0;
  return {
    say,
    announce(text) {
      // The same sentence twice is only heard when the node changes.
      spoken += 1;
      live.textContent = text + (spoken % 2 ? '' : '\u00a0');
    },
  };
}
