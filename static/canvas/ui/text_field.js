/** The field of the text tool, in the canvas bar while that tool is chosen; and the flag that says why an engine cannot. */
import { el, icon, kbd } from '../dom.js';
import { engineFor, isReady, obstacle } from '../engines.js';

const KEPT = 12;
const CHIPS = 3;

function recall(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key));
    return Array.isArray(found) ? found.filter((text) => typeof text === 'string').slice(0, KEPT) : [];
  } catch {
    return [];
  }
}

export function mountTextField(bar, notes, { app, store, t, projectId }) {
  if (!bar) return { focus: () => {} };
  const memory = `pointillist texts ${projectId}`;
  let texts = recall(memory);
  const options = el('datalist', { id: 'pt-texts' });
  const input = el('input', { class: 'inp', id: 'pt-text', list: 'pt-texts', maxlength: '200', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'pt-text-why' });
  const ask = el('button', { class: 'btn sm primary' }, t('text.ask'), kbd('↵'));
  const recent = el('span', { class: 'recent', role: 'group', 'aria-label': t('text.recent') });
  const form = el('form', { class: 'pt-text', hidden: true, role: 'search', 'aria-label': t('tool.text') }, el('label', { for: 'pt-text' }, t('text.label')), input, options, ask, recent);
  bar.prepend(form);
  const why = el('p', { id: 'pt-text-why' });
  const instead = el('button', { type: 'button', class: 'btn sm' });
  const flag = el('div', { class: 'problem warn', role: 'status', hidden: true }, icon('warn'), el('div', {}, why), instead, el('a', { class: 'btn sm', href: '/engines' }, t('engine.about')));
  notes.append(flag);

  function offer() {
    options.replaceChildren(...texts.map((text) => el('option', { value: text })));
    recent.replaceChildren(...texts.slice(0, CHIPS).map((text) => el('button', {
      type: 'button', class: 'chip', title: text, onclick: () => { input.value = text; send(); },
    }, el('span', { class: 'tr' }, text))));
  }

  function send() {
    const text = input.value.trim();
    if (!text) return;
    if (app.askText(text)) {
      texts = [text, ...texts.filter((other) => other !== text)].slice(0, KEPT);
      try { localStorage.setItem(memory, JSON.stringify(texts)); } catch { /* not remembered, then */ }
      offer();
      app.toCanvas();
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    input.value = '';
    app.reject();
    app.toCanvas();
  });

  function show(state) {
    const open = state.tool === 'text';
    form.hidden = !open;
    bar.classList.toggle('asks', open);
    const wrong = open && obstacle(state, ['text']);
    flag.hidden = !wrong;
    ask.disabled = Boolean(wrong);
    if (!wrong) return;
    why.textContent = t(wrong.key, wrong.args);
    const other = engineFor(state.engines, 'text');
    instead.hidden = !isReady(other);
    if (isReady(other)) {
      instead.textContent = t('engine.use', { engine: other.id });
      instead.onclick = () => {
        app.useEngine(other.id);
        input.focus();
      };
    }
  }

  offer();
  show(store.get());
  store.on((state, changed) => { if (['tool', 'engine', 'engines'].some((key) => changed.has(key))) show(state); });
  return {
    /** `text`: asked at once. */
    focus(text = '') {
      if (text) input.value = text;
      input.focus();
      input.select();
      if (text) send();
    },
  };
}
