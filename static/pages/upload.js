/** A file on its way to the server: streamed by PUT, with progress, cancel, and resume at the offset the server names. */
import { api, bytes, newId, seconds, t } from '../app.js';

const RETRIES = 3;

/** `row` is the card that shows it. Resolves with the upload id; null when it was cancelled. */
export function upload(file, name, row) {
  const id = newId();
  const bar = row.querySelector('.bar');
  const state = row.querySelector('.st');
  const stop = row.querySelector('.stop');
  const again = row.querySelector('.again');
  row.querySelector('.nm').textContent = name;
  row.querySelector('.nm').title = name;
  state.textContent = t('starting');
  let request = null;
  let cancelled = false;

  function show(done, rate) {
    const pct = file.size ? (100 * done) / file.size : 100;
    bar.setAttribute('aria-valuenow', String(Math.floor(pct)));
    bar.setAttribute('aria-label', name);
    bar.firstElementChild.dataset.pct = String(pct);
    if (rate > 0) state.textContent = t('uploading', { done: bytes(done), total: bytes(file.size), rate: bytes(rate), left: seconds(Math.max(0, file.size - done) / rate) });
  }

  function send(offset) {
    return new Promise((resolve, reject) => {
      request = new XMLHttpRequest();
      request.open('PUT', `/api/v1/uploads/${id}?offset=${offset}&name=${encodeURIComponent(name)}`);
      request.setRequestHeader('Content-Type', 'application/octet-stream');
      const began = performance.now();
      request.upload.onprogress = (event) => show(offset + event.loaded, event.loaded / Math.max(0.05, (performance.now() - began) / 1000));
      request.onload = () => {
        let body = null;
        try { body = JSON.parse(request.responseText); } catch { /* the status says enough */ }
        if (request.status < 300) resolve(body);
        else reject(Object.assign(new Error(body?.detail || t('refused')), { status: request.status, body }));
      };
      request.onerror = () => reject(new Error(t('broken')));
      request.onabort = () => reject(Object.assign(new Error(t('cancelled')), { aborted: true }));
      request.send(offset ? file.slice(offset) : file);
    });
  }

  return new Promise((resolve) => {
    async function run() {
      again.hidden = true;
      row.classList.remove('bad');
      let offset = 0;
      for (let attempt = 0; ; attempt += 1) {
        try {
          if (attempt || offset) offset = (await api('GET', `/uploads/${id}`)).received;
          if (offset < file.size || !file.size) await send(offset);
          resolve(id);
          return;
        } catch (error) {
          if (error.aborted || cancelled) return;
          if (error.status === 409 && error.body?.offset !== undefined) {
            offset = error.body.offset;
            continue;
          }
          if ((error.status && error.status < 500) || attempt >= RETRIES) {
            row.classList.add('bad');
            state.textContent = error.message;
            again.hidden = Boolean(error.status && error.status < 500);
            offset = 1;
            return;
          }
          state.textContent = error.message;
          await new Promise((done) => setTimeout(done, 1000 * (attempt + 1)));
        }
      }
    }
    again.onclick = run;
    stop.onclick = () => {
      cancelled = true;
      request?.abort();
      api('DELETE', `/uploads/${id}`).catch(() => {});
      row.remove();
      resolve(null);
    };
    run();
  });
}
