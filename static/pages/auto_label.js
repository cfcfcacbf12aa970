/**
 * The dialog that lets an engine label a video: by its own classes, which are mapped, or by words, whose instances are
 * tracked. Its engine, the frames, the classes, the progress of the jobs.
 */
import { api, ask, count, make, newId, problem, register, seconds, showBar, t } from '../app.js';
import { textRows } from './find_texts.js';

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('workspace-data').textContent);
const project = data.project.id;
const WHY = { name: 'al_name', synonym: 'al_synonym', rule: 'al_rule' };
const NEW = 'new';
let engines = [];
let rows = [];
/** The words for the classes, where the engine looks for words. */
let words = null;
/** The job that is shown, and whether it finds words. */
let job = null;
let finds = false;
/** The filters that may follow, by id. */
let filters = {};

register('open-auto-label', async () => {
  engines = (await api('GET', '/engines')).filter((engine) => engine.can.includes('label') || engine.can.includes('find'));
  filters = Object.fromEntries((await api('GET', '/stabilisers')).map((one) => [one.id, one]));
  ask('auto-label-dialog', send, prepare);
});

function prepare(form) {
  const select = form.elements.engine;
  const chosen = engines.find((e) => e.id === data.project.engine && e.available) ?? engines.find((e) => e.available) ?? engines[0];
  select.replaceChildren(...engines.map((engine) => make('option', { value: engine.id }, engine.available ? engine.name : t('al_not_ready', { name: engine.name }))));
  select.value = chosen.id;
  form.oninput = () => { if (words) showGo(form); };
  form.onchange = (event) => {
    if (event.target === select) showEngine(form);
    byId('al-part').hidden = form.elements.range.value !== 'part';
    showFilter(form, event.target === form.elements.filter);
    showGo(form);
  };
  byId('al-part').hidden = form.elements.range.value !== 'part';
  const filter = form.elements.filter;
  if (!filter.options.length) {
    filter.replaceChildren(...Object.values(filters).map((one) => make('option', { value: one.id }, one.title)));
    showFilter(form, true);
  }
  showFilter(form, false);
  byId('al-found').hidden = true;
  byId('al-progress').hidden = !job;
  return showEngine(form);
}

/** The parameter of the chosen filter and its range; `fresh`: with its default. */
function showFilter(form, fresh) {
  const chosen = filters[form.elements.filter.value];
  const field = form.elements.strength;
  byId('al-then').hidden = !form.elements.stabilise.checked;
  byId('al-strength-name').textContent = t(chosen.parameter === 'alpha' ? 'al_alpha' : 'al_window');
  byId('al-strength-unit').hidden = chosen.parameter === 'alpha';
  Object.assign(field, { min: String(chosen.least), max: String(chosen.most), step: String(chosen.step) });
  if (fresh) field.value = String(chosen.default);
}

function thenOf(form) {
  const { filter, strength, stabilise, measure } = form.elements;
  const then = { measure: measure.checked };
  if (stabilise.checked) then.smoothing = { method: filter.value, [filters[filter.value].parameter]: Number(strength.value) };
  return then;
}

async function showEngine(form) {
  const engine = engines.find((e) => e.id === form.elements.engine.value);
  byId('al-engine-note').textContent = engine.available ? engine.note : '';
  byId('al-engine-problem').replaceChildren();
  if (!engine.available) {
    const block = problem(engine.reason, `${engine.step}.`, 'warn');
    block.lastElementChild.append(make('a', { class: 'link', href: '/engines' }, t('al_engines')));
    byId('al-engine-problem').append(block);
  }
  rows = [];
  words = engine.can.includes('label') ? null : textRows(data.classes);
  for (const node of form.querySelectorAll('[data-by]')) node.hidden = node.dataset.by !== (words ? 'words' : 'classes');
  if (words) {
    byId('al-classes').replaceChildren(...words.nodes);
    byId('al-note').textContent = t('al_words_note');
    showGo(form);
    return;
  }
  showGo(form);
  const found = await api('GET', `/projects/${project}/auto-label/mapping?engine=${encodeURIComponent(engine.id)}`).catch((error) => ({ classes: [], note: error.message }));
  if (form.elements.engine.value !== engine.id) return;
  rows = found.classes.map(row);
  byId('al-classes').replaceChildren(...rows.map(({ node }) => node));
  byId('al-note').textContent = found.note;
  showGo(form);
}

/** A class of the engine: what is proposed for it, or that nothing is. */
function row({ name, class_id: id, why }) {
  const select = make('select', { class: 'inp sm', 'aria-label': t('al_map', { name }) },
    make('option', { value: '' }, t('al_out')),
    ...data.classes.map((cls) => make('option', { value: String(cls.id) }, cls.name)),
    make('option', { value: NEW }, t('al_new')));
  select.value = id === null ? '' : String(id);
  const swatch = make('span', { class: 'swt none', 'aria-hidden': 'true' });
  const note = make('span', { class: 't1 nw' });
  const node = make('li', {}, make('b', { class: 'tr', title: name }, name), swatch, select, note);
  const show = (proposed) => {
    const cls = data.classes.find((one) => String(one.id) === select.value);
    swatch.classList.toggle('none', !cls);
    if (cls) swatch.dataset.colour = cls.colour;
    const open = proposed && !why;
    note.classList.toggle('warnc', open);
    note.classList.toggle('f', !open);
    note.textContent = open ? t('al_unmatched') : proposed ? t(WHY[why]) : '';
  };
  select.addEventListener('change', () => show(false));
  show(true);
  return { name, select, node };
}

function showGo(form) {
  const engine = engines.find((e) => e.id === form.elements.engine.value);
  byId('al-go').disabled = !engine.available || Boolean(job) || !(words ? words.some() : rows.some(({ select }) => select.value));
}

async function send(fields, form) {
  const { dataset } = form.querySelector('.al');
  const body = { id: newId(), asset_id: dataset.asset, engine: fields.engine, then: thenOf(form) };
  if (words) Object.assign(body, { texts: words.texts(), every: Number(fields.every), threshold: Number(fields.threshold) / 100 });
  else Object.assign(body, { existing: fields.existing, min_area: Number(fields.min_area), mapping: {} });
  for (const { name, select } of rows) {
    if (select.value === NEW) body.new_classes = true;
    else body.mapping[name] = select.value ? Number(select.value) : null;
  }
  if (fields.range === 'frame') body.start = body.stop = Number(byId('frame-number').value) - 1;
  if (fields.range === 'part') Object.assign(body, { start: Number(fields.first) - 1, stop: Number(fields.last) - 1 });
  if (fields.range !== 'all' && !(body.start >= 0 && body.stop < Number(dataset.frames) && body.start <= body.stop)) throw new Error(t('al_range', { n: count(Number(dataset.frames)) }));
  job = (await api('POST', `/projects/${project}/${words ? 'tracks' : 'auto-label'}`, body)).id;
  finds = Boolean(words);
  byId('al-found').hidden = true;
  await showJob();
  return false;
}

async function showJob() {
  if (!job) return;
  const mine = job;
  const found = await api('GET', `/jobs/${mine}`).catch(() => null);
  if (!found || mine !== job) return;
  const running = showBar(byId('al-progress'), found);
  const of = (kind) => (found.result?.stages ?? []).find((one) => one.kind === kind);
  const made = of('import_labels')?.result ?? found.result ?? {};
  const steadied = of('stabilise')?.result;
  const left = found.eta_s === null ? '' : ` · ${seconds(found.eta_s)}`;
  byId('al-state').textContent = {
    waiting: () => t('al_waiting'),
    running: () => (found.message || t('al_running', { done: count(found.done), total: count(found.total) })) + left,
    paused: () => t('job_rests'),
    done: () => [t('al_done', { n: count(made.regions), count: made.regions }), ...(steadied ? [t('al_stabilised', { percent: Math.round(steadied.improvement_percent ?? 0) })] : [])].join(' '),
    cancelled: () => t(finds || of('import_labels')?.state === 'done' ? 'al_find_cancelled' : 'al_cancelled'),
    failed: () => `${t('al_failed')} ${found.reason}`,
  }[found.state]();
  byId('al-state').classList.toggle('errc', found.state === 'failed');
  if (found.state === 'done' && of('import_labels')) {
    byId('al-found').hidden = false;
    byId('al-found').firstElementChild.href = `/projects/${project}/import?job=${of('import_labels').job}`;
  }
  if (!running) job = null;
  const form = document.querySelector('#auto-label-dialog form');
  if (engines.length) showGo(form);
}
document.body.addEventListener('pt-job', showJob);
register('cancel-auto-label', () => job && api('POST', `/jobs/${job}/cancel`).then(showJob));
