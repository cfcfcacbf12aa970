/** The dialog that exports: the options that the chosen format heeds, the job's progress, its files and notes. */
import { api, ask, bytes, count, icon, make, newId, register, seconds, showBar, t } from '../app.js';

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('workspace-data').textContent);
const project = data.project.id;
let job = null;

/** The body of the request: what the fields say, without what the format does not heed. */
function wanted(fields, heeded) {
  const body = { format: fields.format };
  if (fields.asset_id && (heeded.includes('asset') || heeded.includes('one-asset'))) body.asset_id = fields.asset_id;
  if (heeded.includes('unlabelled') && fields.unlabelled_value !== '') body.unlabelled_value = Number(fields.unlabelled_value);
  if (heeded.includes('opacity')) body.opacity = Number(fields.opacity) / 100;
  if (heeded.includes('objects')) body.objects = fields.objects;
  if (heeded.includes('split')) body.split = fields.split.trim();
  for (const [option, name] of [['labelled', 'only_labelled'], ['shared', 'shared_values'], ['edges', 'edges'], ['media', 'media']]) {
    if (heeded.includes(option)) body[name] = Boolean(fields[name]);
  }
  return body;
}

const chosen = (form) => form.querySelector('[name=format]:checked');
const heededBy = (format) => format.dataset.options.split(' ');

register('open-export', () => {
  ask('export-dialog', async (fields, form) => {
    job = (await api('POST', `/projects/${project}/exports`, { id: newId(), ...wanted(fields, heededBy(chosen(form))) })).id;
    byId('export-files').replaceChildren();
    byId('export-notes').replaceChildren();
    await showExport();
    return false;
  }, (form) => {
    form.onchange = (event) => showOptions(form, event.target.name === 'format');
    showOptions(form, true);
  });
  chosen(document.querySelector('#export-dialog form')).focus();
});

function showOptions(form, anew) {
  const format = chosen(form);
  const heeded = heededBy(format);
  for (const node of form.querySelectorAll('[data-option]')) node.hidden = !node.dataset.option.split(' ').some((name) => heeded.includes(name));
  const { asset_id: asset, objects, split } = form.elements;
  const single = heeded.includes('one-asset');
  form.querySelector('[data-all]').hidden = single;
  if (single && !asset.value) asset.value = data.asset.id;
  if (anew) {
    objects.value = format.dataset.objects;
    split.placeholder = format.dataset.split;
  }
  byId('export-lossy').hidden = !format.dataset.lossy;
  byId('export-lossy').querySelector('p').textContent = format.dataset.lossy;
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
