/** The Quality page and the Dashboard's cards of it: sections, approving, and the jobs that measure and score. */
import { api, ask, count, newId, refresh, register, t, toast } from '../app.js';
import { runsOf } from './picked.js';

const main = document.querySelector('main.quality');
const id = main?.dataset.project;

register('measure', async ({ dataset: { project, asset } }) => {
  await api('POST', `/projects/${project}/measure`, { id: newId(), ...(asset ? { asset_id: asset } : {}) });
  toast(t('measure_runs'));
});
register('score', async ({ dataset: { project } }) => {
  await api('POST', `/projects/${project}/score`, { id: newId() });
  toast(t('score_runs'));
});
register('keep-truth', () => ask('keep-dialog', async (fields) => {
  const seed = fields.seed.trim() ? { seed: Number(fields.seed) } : {};
  await api('POST', `/projects/${id}/truth`, { id: newId(), asset_id: fields.asset_id, count: Number(fields.count), hold_out: 'hold_out' in fields, ...seed });
  toast(t('keep_runs'));
}));
register('delete-truth', ({ dataset: { asset, name, frames } }) => ask('delete-dialog', async () => {
  const { frames: n } = await api('DELETE', `/projects/${id}/truth?asset_id=${asset}`);
  toast(t('truth_deleted', { n }));
  settle('truth');
}, (form) => {
  form.querySelector('[data-say]').textContent = t('delete_what', { n: frames, name });
  form.querySelector('.btn.danger').textContent = t('delete_n', { n: frames });
}));

// ---- panels are asked for anew when something happened; of the sections only the one that the address names
const KINDS = ['project', 'frame', 'regions', 'job', 'seen', 'template'];
const SETTLE_MS = main ? 900 : 2000;
const sections = main ? [...main.querySelectorAll('.q-section')] : [];
const old = new Set();
let timer = 0;

const shown = () => (main ? sections.find((one) => `#${one.id}` === location.hash) ?? sections[0] : document.getElementById('quality-cards'))?.id;

function settle(panel) {
  old.delete(panel);
  refresh(panel);
}
function mark() {
  for (const one of main.querySelectorAll('.q-tabs a')) {
    if (one.hash === `#${shown()}`) one.setAttribute('aria-current', 'true');
    else one.removeAttribute('aria-current');
  }
  if (old.has(shown())) settle(shown());
}
function hear() {
  for (const one of sections) old.add(one.id);
  // Not put off by what follows: a running job is heard of again and again.
  timer ||= setTimeout(() => {
    timer = 0;
    settle(shown());
  }, SETTLE_MS);
}
for (const kind of KINDS) document.body.addEventListener(`pt-${kind}`, hear);
if (main) {
  mark();
  addEventListener('hashchange', mark);
}

// ---- choosing frames of the queue; what is chosen outlives the panel's renewal
const rows = () => [...main.querySelectorAll('input[name=frame]')];
const key = ({ dataset: { asset, index } }) => `${asset} ${index}`;
const chosen = new Set();
/** Index of the row that takes the focus once those before it are approved and gone; −1 = none. */
let following = -1;
function goOn() {
  if (following < 0 || document.activeElement !== document.body) return;
  const left = rows();
  (left[Math.min(following, left.length - 1)] ?? document.getElementById('next-frame')).focus();
  following = -1;
}
function tally() {
  const button = document.getElementById('approve');
  if (!button) return;
  const all = rows();
  for (const one of all) one.checked = chosen.has(key(one));
  const n = all.filter((one) => one.checked).length;
  button.disabled = !n;
  button.lastElementChild.textContent = n ? t('approve_n', { n }) : t('approve_none');
  const every = document.getElementById('pick-all');
  every.checked = n > 0 && n === all.length;
  every.indeterminate = n > 0 && n < all.length;
}
main?.addEventListener('change', (event) => {
  if (!event.target.closest('.pick')) return;
  if (event.target.id === 'pick-all') for (const one of rows()) one.checked = event.target.checked;
  for (const one of rows()) chosen[one.checked ? 'add' : 'delete'](key(one));
  tally();
});
/** The head of the page says the same as the renewed panel. */
function head() {
  const { count: left, open } = document.getElementById('review-facts').dataset;
  document.getElementById('count-review').textContent = Number(left) ? count(left) : '';
  document.getElementById('next-frame').href = open;
}
if (main) {
  for (const event of ['swap', 'settle']) {
    document.body.addEventListener(`htmx:after:${event}`, () => {
      tally();
      head();
      goOn();
    });
  }
}

register('approve-frames', async () => {
  const picked = rows().filter((one) => one.checked);
  const runs = runsOf(picked.map(({ dataset: { asset, index } }) => ({ asset, index: Number(index) })));
  for (const { asset, start, stop } of runs) await api('POST', `/assets/${asset}/states`, { start, stop, state: 'approved' }, { operation: newId() });
  following = rows().indexOf(picked[0]);
  chosen.clear();
  settle('review');
  toast(t('approved_n', { n: picked.length }), {
    undo: async () => {
      for (let left = runs.length; left; left -= 1) await api('POST', `/projects/${id}/undo`);
      settle('review');
      toast(t('undone'));
    },
  });
});
