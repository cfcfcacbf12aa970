/** The Engines page: load and unload, choose weights, copy commands. What changed comes back by the live events. */
import { api, ask, refresh, register, t, toast } from '../app.js';

const LIST = 'engines-list';
const act = (verb) => async ({ dataset }) => {
  await api('POST', `/engines/${dataset.id}/${verb}`);
  refresh(LIST);
};
const use = (id, path) => api('PUT', `/engines/${id}/weights`, { path }).then(() => refresh(LIST));

register('load-engine', act('load'));
register('unload-engine', act('unload'));
register('choose-weights', ({ dataset: { id, path } }) => ask('weights-dialog', async (fields) => {
  await use(id, fields.path);
  toast(t('taken', { engine: id }));
}, (form) => { form.elements.path.value = path; }));
register('own-weights', async ({ dataset: { id } }) => {
  await use(id, null);
  toast(t('own', { engine: id }));
});
register('copy', async ({ dataset }) => {
  await navigator.clipboard.writeText(dataset.text);
  toast(t('copied'));
});
