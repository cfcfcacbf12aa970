/** Importing ground truth: choose a source, look at a dry run and map its classes, import, look at what came of it. */
import { api, count, icon, make, newId, problem, register, seconds, showProblem, t } from '../app.js';
import { createMapping } from './import_mapping.js';
import { createResult } from './import_result.js';
import { createSource } from './import_source.js';

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('import-data').textContent);
const STEPS = ['source', 'check', 'result'];
const MATCHES = { auto: () => t('match_auto'), name: () => t('match_name'), index: () => t('match_index'), pts: () => t('match_pts') };
const BY = { auto: () => t('by_auto'), name: () => t('by_name'), index: () => t('by_index'), pts: () => t('by_pts') };

/** `job`: the one that is shown, `dry` whether it is a dry run; `report`: of the last dry run, null once it is out of date. */
const state = { step: 'source', job: null, dry: true, running: false, report: null };
const how = byId('gt-how');
const chosenOptions = byId('gt-options');
const mapping = createMapping(data.classes, showReady);
const result = createResult(data);
const source = createSource(data.title, (chosen) => {
  state.report = null;
  if (!chosen) history.replaceState(null, '', location.pathname + assetQuery());
  showReady();
});

// ---- steps
function show(step) {
  state.step = step;
  for (const name of STEPS) byId(`step-${name}`).hidden = name !== step;
  for (const part of document.querySelectorAll('[data-for]')) part.hidden = part.dataset.for !== step || (step === 'check' && !state.report);
  for (const button of document.querySelectorAll('.steps button')) {
    const at = STEPS.indexOf(button.dataset.step);
    button.disabled = !open(button.dataset.step);
    button.classList.toggle('past', at < STEPS.indexOf(step));
    if (button.dataset.step === step) button.setAttribute('aria-current', 'step');
    else button.removeAttribute('aria-current');
  }
  byId('gt-problem').replaceChildren();
  byId('gt-body').scrollTop = 0;
  showReady();
}
/** Whether a step can be gone to: not while something runs, and not back from a finished import to its dry run. */
function open(step) {
  if (step === state.step) return true;
  if (state.running || state.step === 'result') return false;
  return step === 'source' || (step === 'check' && Boolean(state.report));
}
register('go-step', (button) => show(button.dataset.step));

const say = (text, tone = '') => {
  const line = byId('gt-say');
  line.className = tone ? `${tone}c` : 'm';
  line.replaceChildren(...(tone ? [icon(tone, 's')] : []), text);
};

/** What stands in the way of the next step, in words; its button waits until nothing does. */
function showReady() {
  byId('gt-ignore').hidden = true;
  byId('gt-check').disabled = !source.value || state.running;
  if (state.step === 'source') say(source.value ? t('source_ready') : t('need_source'));
  else if (state.step === 'result') say('');
  else if (!state.report || state.running) {
    byId('gt-import').disabled = true;
    say('');
  } else {
    const unmapped = mapping.count('');
    const ignored = mapping.count('0');
    const used = mapping.size - unmapped - ignored;
    const { matched, wrong_size, existing, truths } = state.report.counts;
    const hidden = choice('keep') === 'truth';
    const usable = matched + (choice('wrong_size') === 'scale' ? wrong_size : 0);
    const spared = choice(hidden ? 'existing_truth' : 'existing') === 'skip';
    const frames = Math.max(0, usable - (spared ? (hidden ? truths : existing) : 0));
    const go = byId('gt-import');
    go.textContent = t(hidden ? 'hide_n' : 'import_n', { n: count(frames), count: frames });
    go.disabled = Boolean(unmapped) || !used || !frames;
    byId('gt-ignore').hidden = !unmapped;
    if (!usable) say(wrong_size ? t('say_wrong_size') : t('say_unmatched'), 'err');
    else if (!frames) say(t(hidden ? 'say_all_kept' : 'say_all_skipped'), 'warn');
    else if (unmapped) say(t('say_unmapped', { n: unmapped }), 'warn');
    else if (!used) say(t('say_nothing'), 'warn');
    else say(t(hidden ? 'say_ready_truth' : 'say_ready', { n: used, m: ignored }));
  }
}
const choice = (name) => chosenOptions.elements.namedItem(name).value;
/** Regions and hidden ground truth ask for different things. */
function showKeep() {
  for (const part of chosenOptions.querySelectorAll('[data-keep]')) part.hidden = part.dataset.keep !== choice('keep');
  showReady();
}
chosenOptions.addEventListener('change', showKeep);
register('gt-ignore', () => mapping.ignoreRest());

// ---- how it is read
const notes = new Map();
async function showFormats() {
  const found = await api('GET', '/imports/formats').catch(() => []);
  const chosen = how.elements.format.value;
  for (const format of found) {
    notes.set(format.id, format.note);
    how.elements.format.append(make('option', { value: format.id }, format.title));
  }
  how.elements.format.value = state.wantedFormat ?? chosen;
  showNotes();
}
function showNotes() {
  byId('gt-format-note').textContent = notes.get(how.elements.format.value) ?? t('detect_note');
  byId('gt-match-note').textContent = MATCHES[how.elements.match.value]();
  how.elements.offset.disabled = !['index', 'auto'].includes(how.elements.match.value);
}
how.addEventListener('change', () => {
  showNotes();
  // What was found no longer answers what is asked now.
  state.report = null;
  for (const button of document.querySelectorAll('.steps button')) button.disabled = !open(button.dataset.step);
});
how.addEventListener('submit', (event) => {
  event.preventDefault();
  byId('gt-check').click();
});
const assetQuery = () => (how.elements.asset_id.value ? `?asset=${how.elements.asset_id.value}` : '');
const addressOf = (job) => `${location.pathname}?${new URLSearchParams({ ...(how.elements.asset_id.value ? { asset: how.elements.asset_id.value } : {}), job })}`;

function asked() {
  return {
    ...source.value, format: how.elements.format.value || null, asset_id: how.elements.asset_id.value || null,
    match: how.elements.match.value, offset: Math.round(how.elements.offset.valueAsNumber) || 0,
  };
}

// ---- dry run and import are jobs; the address names the one that is shown
register('gt-check', async () => {
  byId('gt-problem').replaceChildren();
  try {
    const job = await api('POST', `/projects/${data.project}/imports`, { id: newId(), ...asked(), dry_run: true });
    source.keep({ from_job: job.id });
    history.replaceState(null, '', addressOf(job.id));
    state.report = null;
    follow(job, true);
  } catch (error) {
    showProblem(error, byId('gt-problem'));
  }
});
register('gt-import', () => chosenOptions.requestSubmit());
chosenOptions.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (byId('gt-import').disabled || state.running) return;
  const field = (name) => chosenOptions.elements.namedItem(name);
  const hidden = field('keep').value === 'truth';
  const body = {
    id: newId(), ...asked(), match: state.report.match, from_job: state.report.job_id, dry_run: false, ...mapping.answer(),
    regions: field('regions').value, iou_target: field('iou_target').valueAsNumber, budget: Math.round(field('budget').valueAsNumber),
    min_area: Math.round(field('min_area').valueAsNumber) || 0, unlabelled: field(hidden ? 'unlabelled_truth' : 'unlabelled').value,
    keep: field('keep').value, existing: field(hidden ? 'existing_truth' : 'existing').value, wrong_size: field('wrong_size').value, remember: field('remember').checked,
  };
  byId('gt-import').disabled = true;
  try {
    const job = await api('POST', `/projects/${data.project}/imports`, body);
    history.pushState(null, '', addressOf(job.id));
    follow(job, false);
  } catch (error) {
    showProblem(error, byId('gt-problem'));
    byId('gt-body').scrollTop = 0;
    byId('gt-import').disabled = false;
  }
});

function follow(job, dry) {
  state.job = job.id;
  state.dry = dry;
  state.hidden = job.args.keep === 'truth';
  state.running = true;
  byId('gt-report').hidden = true;
  byId('gt-done').hidden = true;
  show(dry ? 'check' : 'result');
  showProgress(job);
  look();
}
let looking = 0;
async function look() {
  if (!state.running) return;
  const mine = looking += 1;
  const job = await api('GET', `/jobs/${state.job}`).catch((error) => (error.status === 404 ? null : undefined));
  if (mine !== looking || job === undefined) return;
  if (job === null) lost();
  else if (['waiting', 'running', 'paused'].includes(job.state)) showProgress(job);
  else await finished(job);
}
document.body.addEventListener('pt-job', look);

const slot = () => byId(state.dry ? 'gt-dry-progress' : 'gt-progress');
function showProgress(job) {
  let card = slot().querySelector('.gt-run');
  if (!card) {
    const title = t(state.dry ? 'dry_title' : state.hidden ? 'run_title_truth' : 'run_title');
    card = make('section', { class: 'card gt-run', 'aria-live': 'polite' },
      make('div', { class: 'row' }, make('h2', { class: 't3 b' }, title), make('span', { class: 'm st' }), make('span', { class: 'ml' }),
        make('button', { type: 'button', class: 'btn sm danger', 'data-do': 'cancel-job', 'data-id': job.id }, icon('x', 's'), t('cancel'))),
      make('span', { class: 'bar', role: 'progressbar', 'aria-label': title, 'aria-valuemin': '0', 'aria-valuemax': '100' }, make('i', { class: 'acc' })),
      make('p', { class: 'f t1' }, state.dry ? t('cancel_dry') : t('cancel_run')));
    slot().replaceChildren(card);
  }
  const bar = card.querySelector('.bar');
  const pct = job.total ? (100 * job.done) / job.total : 0;
  bar.classList.toggle('ind', !job.total);
  if (job.total) bar.setAttribute('aria-valuenow', String(Math.floor(pct)));
  bar.firstElementChild.dataset.pct = String(pct);
  card.querySelector('.st').textContent = [
    job.state === 'waiting' ? t('waiting') : job.state === 'paused' ? t('job_rests') : job.total ? t('progress', { done: count(job.done), total: count(job.total) }) : '',
    job.eta_s === null || job.state === 'waiting' ? '' : t('left', { left: seconds(job.eta_s) }),
  ].filter(Boolean).join(' · ');
}

async function finished(job) {
  state.running = false;
  if (job.state === 'done') {
    try {
      const report = await api('GET', `/imports/${job.id}`);
      slot().replaceChildren();
      if (report.dry_run) await showReport(report);
      else {
        show('result');
        byId('gt-done').hidden = false;
        await result.show(report, job.args.options?.iou_target ?? 0.95);
      }
      return;
    } catch (error) {
      slot().replaceChildren(problem(error.message));
    }
  } else {
    const cancelled = job.state === 'cancelled';
    const again = make('button', { type: 'button', class: 'btn', onclick: async () => {
      try {
        follow(await api('POST', `/jobs/${job.id}/retry`), state.dry);
      } catch (error) {
        showProblem(error);
      }
    } }, icon('retry'), t('retry'));
    const back = make('button', { type: 'button', class: 'btn', onclick: () => leave() }, t('change_source'));
    const what = cancelled ? t('job_cancelled') : t(state.dry ? 'dry_failed' : 'job_failed');
    slot().replaceChildren(problem(what, [cancelled ? '' : job.reason, t('failed_then')].filter(Boolean).join(' '), cancelled ? 'info' : 'err', back, again));
  }
  show(state.step);
}
function leave() {
  state.report = null;
  show('source');
}
function lost() {
  state.running = false;
  slot().replaceChildren();
  source.set(null);
  show('source');
  byId('gt-problem').replaceChildren(problem(t('no_job'), '', 'info'));
  history.replaceState(null, '', location.pathname);
}

// ---- the report of the dry run
async function showReport(report) {
  // The class template may have changed since the page was made, by an import from this page for one.
  const rules = await api('GET', `/class-templates/${data.class_template_id}`);
  data.classes.splice(0, data.classes.length, ...rules.classes);
  state.report = report;
  byId('gt-report').hidden = false;
  const { counts } = report;
  const tile = (glyph, tone, n, label, help) => make('li', { class: `tile card${n ? ` ${tone}` : ' zero'}` },
    make('span', { class: `row${n && tone ? ` ${tone}c` : ''}` }, icon(glyph), make('b', { class: 't5' }, count(n))), make('span', { class: 'b' }, label), make('span', { class: 'f t1' }, help));
  byId('gt-counts').replaceChildren(
    tile('check', 'ok', counts.matched, t('matched'), t('matched_help')),
    tile('x', 'warn', counts.missing, t('missing'), t('missing_help')),
    tile('dup', 'warn', counts.duplicate, t('duplicate'), t('duplicate_help')),
    tile('fit', 'warn', counts.wrong_size, t('wrong_size'), t('wrong_size_help')),
    ...(counts.unreadable ? [tile('err', 'err', counts.unreadable, t('unreadable'), t('unreadable_help'))] : []),
    tile('film', '', counts.without, t('unmatched'), t('unmatched_help')),
    tile('flag', 'warn', counts.problems, t('left_out'), t('left_out_help')));
  byId('gt-read-as').textContent = [
    t('read_as', { source: report.source, format: report.format_title, frames: t('n_frames', { n: count(counts.frames), count: counts.frames }), match: BY[report.match]() }),
    counts.empty ? t('n_empty', { n: count(counts.empty), count: counts.empty }) : '',
  ].filter(Boolean).join(' ');
  byId('gt-existing-count').textContent = counts.existing ? t('existing_n', { n: count(counts.existing), count: counts.existing }) : t('existing_none');
  byId('gt-truths-count').textContent = counts.truths ? t('truths_n', { n: count(counts.truths), count: counts.truths }) : t('truths_none');
  showFrames(report);
  byId('gt-problems').hidden = !report.problems.length;
  byId('gt-problems-count').textContent = count(counts.problems);
  byId('gt-problems-list').replaceChildren(...report.problems.map((text) => make('li', {}, text)),
    ...(counts.problems > report.problems.length ? [more(counts.problems - report.problems.length)] : []));
  mapping.load(report.classes);
  show('check');
  byId('map-table').querySelector('tr.open select')?.focus();
}
const more = (n) => make('li', { class: 'f' }, t('more_frames', { n: count(n), count: n }));
const STATES = {
  missing: () => ['x', 'warn', t('state_missing')], duplicate: () => ['dup', 'warn', t('state_duplicate')],
  'wrong-size': () => ['fit', 'warn', t('state_wrong_size')], unreadable: () => ['err', 'err', t('state_unreadable')],
};
function showFrames({ counts, frames }) {
  const bad = frames.filter((row) => row.state in STATES);
  const all = counts.missing + counts.duplicate + counts.wrong_size + (counts.unreadable ?? 0);
  byId('gt-frames-count').textContent = all ? count(all) : '';
  byId('gt-frames-list').replaceChildren(bad.length
    ? make('div', { class: 'gt-scroll', tabindex: '0', role: 'group', 'aria-labelledby': 'frames-title' }, make('table', { class: 'tbl' },
      make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, t('col_frame')), make('th', { scope: 'col' }, t('col_state')))),
      make('tbody', {}, ...bad.map((row) => {
        const [glyph, tone, word] = STATES[row.state]();
        return make('tr', {}, make('td', { class: 'wrap' }, make('span', { class: 'name' }, row.name), row.note ? make('p', { class: 'f t1' }, row.note) : null),
          make('td', {}, make('span', { class: `chip ${tone}` }, icon(glyph, 's'), word)));
      }))), all > bad.length ? make('p', { class: 'f foot' }, t('more_frames', { n: count(all - bad.length), count: all - bad.length })) : null)
    : make('p', { class: 'row fine m' }, make('span', { class: 'okc' }, icon('check')), t('frames_fine')));
}

// ---- after the result
register('gt-again', () => location.assign(location.pathname + assetQuery()));

/** Take up the job that the address names: after a reload, or by the browser's Back. */
async function resume() {
  const job = new URLSearchParams(location.search).get('job');
  if (!job) {
    show('source');
    return;
  }
  const found = /^[0-9a-f]{24}$/.test(job) ? await api('GET', `/jobs/${job}`).catch(() => null) : null;
  if (!found || found.kind !== 'import_labels' || found.project_id !== data.project) {
    lost();
    return;
  }
  const { args } = found;
  how.elements.asset_id.value = args.asset_id ?? '';
  how.elements.match.value = args.options.match;
  how.elements.offset.value = args.options.offset;
  state.wantedFormat = how.elements.format.value = args.format ?? '';
  source.set({ from_job: found.id }, args.name, t('from_before'));
  follow(found, args.dry_run);
}
addEventListener('popstate', () => resume().catch(showProblem));
showFormats();
resume().catch(showProblem);
