/** Where ground truth comes from: files and folders that are dropped or chosen, or a path on the server. */
import { api, bytes, count, register, showProblem, t } from '../app.js';
import { upload } from './upload.js';
import { LIMIT_BYTES, LIMIT_FILES, zipOf } from './zip.js';

const byId = (id) => document.getElementById(id);
const NOISE = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/;

/**
 * `value` is what the API is told of the source: {upload_id}, {path} or {from_job}, null for none yet; `onChange(value)`
 * hears of every other one. `title` names the zip that loose files are packed into.
 */
export function createSource(title, onChange) {
  let value = null;

  function set(source, name = '', note = '') {
    value = source;
    byId('gt-source').hidden = !source;
    byId('gt-drop').hidden = Boolean(source);
    if (byId('gt-path-form')) byId('gt-path-form').hidden = Boolean(source);
    byId('gt-source-name').textContent = name;
    byId('gt-source-name').title = name;
    byId('gt-source-size').textContent = note;
    onChange(value);
  }
  function uploadRow(name) {
    const row = byId('upload-row').content.firstElementChild.cloneNode(true);
    row.querySelector('.nm').textContent = name;
    byId('uploads').replaceChildren(row);
    return row;
  }
  async function take(file, name = file.name) {
    const row = uploadRow(name);
    byId('gt-drop').hidden = true;
    const id = await upload(file, name, row);
    row.remove();
    byId('gt-drop').hidden = false;
    if (id) set({ upload_id: id }, name, bytes(file.size));
    byId(id ? 'gt-check' : 'gt-drop').focus?.();
  }
  /** Several files travel as one zip, with the folders that tell what they are. */
  async function takeAll(found, name) {
    const files = [...found].filter((file) => !NOISE.test(file.webkitRelativePath || file.name));
    if (!files.length) throw new Error(t('no_files'));
    if (files.length === 1) {
      await take(files[0]);
      return;
    }
    const size = files.reduce((sum, file) => sum + file.size, 0);
    if (files.length > LIMIT_FILES || size > LIMIT_BYTES) throw new Error(t('too_large'));
    const folder = name || (files[0].webkitRelativePath || '').split('/')[0] || title;
    const row = uploadRow(folder);
    byId('gt-drop').hidden = true;
    row.querySelector('.stop').hidden = true;
    const packed = await zipOf(files, (n) => {
      row.querySelector('.st').textContent = t('packing', { n: count(n) });
      row.querySelector('.bar i').dataset.pct = String((100 * n) / files.length);
    });
    row.remove();
    await take(packed, `${folder}.zip`);
  }
  function pick(input) {
    input.value = '';
    input.onchange = () => takeAll(input.files).catch(failed);
    input.click();
  }
  const failed = (error) => {
    byId('gt-drop').hidden = Boolean(value);
    showProblem(error, byId('gt-problem'));
  };
  register('gt-files', () => pick(byId('gt-files')));
  register('gt-folder', () => pick(byId('gt-folder')));
  register('gt-forget', () => {
    if (value?.upload_id) api('DELETE', `/uploads/${value.upload_id}`).catch(() => {});
    set(null);
    document.querySelector('[data-do=gt-files]').focus();
  });
  byId('gt-path-form')?.addEventListener('submit', (event) => {
    event.preventDefault();
    const path = byId('gt-path').value.trim();
    if (path) set({ path }, path, t('on_server'));
  });

  async function filesOf(entry) {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      Object.defineProperty(file, 'webkitRelativePath', { value: entry.fullPath.replace(/^\//, '') });
      return [file];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return found;
      for (const child of some) found.push(...await filesOf(child));
    }
  }
  const page = byId('main');
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files') && !byId('step-source').hidden && !value;
  let depth = 0;
  page.addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    byId('gt-drop').classList.add('over');
  });
  page.addEventListener('dragover', (event) => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault(); });
  page.addEventListener('dragleave', () => {
    depth = Math.max(0, depth - 1);
    if (!depth) byId('gt-drop').classList.remove('over');
  });
  page.addEventListener('drop', async (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    depth = 0;
    byId('gt-drop').classList.remove('over');
    if (!carriesFiles(event)) return;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    try {
      const files = (await Promise.all(entries.map(filesOf))).flat();
      await takeAll(files, entries.length === 1 && entries[0].isDirectory ? entries[0].name : '');
    } catch (error) {
      failed(error);
    }
  });

  return {
    get value() { return value; },
    set,
    /** The same source under another name: once a dry run has read it, its job stands for it. */
    keep(other) { value = other; },
  };
}
