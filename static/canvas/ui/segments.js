/** A group of radio buttons in one frame, of which one is chosen. */
import { el } from '../dom.js';

/** @param values strings or numbers; `onChoose(value)` when a person chooses; texts are set by `say`. */
export function segments({ id, label, values, onChoose, describedBy }) {
  const node = el('div', { class: 'seg fill', role: 'radiogroup', 'aria-label': label, 'aria-describedby': describedBy });
  const parts = new Map();
  const fill = (list) => {
    parts.clear();
    node.replaceChildren(...list.map((value) => {
      const input = el('input', { type: 'radio', name: id, value: String(value), id: `${id}-${value}`, onchange: () => onChoose(value) });
      const text = el('span', { class: 'tr' });
      const part = el('label', {}, input, text);
      parts.set(value, { input, text, part });
      return part;
    }));
  };
  fill(values);
  return {
    node, fill, has: (list) => list.length === parts.size && list.every((value) => parts.has(value)),
    say(value, text) { parts.get(value).text.textContent = text; },
    set value(value) { for (const [one, { input }] of parts) input.checked = one === value; },
    /** `why` = a sentence where the value cannot be chosen, else ''. */
    allow(value, why) {
      const { input, part } = parts.get(value);
      input.disabled = Boolean(why);
      part.title = why;
      part.classList.toggle('off', Boolean(why));
    },
    focus: () => node.querySelector('input:checked')?.focus(),
  };
}
