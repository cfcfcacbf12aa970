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
/** The job that is shown, and whether it makes label maps, regions of them, or finds words. */
let job = null;
let stage = 'label';

register('open-auto-label', async () => {
  engines = (await api('GET', '/engines')).filter((engine) => engine.can.includes('label') || engine.can.includes('find'));
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
    showGo(form);
  };
  byId('al-part').hidden = form.elements.range.value !== 'part';
  byId('al-found').hidden = true;
  byId('al-progress').hidden = !job;
  return showEngine(form);
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
  const body = { id: newId(), asset_id: dataset.asset, engine: fields.engine };
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
  stage = words ? 'find' : 'label';
  byId('al-found').hidden = true;
  await showJob();
  return false;
}

async function showJob() {
  if (!job) return;
  const mine = job;
  const found = await api('GET', `/jobs/${mine}`).catch(() => null);
  if (!found || mine !== job) return;
  if (stage === 'label' && found.state === 'done') {
    job = found.result.import_job;
    stage = 'regions';
    await showJob();
    return;
  }
  const running = showBar(byId('al-progress'), found);
  const left = found.eta_s === null ? '' : ` · ${seconds(found.eta_s)}`;
  byId('al-state').textContent = {
    waiting: () => t(stage === 'regions' ? 'al_regions_waiting' : 'al_waiting'),
    running: () => t(stage === 'regions' ? 'al_regions_running' : 'al_running', { done: count(found.done), total: count(found.total) }) + left,
    paused: () => t('job_rests'),
    done: () => t('al_done', { n: count(found.result.regions), count: found.result.regions }),
    cancelled: () => t(stage === 'find' ? 'al_find_cancelled' : 'al_cancelled'),
    failed: () => `${t('al_failed')} ${found.reason}`,
  }[found.state]();
  byId('al-state').classList.toggle('errc', found.state === 'failed');
  byId('al-state').classList.toggle('tr', found.state !== 'failed');
  if (found.state === 'done' && stage === 'regions') {
    byId('al-found').hidden = false;
    byId('al-found').firstElementChild.href = `/projects/${project}/import?job=${job}`;
  }
  if (!running) job = null;
  const form = document.querySelector('#auto-label-dialog form');
  if (engines.length) showGo(form);
}
document.body.addEventListener('pt-job', showJob);
register('cancel-auto-label', () => job && api('POST', `/jobs/${job}/cancel`).then(showJob));
