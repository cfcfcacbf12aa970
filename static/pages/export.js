/** The dialog that exports: the options that the chosen format heeds, the job's progress, its files and notes. */
import { api, ask, bytes, count, icon, make, newId, register, seconds, showBar, t } from '../app.js';

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('workspace-data').textContent);
const project = data.project.id;
let job = null;

const MEMORY = 'pointillist export';
/** What is remembered of the last export; the others depend on the asset, or on what the canvas shows. */
const KEPT = ['format', 'unlabelled_value', 'shared_values', 'only_labelled', 'media', 'labels', 'outlines', 'outline_width', 'quality', 'max_side', 'arrangement', 'audio', 'lossless'];
const FLAGS = [['labelled', 'only_labelled'], ['shared', 'shared_values'], ['media', 'media'], ['outlines', 'outlines'], ['audio', 'audio'], ['lossless', 'lossless']];
const TEXTS = ['labels', 'quality', 'arrangement'];
const sounds = new Map();

/** The body of the request: what the fields say, without what the format does not heed. */
function wanted(fields, heeded) {
  const body = { format: fields.format };
  const number = (option, name, value, make = Number) => { if (heeded.includes(option) && value !== '') body[name] = make(value); };
  if (fields.asset_id && (heeded.includes('asset') || heeded.includes('one-asset'))) body.asset_id = fields.asset_id;
  number('unlabelled', 'unlabelled_value', fields.unlabelled_value);
  number('range', 'start', fields.first, (value) => Number(value) - 1);
  number('range', 'stop', fields.last, (value) => Number(value) - 1);
  number('opacity', 'opacity', fields.opacity, (value) => Number(value) / 100);
  number('outlines', 'outline_width', fields.outline_width);
  number('max_side', 'max_side', fields.max_side);
  if (heeded.includes('objects')) body.objects = fields.objects;
  if (heeded.includes('split')) body.split = fields.split.trim();
  for (const name of TEXTS) if (heeded.includes(name)) body[name] = fields[name];
  for (const [option, name] of FLAGS) if (heeded.includes(option)) body[name] = Boolean(fields[name]);
  if (heeded.includes('of')) {
    const [what, id] = fields.of.split(' ');
    if (!id) body.objects = what;
    else if (what === 'class') body.class_ids = [Number(id)];
    else body.track_ids = [id];
  }
  return body;
}

const chosen = (form) => form.querySelector('[name=format]:checked');
const heededBy = (format) => format.dataset.options.split(' ');

register('open-export', () => {
  ask('export-dialog', async (fields, form) => {
    job = (await api('POST', `/projects/${project}/exports`, { id: newId(), ...wanted(fields, heededBy(chosen(form))) })).id;
    keep(form);
    byId('export-files').replaceChildren();
    byId('export-notes').replaceChildren();
    await showExport();
    return false;
  }, (form) => {
    recall(form);
    const shown = globalThis.pointillist?.store?.get();
    if (shown) form.elements.opacity.value = Math.round(shown.opacity * 100);
    form.elements.first.value = shown?.range ? shown.range.start + 1 : '';
    form.elements.last.value = shown?.range ? shown.range.stop + 1 : '';
    showMasks();
    form.onchange = (event) => showOptions(form, event.target.name === 'format');
    showOptions(form, true);
  });
  chosen(document.querySelector('#export-dialog form')).focus();
});

function keep(form) {
  const found = {};
  for (const name of KEPT) {
    const field = form.elements[name];
    found[name] = field.type === 'checkbox' ? field.checked : field.value;
  }
  // What is switched off because the asset has no sound is not what the user wanted.
  if (form.elements.audio.disabled) delete found.audio;
  try { localStorage.setItem(MEMORY, JSON.stringify(found)); } catch { /* not remembered, then */ }
}

function recall(form) {
  let found = {};
  try { found = JSON.parse(localStorage.getItem(MEMORY)) ?? {}; } catch { /* nothing is known */ }
  for (const name of KEPT) {
    const field = form.elements[name];
    if (!(name in found)) continue;
    if (field.type === 'checkbox') field.checked = found[name];
    else if (name !== 'format' || [...field].some((radio) => radio.value === found[name])) field.value = found[name];
  }
}

/** The classes and tracks that may get a mask video of their own. */
async function showMasks() {
  byId('ex-of-classes').replaceChildren(...data.classes.map((row) => make('option', { value: `class ${row.id}` }, row.name)));
  const tracks = await api('GET', `/projects/${project}/tracks`).catch(() => []);
  const known = byId('ex-of').value;
  byId('ex-of-tracks').hidden = !tracks.length;
  byId('ex-of-tracks').replaceChildren(...tracks.map((row) => make('option', { value: `track ${row.id}` }, row.name)));
  byId('ex-of').value = known;
}

function showOptions(form, anew) {
  const format = chosen(form);
  const heeded = heededBy(format);
  for (const node of form.querySelectorAll('[data-option]')) node.hidden = !node.dataset.option.split(' ').some((name) => heeded.includes(name));
  const { asset_id: asset, objects, split, first, last, outlines, outline_width: width } = form.elements;
  const single = heeded.includes('one-asset');
  form.querySelector('[data-all]').hidden = single;
  if (single && !asset.value) asset.value = data.asset.id;
  const frames = data.assets.find((row) => row.id === asset.value)?.frame_count ?? '';
  first.max = last.max = last.placeholder = frames;
  // Fields that do not show must not hold the form up.
  for (const field of [first, last]) if (!heeded.includes('range') || Number(field.value) > frames) field.value = '';
  width.disabled = !outlines.checked;
  if (heeded.includes('audio')) showSound(form, asset.value);
  if (anew) {
    objects.value = format.dataset.objects;
    split.placeholder = format.dataset.split;
  }
  byId('export-lossy').hidden = !format.dataset.lossy;
  byId('export-lossy').querySelector('p').textContent = format.dataset.lossy;
}

/** Whether there is sound to keep; the server looks once. */
async function showSound(form, asset) {
  if (!sounds.has(asset)) sounds.set(asset, api('GET', `/projects/${project}/export-sound?asset_id=${asset}`).catch(() => ({ available: true, sentence: '' })));
  const { available, sentence } = await sounds.get(asset);
  if (form.elements.asset_id.value !== asset) return;
  const { audio } = form.elements;
  const why = byId('ex-audio-why');
  audio.disabled = !available;
  why.hidden = available;
  why.textContent = sentence;
}

async function showExport() {
  if (!job) return;
  const found = await api('GET', `/jobs/${job}`).catch(() => null);
  if (!found) return;
  const running = showBar(byId('export-progress'), found);
  byId('export-state').textContent = {
    waiting: t('export_waiting'), paused: t('job_rests'),
    running: t('export_running', { done: count(found.done), total: count(found.total), left: found.eta_s === null ? '' : seconds(found.eta_s) }),
    done: t('export_done'), cancelled: t('export_cancelled'), failed: `${t('export_failed')} ${found.reason}`,
  }[found.state];
  byId('export-state').classList.toggle('errc', found.state === 'failed');
  byId('export-files').replaceChildren(...(found.result?.files ?? []).map((file) => make('li', { class: 'row' }, icon('exp'),
    make('a', { class: 'link tr', href: `/api/v1/jobs/${job}/files/${encodeURIComponent(file.name)}`, download: file.name }, file.name),
    make('span', { class: 'f ml nw' }, file.bytes ? bytes(file.bytes) : ''))));
  byId('export-notes').replaceChildren(...(found.result?.notes ?? []).map((note) => make('li', {}, note)));
  if (!running) job = null;
}
document.body.addEventListener('pt-job', showExport);
register('cancel-export', () => job && api('POST', `/jobs/${job}/cancel`).then(showExport));
