/** The sheet of all keys, generated from the action table. */
import { ACTIONS, GESTURES, GROUPS } from '../actions.js';
import { el, icon, kbd, swatch } from '../dom.js';
import { keyCaps } from '../keys.js';
import { keysOf } from './toolbar.js';

export function mountHelp(dialog, { store, t }) {
  if (!dialog) return () => {};
  dialog.classList.add('dlg', 'pt-help');

  function caps(names) {
    return el('span', { class: 'caps' }, ...names.map((name) => {
      const word = t(`key.${name}`);
      return kbd(word === `key.${name}` ? name : word);
    }));
  }

  function row(label, alternatives, mark = null) {
    const keys = el('dd');
    alternatives.forEach((names, i) => {
      if (i) keys.append(el('span', { class: 'f t1' }, t('key.or')));
      keys.append(caps(names));
    });
    return el('div', { class: 'pt-key' }, el('dt', {}, mark, label), keys);
  }

  function rows(group) {
    const out = GESTURES.filter((g) => g.group === group && !g.again).map((g) => {
      const twin = GESTURES.find((other) => other.again && other.label === g.label);
      return row(t(g.label), [g.caps, ...(twin ? [twin.caps] : [])]);
    });
    for (const action of ACTIONS) {
      if (action.group !== group || action.shown === false || !keysOf(action).length) continue;
      const taken = new Set([...store.get().classes.values()].map((cls) => cls.shortcut?.toLowerCase()));
      const keys = keysOf(action).filter((key) => action.keys.includes(key) || !taken.has(key));
      if (keys.length) out.push(row(t(action.label), keys.map(keyCaps)));
    }
    if (group === 'classes') {
      for (const cls of store.get().classes.values()) {
        if (cls.shortcut) out.push(row(cls.name, [[cls.shortcut.toUpperCase()]], swatch(cls.colour)));
      }
    }
    return out;
  }

  return function open() {
    if (dialog.open) {
      dialog.close();
      return;
    }
    const close = el('button', { type: 'button', class: 'btn ghost icon ml', 'aria-label': t('help.close'), onclick: () => dialog.close() }, icon('x'));
    dialog.setAttribute('aria-labelledby', 'pt-help-title');
    dialog.replaceChildren(
      el('header', {}, el('h2', { id: 'pt-help-title' }, t('help.title')), close),
      el('div', { class: 'body' }, el('div', { class: 'pt-cols' },
        ...GROUPS.map((group) => el('section', {}, el('h3', {}, t(`group.${group}`)), el('dl', {}, ...rows(group)))))));
    dialog.showModal();
  };
}
