/** The kinds of files that are made, each with what it is for. */
import { el } from '../dom.js';

export function createOutputs({ t, facts, matte }) {
  const boxes = facts.outputs.map(({ id, title, note }) => {
    const input = el('input', { type: 'checkbox', value: id, id: `matte-output-${id}`, 'aria-describedby': `matte-output-${id}-note`, onchange: choose });
    return { id, input, node: el('label', { class: 'chk' }, input, el('span', {}, title, el('span', { class: 'f t1', id: `matte-output-${id}-note` }, note))) };
  });
  const colour = el('input', { type: 'color', id: 'matte-background', class: 'mt-colour', oninput: () => matte.setBackground(colour.value) });
  const code = el('output', { class: 'f t1', for: 'matte-background' });
  const colourRow = el('div', { class: 'st-row' }, el('label', { class: 'lab2', for: 'matte-background' }, t('matte.background')), colour, code);
  const sound = el('input', { type: 'checkbox', id: 'matte-sound', 'aria-describedby': 'matte-sound-why', onchange: () => matte.choose({ sound: sound.checked }) });
  const soundWhy = el('span', { class: 'f t1', id: 'matte-sound-why' });
  const soundRow = el('label', { class: 'chk' }, sound, el('span', {}, t('matte.sound'), soundWhy));
  const node = el('div', { class: 'st-field', role: 'group', 'aria-label': t('matte.files') }, ...boxes.map((one) => one.node), colourRow, soundRow);

  function choose() {
    matte.choose({ outputs: boxes.filter(({ input }) => input.checked).map(({ id }) => id) });
  }

  return {
    node,
    show({ choice, sound: has }) {
      for (const { id, input } of boxes) input.checked = choice.outputs.includes(id);
      colour.value = choice.background;
      code.textContent = choice.background.toUpperCase();
      const silent = has?.available === false;
      sound.disabled = silent;
      sound.checked = choice.sound && !silent;
      soundWhy.textContent = silent ? has.sentence : '';
    },
  };
}
