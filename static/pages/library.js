/** The Library: dropping, uploading, importing; renaming, trash and restore. */
import { api, ask, icon, make, newId, register, showProblem, signal, t, toast } from '../app.js';
import { closeSheet, offer } from './import.js';
import { upload } from './upload.js';
import { LIMIT_BYTES, LIMIT_FILES, zipOf } from './zip.js';

const byId = (id) => document.getElementById(id);
const IMAGE = /\.(png|jpe?g|tiff?|bmp|webp)$/i;
let target = '';

// ---- sources
function rowFor() {
  const row = byId('upload-row').content.firstElementChild.cloneNode(true);
  byId('uploads').append(row);
  return row;
}

async function take(file, name = file.name, into = target) {
  const row = rowFor();
  const id = await upload(file, name, row);
  if (!id) return;
  row.querySelector('.st').textContent = t('examining');
  row.querySelector('.bar').classList.add('ind');
  offer({
    upload_id: id, project: into,
    done: () => row.remove(),
    failed: (error) => {
      row.classList.add('bad');
      row.querySelector('.bar').classList.remove('ind');
      row.querySelector('.st').textContent = '';
      row.append(make('p', { class: 'errc' }, error.message));
    },
  });
}

async function takeFolder(files, into = target) {
  const images = [...files].filter((file) => IMAGE.test(file.name)).sort((a, b) => (a.webkitRelativePath || a.name).localeCompare(b.webkitRelativePath || b.name, undefined, { numeric: true }));
  if (!images.length) throw new Error(t('no_images'));
  const size = images.reduce((sum, file) => sum + file.size, 0);
  if (images.length > LIMIT_FILES || size > LIMIT_BYTES) throw new Error(t('no_images'));
  const folder = (images[0].webkitRelativePath || '').split('/')[0] || 'images';
  const row = rowFor();
  row.querySelector('.nm').textContent = folder;
  row.querySelector('.stop').hidden = true;
  const packed = await zipOf(images, (n) => {
    row.querySelector('.st').textContent = t('packing', { n });
    row.querySelector('.bar i').dataset.pct = String((100 * n) / images.length);
  });
  row.remove();
  await take(packed, `${folder}.zip`, into);
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) break;
    for (const child of some) found.push(...await filesOf(child));
  }
  return found;
}

const drop = byId('drop');
const page = byId('main');
let depth = 0;
page.addEventListener('dragenter', (event) => {
  if (!event.dataTransfer?.types.includes('Files')) return;
  event.preventDefault();
  depth += 1;
  drop.classList.add('over');
});
page.addEventListener('dragover', (event) => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault(); });
page.addEventListener('dragleave', () => {
  depth = Math.max(0, depth - 1);
  if (!depth) drop.classList.remove('over');
});
page.addEventListener('drop', async (event) => {
  if (!event.dataTransfer?.types.includes('Files')) return;
  event.preventDefault();
  depth = 0;
  drop.classList.remove('over');
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...event.dataTransfer.files];
  try {
    if (!entries.some((entry) => entry.isDirectory)) takeAll(files);
    else for (const entry of entries) entry.isDirectory ? await takeFolder(await filesOf(entry)) : takeAll(await filesOf(entry));
  } catch (error) {
    showProblem(error);
  }
});

function takeAll(files) {
  const images = files.filter((file) => IMAGE.test(file.name));
  if (images.length > 1) takeFolder(images).catch(showProblem);
  for (const file of files) if (images.length <= 1 || !images.includes(file)) take(file);
}
function pick(input, run, into = '') {
  target = into;
  input.value = '';
  input.onchange = () => run(input.files).catch?.(showProblem);
  input.click();
}
register('choose-files', () => pick(byId('files'), async (files) => takeAll([...files])));
register('choose-folder', () => pick(byId('folder'), (files) => takeFolder(files)));
register('import-into', (button) => {
  button.closest('dialog')?.close();
  pick(byId('files'), async (files) => takeAll([...files]), button.dataset.id);
});
register('choose-path', () => ask('path-dialog', ({ path }) => new Promise((done, fail) => offer({ path, project: target, done, queued: done, failed: fail }))));
register('close-import', () => closeSheet());
register('choose-bundle', () => pick(byId('bundle'), async ([file]) => {
  const row = rowFor();
  const id = await upload(file, file.name, row);
  if (!id) return;
  row.remove();
  await api('POST', '/imports', { upload_id: id });
  toast(t('bundle_started'));
  signal('pt-job');
}));

// ---- projects
register('new-project', () => {
  const id = newId();
  ask('new-project', async ({ name, class_template_id }) => {
    await api('POST', '/projects', { id, name, class_template_id: class_template_id || null });
    toast(t('created', { name }));
    signal('pt-project');
  }, (form) => form.reset());
});

async function sheet(address) {
  const dialog = byId('sheet');
  const answer = await fetch(address, { headers: { 'HX-Request': 'true', Accept: 'text/html' } });
  const html = new DOMParser().parseFromString(await answer.text(), 'text/html');
  if (!answer.ok) throw new Error(html.querySelector('.problem p')?.textContent || t('failed'));
  dialog.replaceChildren(...html.body.childNodes);
  dialog.dataset.from = address;
  dialog.setAttribute('aria-label', dialog.querySelector('h2').textContent);
  if (!dialog.open) dialog.showModal();
}
const again = () => { if (byId('sheet').open) return sheet(byId('sheet').dataset.from); return undefined; };
register('open-project', (button) => sheet(`/library/_project/${button.dataset.id}`));
register('open-trash', () => sheet('/library/_trash'));
byId('sheet').addEventListener('submit', async (event) => {
  const form = event.target.closest('#project-form');
  if (!form) return;
  event.preventDefault();
  try {
    await api('PATCH', `/projects/${form.dataset.id}`, Object.fromEntries(new FormData(form)), { revision: form.dataset.revision });
    byId('sheet').close();
    signal('pt-project');
  } catch (error) {
    showProblem(error, form.querySelector('.problem-slot'));
  }
});
register('set-status', async ({ dataset }) => {
  await api('PATCH', `/projects/${dataset.id}`, { status: dataset.status }, { revision: dataset.revision });
  signal('pt-project');
});
const bin = (kind) => async ({ dataset }) => {
  await api('DELETE', `/${kind}/${dataset.id}`);
  toast(t('trashed', { name: dataset.name }), { undo: () => back(kind)({ dataset }).catch(showProblem) });
  signal('pt-project');
  await again();
};
const back = (kind) => async ({ dataset }) => {
  await api('POST', `/${kind}/${dataset.id}/restore`);
  toast(t('restored', { name: dataset.name }));
  signal('pt-project');
  await again();
};
register('trash-project', bin('projects'));
register('restore-project', back('projects'));
register('trash-asset', bin('assets'));
register('restore-asset', back('assets'));

/** The name becomes a field in its place; Enter keeps it, Escape leaves it. */
register('rename-asset', (button) => {
  const name = button.closest('li').querySelector('b');
  const input = make('input', { class: 'inp', maxlength: '200', 'aria-label': t('rename'), value: button.dataset.name });
  name.replaceWith(input);
  input.select();
  let over = false;
  const end = async (keep) => {
    if (over) return;
    over = true;
    const wanted = input.value.trim();
    try {
      if (keep && wanted && wanted !== button.dataset.name) {
        await api('PATCH', `/assets/${button.dataset.id}`, { name: wanted }, { revision: button.dataset.revision });
        toast(t('renamed'));
        signal('pt-project');
      }
      await again();
    } catch (error) {
      input.after(make('span', { class: 'err-line', role: 'alert' }, icon('err', 's'), error.message));
      over = false;
    }
  };
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === 'Enter');
  });
  input.addEventListener('blur', () => end(true));
});

byId('filter').addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.target.closest('input, textarea, select, dialog')) {
    event.preventDefault();
    byId('search').focus();
  }
});
if (location.hash === '#restore') document.querySelector('[data-do="choose-bundle"]').focus();
