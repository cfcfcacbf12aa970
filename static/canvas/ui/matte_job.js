/** A matte job that runs, and the files that came of it. */
import { el, icon } from '../dom.js';
import { filesBy, sizeOf } from '../matte.js';
import { progressOf } from './stabilised.js';

export function createJob({ t, matte }) {
  const doing = el('b', {});
  const bar = el('progress', { max: '1', 'aria-label': t('stab.progress') });
  const far = el('p', { class: 'm t1', role: 'status' });
  const keeps = el('p', { class: 'f t1' });
  const pause = el('button', { type: 'button', class: 'btn', id: 'matte-pause' });
  const cancel = el('button', { type: 'button', class: 'btn', id: 'matte-cancel', onclick: matte.cancel }, t('stab.cancel'));
  const running = el('div', { class: 'st-form' }, doing, bar, far, keeps, el('div', { class: 'row end' }, pause, cancel));

  const said = el('b', { class: 'st-done', role: 'status' });
  const facts = el('p', { class: 'm t1' });
  const files = el('div', { class: 'mt-files' });
  const notes = el('ul', { class: 'mt-limits f t1', 'aria-label': t('matte.notes') });
  const licence = el('p', { class: 't1 mt-licence' });
  const anew = el('button', { type: 'button', class: 'btn', id: 'matte-anew', onclick: matte.anew }, t('matte.anew'));
  const done = el('button', { type: 'button', class: 'btn', id: 'matte-done', onclick: matte.close }, t('stab.done'));
  const finished = el('div', { class: 'st-form' }, el('div', { class: 'row' }, icon('check'), said), facts, files, notes, licence, el('div', { class: 'row end' }, anew, done));
  const node = el('div', {}, running, finished);

  function showRunning({ phase, jobs, job }) {
    const tracking = phase === 'tracking';
    const all = tracking ? sumOf(jobs) : job;
    doing.textContent = t(tracking ? 'matte.tracking' : job.state === 'paused' ? 'matte.paused' : 'matte.running');
    if (all.total) bar.value = all.done / all.total;
    else bar.removeAttribute('value');
    far.textContent = progressOf(all, t);
    keeps.textContent = t(tracking ? 'matte.track_keeps' : 'matte.cancel_keeps');
    pause.hidden = tracking || !['running', 'paused'].includes(job.state);
    if (pause.hidden) return;
    const rests = job.state === 'paused';
    pause.replaceChildren(icon(rests ? 'play' : 'pause', true), t(rests ? 'matte.resume' : 'matte.pause'));
    pause.onclick = rests ? matte.resume : matte.pause;
  }

  /** Of a long name the end is always seen: it tells the files apart. */
  function link(job, file) {
    const end = Math.max(0, file.name.lastIndexOf('_'));
    return el('li', { class: 'row' }, icon('exp', true),
      el('a', { class: 'link', href: `/api/v1/jobs/${job.id}/files/${encodeURIComponent(file.name)}`, download: file.name, title: file.name, 'aria-label': file.name },
        el('span', { class: 'tr' }, file.name.slice(0, end)), el('span', { class: 'nw' }, file.name.slice(end))),
      el('span', { class: 'f t1 ml nw' }, sizeOf(file.bytes)));
  }

  let shown = null;
  function showFinished({ job }) {
    if (shown === job) return;
    shown = job;
    const { result } = job;
    said.textContent = t(job.state === 'cancelled' ? 'matte.stopped' : 'matte.ready');
    facts.textContent = [result.engine, t.n('track.frames_n', result.frames), ...result.targets.filter((one) => one.dtssd !== null && one.dtssd !== undefined).map((one) => t('matte.dtssd', { name: one.name, value: one.dtssd.toFixed(2) }))].join(' · ');
    const byTarget = filesBy(result.files);
    files.replaceChildren(...byTarget.flatMap(([target, list]) => [
      ...(byTarget.length > 1 ? [el('h3', { class: 'lab2 tr' }, target || t('matte.other_files'))] : []), el('ul', { 'aria-label': target || t('matte.files') }, ...list.map((file) => link(job, file))),
    ]));
    notes.replaceChildren(...result.notes.map((note) => el('li', {}, note)));
    licence.hidden = !result.licence;
    licence.replaceChildren(icon('info', true), el('span', {}, t('matte.made_with', { engine: result.engine, licence: result.licence }), ...(result.weights_licence ? [' · ', t('matte.weights_licence'), ' ', result.weights_licence] : [])));
  }

  return {
    node,
    show(now) {
      const ran = now.phase !== 'done';
      running.hidden = !ran;
      finished.hidden = ran;
      if (ran) showRunning(now);
      else showFinished(now);
    },
    focus: () => (running.hidden ? files.querySelector('a') ?? done : cancel).focus(),
  };
}

/** Several jobs as one. */
function sumOf(jobs) {
  const add = (key) => jobs.reduce((sum, job) => sum + (job[key] ?? 0), 0);
  const now = jobs.find((job) => job.state === 'running');
  return { state: now ? 'running' : jobs.some((job) => job.state === 'waiting') ? 'waiting' : 'running', message: now?.message ?? '', done: add('done'), total: add('total'), eta_s: now?.eta_s ?? null };
}
