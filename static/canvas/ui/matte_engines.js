/** The engines of mattes with what they may be used for, and the parameters of the chosen one. */
import { el, icon } from '../dom.js';

/** `choose(patch)` changes the choice. */
export function createEngines({ t, choose }) {
  const list = el('div', { role: 'radiogroup', 'aria-label': t('matte.engine'), 'aria-describedby': 'matte-engine-problem', class: 'mt-engines' });
  const why = el('p', { class: 'm t1', role: 'status' });
  const licence = el('p', { class: 't1 mt-licence', id: 'matte-licence' });
  const off = el('ul', { class: 'mt-off' });
  const offName = el('summary', {});
  const offBox = el('details', { class: 'st-layers', id: 'matte-not-ready' }, offName, off);
  const node = el('div', { class: 'st-field' }, list, why, licence, offBox);
  let sign = '';
  const skeletons = () => [el('span', { class: 'sk' }), el('span', { class: 'sk' })];

  function option(engine, recommended) {
    const input = el('input', { type: 'radio', name: 'matte-engine', value: engine.id, id: `matte-engine-${engine.id}`, 'aria-describedby': `matte-engine-${engine.id}-about`, onchange: () => choose({ engine: engine.id }) });
    return el('label', { class: 'chk' }, input, el('span', {},
      el('span', { class: 'row' }, el('b', {}, engine.id), engine.id === recommended ? el('span', { class: 'chip acc' }, t('matte.recommended')) : null),
      el('span', { class: 'f t1', id: `matte-engine-${engine.id}-about` }, [engine.name, factsOf(engine)].filter(Boolean).join(' · '))));
  }

  const factsOf = (engine) => [t(engine.needs === 'every' ? 'matte.needs_every' : 'matte.needs_first'), engine.people && t('matte.for_people'), engine.gpu && t('matte.wants_gpu')].filter(Boolean).join(' · ');

  /** One that cannot run: what it is for, why not, what would make it run, and its licence. */
  function unready(engine) {
    return el('li', {}, el('b', {}, engine.id), el('span', { class: 'f t1' }, factsOf(engine)), el('span', { class: 'm t1' }, engine.reason), el('span', { class: 'f t1 mt-step' }, engine.step),
      el('span', { class: 'm t1' }, ...licenceOf(engine)), el('a', { class: 'link t1', href: `/engines#engine-${engine.id}` }, t('engine.how_of', { engine: engine.id })));
  }

  const linked = (text, url) => (url ? el('a', { class: 'link', href: url, target: '_blank', rel: 'noopener noreferrer' }, text) : text);
  const licenceOf = (engine) => [t('matte.licence'), ' ', linked(engine.licence, engine.licence_url),
    ...(engine.weights_licence && engine.weights_licence !== engine.licence ? [' · ', t('matte.weights_licence'), ' ', linked(engine.weights_licence, engine.weights_licence_url)] : [])];

  return {
    node,
    show({ engines, estimate }, chosen) {
      const next = JSON.stringify([engines, estimate?.recommended]);
      if (next !== sign) {
        sign = next;
        const focused = list.contains(document.activeElement) ? document.activeElement.id : null;
        const [ready, rest] = [engines.filter((one) => one.available), engines.filter((one) => !one.available)];
        list.replaceChildren(...(engines.length ? ready.map((engine) => option(engine, estimate?.recommended)) : skeletons()));
        off.replaceChildren(...rest.map(unready));
        offBox.hidden = !rest.length;
        offName.textContent = t('matte.not_ready', { names: rest.map((one) => one.id).join(', ') });
        if (focused) document.getElementById(focused)?.focus();
      }
      for (const input of list.querySelectorAll('input')) input.checked = input.value === chosen?.id;
      why.hidden = !estimate?.why;
      why.textContent = estimate?.why ?? '';
      licence.hidden = !chosen;
      if (!chosen) return;
      licence.replaceChildren(icon('info', true), el('span', {}, ...licenceOf(chosen)));
    },
  };
}

export function createParameters({ t, facts, choose }) {
  const rows = new Map(Object.entries(facts.parameters).map(([name, one]) => {
    const input = el('input', {
      class: 'inp sm nn', type: 'number', id: `matte-${name}`, min: name === 'tile' ? '0' : String(one.least), max: String(one.most), step: String(one.step), placeholder: one.default === null ? t('matte.as_suits') : String(one.default),
      'aria-describedby': 'matte-range-problem', onchange: () => read(name),
    });
    const row = el('div', { class: 'st-row' }, el('label', { class: 'lab2', for: `matte-${name}` }, one.title), el('span', { class: 'f t1 ml nw' }, t('matte.between', { least: one.least, most: one.most }), one.unit ? ` ${one.unit}` : ''), input);
    return [name, { input, row }];
  }));
  const steady = el('input', { type: 'checkbox', id: 'matte-steady', onchange: () => set('steady', steady.checked || null) });
  const steadyRow = el('label', { class: 'chk' }, steady, el('span', {}, t('matte.steady'), el('span', { class: 'f t1' }, t('matte.steady_help'))));
  const reset = el('button', { type: 'button', class: 'link', id: 'matte-reset', onclick: clear }, t('matte.reset'));
  const summary = el('summary', {}, t('matte.parameters'));
  const node = el('details', { class: 'st-layers', id: 'matte-parameters' }, summary, el('div', { class: 'st-field' }, ...[...rows.values()].map(({ row }) => row), steadyRow, el('div', { class: 'row end' }, reset)));
  const wrong = el('p', { class: 'err-line', role: 'status', hidden: true, id: 'matte-range-problem' });
  steadyRow.before(wrong);
  let known = {};

  /** What lies outside its range is not taken; it is said beside it. */
  function read(name) {
    const { input } = rows.get(name);
    const { title, least, most, step } = facts.parameters[name];
    const fits = input.validity.valid && (input.value === '' || input.value === '0' || input.valueAsNumber >= least || name !== 'tile');
    input.setAttribute('aria-invalid', String(!fits));
    wrong.hidden = fits;
    wrong.replaceChildren(...(fits ? [] : [icon('warn', true), el('span', {}, t('matte.out_of_range', { title, least, most, step }))]));
    if (fits) set(name, input.value === '' ? null : input.valueAsNumber);
    else choose({});
  }

  function clear() {
    for (const { input } of rows.values()) input.setAttribute('aria-invalid', 'false');
    wrong.hidden = true;
    choose({ parameters: {} });
    summary.focus();
  }

  function set(name, value) {
    const next = { ...known };
    if (value === null || Number.isNaN(value)) delete next[name];
    else next[name] = value;
    choose({ parameters: next });
  }

  return {
    node,
    /** Something that is written there cannot be taken. */
    isWrong: () => [...rows.values()].some(({ input, row }) => !row.hidden && input.getAttribute('aria-invalid') === 'true'),
    show({ parameters }, engine) {
      known = parameters;
      const read = engine?.parameters ?? [];
      for (const [name, { input, row }] of rows) {
        row.hidden = !read.includes(name);
        if (document.activeElement !== input && input.getAttribute('aria-invalid') !== 'true') input.value = parameters[name] ?? '';
      }
      steadyRow.hidden = !read.includes('steady');
      steady.checked = Boolean(parameters.steady);
      const changed = read.filter((name) => name in parameters).length;
      summary.textContent = changed ? t.n('matte.parameters_changed', changed) : t('matte.parameters');
      reset.hidden = !changed && !this.isWrong();
      node.hidden = !read.length;
    },
  };
}
