/** From key events to chords like 'Ctrl+Shift+z'. Pure, so that `node --test` reads them. */

const TYPING = new Set(['INPUT', 'TEXTAREA', 'SELECT']);
const NOT_TEXT = new Set(['range', 'checkbox', 'radio', 'button', 'submit', 'reset', 'color', 'file']);

/** Keys mean text there, so shortcuts must not. */
export function isTyping(target) {
  if (!target) return false;
  if (target.isContentEditable) return true;
  if (target.tagName === 'INPUT') return !NOT_TEXT.has((target.type ?? 'text').toLowerCase());
  return TYPING.has(target.tagName);
}

/** Keys that move or activate a focused control; they are the page's own unless the canvas has the focus. */
const CONTROL_KEYS = new Set(['Enter', ' ', 'Tab', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End',
  'Delete', 'Backspace', 'PageUp', 'PageDown']);
export const belongsToControl = (key) => CONTROL_KEYS.has(key);

/** The chords an event may stand for, best first. Letters and digits also by place, for other keyboard layouts. */
export function chordsOf(e) {
  const prefix = (e.ctrlKey || e.metaKey ? 'Ctrl+' : '') + (e.altKey ? 'Alt+' : '');
  const shift = e.shiftKey ? 'Shift+' : '';
  const byPlace = /^Key([A-Z])$/.exec(e.code ?? '')?.[1].toLowerCase() ?? /^(?:Digit|Numpad)(\d)$/.exec(e.code ?? '')?.[1];
  const key = e.key ?? '';
  const out = [];
  if (/^[a-z]$/i.test(key)) out.push(prefix + shift + key.toLowerCase());
  else if (/^\d$/.test(key)) {
    out.push(prefix + (byPlace === key ? shift : '') + key);
  } else if (key.length === 1) {
    // A sign is already what Shift made of the key.
    out.push(prefix + (key === ' ' ? shift + 'Space' : key));
    if (byPlace) out.push(prefix + shift + byPlace);
  } else if (key) {
    out.push(prefix + shift + key);
  }
  return [...new Set(out)];
}

const SIGNS = {
  Enter: '↵', Escape: 'Esc', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓',
  Delete: 'Del', Backspace: '⌫', Space: 'Space', Tab: 'Tab',
};

/** 'Ctrl+Shift+z' → ['Ctrl', 'Shift', 'Z'] for kbd elements. */
export function keyCaps(chord) {
  const parts = chord === '+' ? ['+'] : chord.split('+').filter(Boolean);
  return parts.map((part) => SIGNS[part] ?? (part.length === 1 ? part.toUpperCase() : part));
}

/** For aria-keyshortcuts. */
export const ariaKeys = (keys) => keys.map((chord) => chord.replace('Ctrl', 'Control')).join(' ');

/** The class whose shortcut the chord is: {cls, fresh}; `fresh` when Shift asks for a new region. */
export function classOfChord(classes, chords) {
  for (const chord of chords) {
    const match = /^(Shift\+)?(.)$/u.exec(chord);
    if (!match) continue;
    for (const cls of classes) {
      if (cls.shortcut && cls.shortcut.toLowerCase() === match[2].toLowerCase()) return { cls, fresh: Boolean(match[1]) };
    }
  }
  return null;
}
