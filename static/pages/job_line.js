/** The job that runs, in the status bar: how far it is, pause, cancel, follow; and what came of it, as a toast. */
import { api, count, icon, make, register, showProblem, t } from '../app.js';
import { frameIndex } from '../canvas/ids.js';
import { trackedBy } from '../canvas/tracks.js';
import { undoable } from './workspace_tracks.js';

const NOW = ['running', 'paused', 'waiting'];
const TRACKS = new Set(['track', 'find']);
/** Of so many of the project's newest jobs it is asked which are open. */
const RECENT = 100;
const FOLLOW_MS = 250;

export function mountJobLine(line, { data, order }) {
  const jobs = new Map();
  const store = () => globalThis.pointillist.store;
  let following = false;
  let wanted = null;
  let timer = 0;
  let shownIndex = -1;

  const button = (name, glyph, action) => make('button', { type: 'button', class: 'btn ghost icon sm', id: `job-${name}`, 'data-do': action }, icon(glyph, 's'));
  const text = make('span', { class: 'tr', id: 'job-text' });
  const bar = make('progress', { max: '1', id: 'job-bar' });
  const more = make('a', { class: 'chip', id: 'job-more', href: '/jobs' });
  const follow = make('button', { type: 'button', class: 'btn ghost sm', id: 'job-follow', 'aria-pressed': 'false', onclick: () => setFollow(!following) }, icon('play', 's'), t('job_follow'));
  const pause = button('pause', 'pause', 'pause-job');
  const resume = button('resume', 'play', 'resume-job');
  const cancel = button('cancel', 'x', 'cancel-job');
  line.replaceChildren(icon('jobs', 's'), text, bar, more, follow, pause, resume, cancel);

  /** 'car 3', or how many objects. */
  function what({ args }) {
    const things = args?.objects ?? [];
    const state = store().get();
    if (things.length !== 1) return things.length ? t('job_objects', { n: things.length }) : (args?.texts ?? []).map((one) => one.text).join(', ');
    return trackedBy(state.lanes, things[0].track_id)?.name ?? state.classes.get(things[0].class_id)?.name ?? '';
  }

  function sentence(job) {
    const { done, total, state } = job;
    const far = { what: what(job), n: count(done), m: count(total) };
    if (!TRACKS.has(job.kind)) return `${job.title}${total ? `, ${far.n} / ${far.m}` : ''}`;
    if (state === 'waiting') return t('job_waits', far);
    if (state === 'paused') return t('job_paused', far);
    return t(total ? 'job_tracking' : 'job_begins', far);
  }

  const mine = (job) => TRACKS.has(job.kind) && job.asset_id === data.asset.id;
  /** What is shown: a track of this asset before other jobs, one that runs before one that waits, the newest. */
  const foremost = () => {
    const open = [...jobs.values()].sort((a, b) => NOW.indexOf(a.state) - NOW.indexOf(b.state) || b.created_at - a.created_at);
    return open.find(mine) ?? open[0];
  };

  function show() {
    const job = foremost();
    line.hidden = !job;
    if (!job) {
      setFollow(false);
      return;
    }
    text.textContent = sentence(job);
    text.title = job.title;
    bar.setAttribute('aria-label', t('job_progress', { title: job.title }));
    if (job.total) bar.value = job.done / job.total;
    else bar.removeAttribute('value');
    more.hidden = jobs.size < 2;
    more.textContent = `+${jobs.size - 1}`;
    more.title = t('jobs', { n: jobs.size });
    follow.hidden = !mine(job);
    pause.hidden = !mine(job) || job.state === 'paused';
    resume.hidden = job.state !== 'paused';
    for (const [node, key] of [[pause, 'job_pause'], [resume, 'job_resume'], [cancel, mine(job) ? 'job_cancel_keeps' : 'job_cancel']]) {
      node.dataset.id = job.id;
      node.title = t(key, { title: job.title });
      node.setAttribute('aria-label', node.title);
    }
  }

  function ended(job) {
    if (!mine(job)) return;
    const { regions = 0, lost = 0 } = job.result ?? {};
    if (job.state === 'done') {
      // The last frames are not told one by one.
      if (following && job.args?.direction !== 'both') goAlong(job.args.direction === 'backward' ? job.args.start : job.args.stop);
      const many = (job.args?.objects ?? []).length !== 1;
      const said = [t(many ? 'tracked_regions' : 'tracked_frames', { n: regions }), ...(lost ? [t(many ? 'tracked_lost_many' : 'tracked_lost', { n: lost })] : [])].join(' ');
      if (regions && job.args?.actor === data.actor) undoable(said);
      else order('say', { text: said });
    } else if (job.state === 'cancelled') {
      if (!job.done) order('say', { text: t('tracked_none') });
      else if (job.args?.actor === data.actor) undoable(t('tracked_kept', { n: job.done }));
    } else if (job.state === 'failed') showProblem(new Error(job.reason || t('failed')));
  }

  function take(job) {
    if (!job?.id || (job.project_id && job.project_id !== data.project.id)) return;
    const before = jobs.get(job.id);
    if (NOW.includes(job.state)) jobs.set(job.id, job);
    else {
      jobs.delete(job.id);
      if (before) ended(job);
    }
    show();
  }

  /** All of them anew: when the page opens, and when the stream of events was away. */
  async function load() {
    const newest = await api('GET', `/jobs?project=${data.project.id}&limit=${RECENT}`).catch(() => null);
    if (!newest) return;
    const open = new Map(newest.filter((job) => NOW.includes(job.state)).map((job) => [job.id, job]));
    const gone = [...jobs.keys()].filter((id) => !open.has(id));
    for (const id of gone) take(await api('GET', `/jobs/${id}`).catch(() => ({ id, state: 'gone' })));
    for (const job of open.values()) jobs.set(job.id, job);
    show();
  }

  // ---- follow: the canvas goes along with the newest frame, until a person goes elsewhere or begins to work
  function setFollow(on) {
    following = on;
    follow.setAttribute('aria-pressed', String(on));
    shownIndex = on ? store().get().index : -1;
    wanted = null;
  }
  function go() {
    timer = 0;
    if (following && wanted !== null) goAlong(wanted);
  }
  function goAlong(to) {
    const { index, prompt, draft } = store().get();
    if (prompt || draft || index !== shownIndex) {
      setFollow(false);
      return;
    }
    wanted = null;
    shownIndex = to;
    order('goto-frame', { index: to });
  }
  document.body.addEventListener('pt-raw-regions', ({ detail }) => {
    const index = following && detail.frame_id?.startsWith(data.asset.id) && !detail.actor ? frameIndex(detail.frame_id) : -1;
    if (index < 0) return;
    wanted = index;
    timer ||= setTimeout(go, FOLLOW_MS);
  });
  store().on((state, changed) => {
    if (following && changed.has('index') && state.index !== shownIndex) setFollow(false);
    if (changed.has('lanes') && jobs.size) show();
  });

  register('pause-job', (pressed) => api('POST', `/jobs/${pressed.dataset.id}/pause`).then(take));
  register('resume-job', (pressed) => api('POST', `/jobs/${pressed.dataset.id}/resume`).then(take));
  document.body.addEventListener('pt-raw-job', ({ detail }) => take(detail));
  // A hello after a silence comes as an event without a job.
  document.body.addEventListener('pt-job', ({ detail }) => { if (!detail?.id) load(); });
  load();
}
