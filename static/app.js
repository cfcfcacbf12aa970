/**
 * What every page needs: colours and bar lengths from data attributes, live events, requests, problems, toasts, menus.
 * Markup styles are forbidden by the content policy, so `data-colour` and `data-pct` become custom properties here.
 */
const texts = JSON.parse(document.getElementById('strings')?.textContent || '{}');
Object.assign(texts, JSON.parse(document.getElementById('page-strings')?.textContent || '{}'));
const rules = new Intl.PluralRules(document.documentElement.lang || 'en');

/** t('key', {n: 3}) fills {n}; a plural is an object of forms, chosen by `n`. */
export function t(key, args = {}) {
  const found = texts[key] ?? key;
  const text = typeof found === 'object' ? found[rules.select(args.count ?? Number(args.n))] ?? found.other : found;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in args ? String(args[name]) : whole));
}

const THIN = '\u202f';
export const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, THIN);
export function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB'];
  let unit = 0;
  while (n >= 1000 && unit < 3) { n /= 1000; unit += 1; }
  return `${n >= 10 || !unit ? Math.round(n) : n.toFixed(1)}${THIN}${units[unit]}`;
}
export function seconds(value, decimals = 0) {
  const tick = 10 ** decimals;
  const all = Math.round(value * tick);
  const whole = Math.floor(all / tick);
  const two = (n) => String(n).padStart(2, '0');
  const clock = whole >= 3600 ? `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}` : `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  return decimals ? `${clock}.${String(all % tick).padStart(decimals, '0')}` : clock;
}

/** 24 hex digits: wall time in ms, then randomness; made here so that a repeated request is the same request. */
export function newId() {
  const random = [...crypto.getRandomValues(new Uint8Array(6))].map((b) => b.toString(16).padStart(2, '0')).join('');
  return Date.now().toString(16).padStart(12, '0') + random;
}

// ---- data attributes → custom properties
function paint(node) {
  if (node.dataset.colour !== undefined) node.style.setProperty('--c', /^#[0-9a-f]{6}$/i.test(node.dataset.colour) ? node.dataset.colour : '#888888');
  if (node.dataset.pct !== undefined) node.style.setProperty('--pct', `${Math.min(100, Math.max(0, Number(node.dataset.pct) || 0))}%`);
}
const paintAll = (root) => {
  if (root.matches?.('[data-colour],[data-pct]')) paint(root);
  root.querySelectorAll?.('[data-colour],[data-pct]').forEach(paint);
};
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === 'attributes') paint(change.target);
    else change.addedNodes.forEach((node) => { if (node.nodeType === 1) paintAll(node); });
  }
}).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ['data-colour', 'data-pct'] });
paintAll(document.documentElement);

// ---- icons, problems, toasts
const SVG = 'http://www.w3.org/2000/svg';
export function icon(id, size = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', size ? `i ${size}` : 'i');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS(SVG, 'use'));
  svg.firstChild.setAttribute('href', `/static/icons.svg#${id}`);
  return svg;
}
export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
export function problem(what, then = '', tone = 'err', ...actions) {
  return make('div', { class: `problem${tone === 'err' ? '' : ` ${tone}`}`, role: tone === 'err' ? 'alert' : 'status' },
    icon(tone), make('div', {}, make('b', {}, what), then ? make('p', {}, then) : null), ...actions);
}
/** Show a failed request beside what it was about, or at the top of the page. */
export function showProblem(error, slot = null) {
  const block = problem(error.message || t('failed'), '', 'err');
  if (slot) {
    slot.replaceChildren(block);
    return;
  }
  const close = make('button', { class: 'btn ghost icon sm', 'aria-label': t('close'), onclick: () => block.remove() }, icon('x'));
  block.append(close);
  block.dataset.own = '';
  document.getElementById('problems')?.querySelectorAll('[data-own]').forEach((old) => old.remove());
  document.getElementById('problems')?.append(block);
}
export function toast(text, { undo = null } = {}) {
  const node = make('div', { class: 'toast' }, icon('check'), make('span', {}, text));
  if (undo) node.append(make('button', { class: 'btn ghost sm', onclick: () => { node.remove(); undo(); } }, t('undo')));
  document.getElementById('toasts')?.append(node);
  setTimeout(() => node.remove(), undo ? 10000 : 5000);
  return node;
}

// ---- requests
/** JSON in, JSON out. Raises an Error whose message is the server's sentence; `error.body` is the whole problem. */
export async function api(method, path, body, { revision, operation } = {}) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (revision !== undefined) headers['If-Match'] = `"${revision}"`;
  if (operation !== undefined) headers['Idempotency-Key'] = operation;
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (cause) {
    throw new Error(`${t('offline')} ${t('offline_then')}`, { cause });
  }
  const text = await answer.text();
  let value = null;
  try { value = text ? JSON.parse(text) : null; } catch { /* not JSON: the status says enough */ }
  if (answer.ok) return value;
  const error = new Error(value?.detail || t('failed'));
  Object.assign(error, { status: answer.status, body: value });
  throw error;
}
/** Refresh a panel from its own hx-get address. */
/** How far a job is, in a box with a `.bar` and the button that cancels. → whether it still runs, or rests. */
export function showBar(box, job) {
  const running = ['waiting', 'running', 'paused'].includes(job.state);
  const pct = job.state === 'done' ? 100 : job.total ? (100 * job.done) / job.total : 0;
  const bar = box.querySelector('.bar');
  box.hidden = false;
  box.querySelector('[data-do]').hidden = !running;
  bar.setAttribute('aria-valuenow', String(Math.floor(pct)));
  bar.firstElementChild.dataset.pct = String(pct);
  return running;
}

export const refresh = (id) => {
  const node = document.getElementById(id);
  if (node) globalThis.htmx?.ajax('GET', node.getAttribute('hx-get'), { target: node, swap: node.getAttribute('hx-swap') || 'innerMorph' });
};
export const signal = (name, detail = {}) => document.body.dispatchEvent(new CustomEvent(name, { detail }));

document.body.addEventListener('htmx:response:error', async (event) => {
  const { ctx } = event.detail ?? {};
  if (!ctx || ctx.sourceElement?.hasAttribute?.('data-quiet')) return;
  const page = new DOMParser().parseFromString(ctx.text ?? '', 'text/html');
  showProblem(new Error(page.querySelector('.problem p, .empty h2')?.textContent || t('failed')));
});

// ---- live events; several of one kind in a short while are one
const KINDS = ['job', 'project', 'frame', 'regions', 'process', 'template', 'seen'];
const pending = new Map();
let silent = 0;
function hear(kind, data) {
  if (pending.has(kind)) return;
  pending.set(kind, setTimeout(() => {
    pending.delete(kind);
    signal(`pt-${kind}`, data);
  }, kind === 'job' ? 500 : 250));
}
function connect() {
  const source = new EventSource('/api/v1/events');
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      let data = {};
      try { data = JSON.parse(event.data); } catch { /* an event without data still means that something changed */ }
      signal(`pt-raw-${kind}`, data);
      hear(kind, data);
    });
  }
  source.addEventListener('hello', () => {
    document.getElementById('live')?.removeAttribute('hidden');
    if (silent) {
      document.querySelectorAll('#problems [data-offline]').forEach((node) => node.remove());
      KINDS.forEach((kind) => hear(kind, {}));
    } else {
      hear('job', {}); // one may have ended between the making of the page and this stream
    }
    clearTimeout(silent);
    silent = 0;
  });
  source.addEventListener('error', () => {
    document.getElementById('live')?.setAttribute('hidden', '');
    silent ||= setTimeout(() => {
      if (document.querySelector('#problems [data-offline]')) return;
      const block = problem(t('offline'), t('offline_then'), 'warn');
      block.dataset.offline = '';
      document.getElementById('problems')?.append(block);
    }, 2500);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
  addEventListener('pagehide', () => source.close(), { once: true });
}
if (document.getElementById('problems')) connect();
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
for (const node of document.querySelectorAll('[data-reload]')) document.body.addEventListener(node.dataset.reload, () => location.reload());

// ---- buttons with data-do
const doing = new Map();
/** register('name', (button, event) => …): what a button with data-do="name" does; a failure is shown, never lost. */
export const register = (name, run) => doing.set(name, run);
document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('[data-do]');
  const run = button && doing.get(button.dataset.do);
  if (!run) return;
  event.preventDefault();
  if (button.getAttribute('aria-busy') === 'true') return;
  button.closest('[popover]')?.hidePopover();
  button.setAttribute('aria-busy', 'true');
  try {
    await run(button, event);
  } catch (error) {
    showProblem(error, button.closest('dialog')?.querySelector('.problem-slot'));
  } finally {
    button.removeAttribute('aria-busy');
  }
});
register('cancel-job', (button) => api('POST', `/jobs/${button.dataset.id}/cancel`).then(() => hear('job', {})));
for (const what of ['pause', 'resume']) register(`${what}-job`, (button) => api('POST', `/jobs/${button.dataset.id}/${what}`).then(() => hear('job', {})));
register('retry-job', (button) => api('POST', `/jobs/${button.dataset.id}/retry`).then(() => hear('job', {})));
register('close-dialog', (button) => button.closest('dialog')?.close());

/** Open a dialog whose form is sent by `send(fields)`; it closes when that succeeds and shows the sentence otherwise. */
export function ask(id, send, prepare) {
  const dialog = document.getElementById(id);
  const form = dialog.querySelector('form');
  const slot = dialog.querySelector('.problem-slot');
  slot?.replaceChildren();
  prepare?.(form);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const go = form.querySelector('.btn.primary');
    go.disabled = true;
    try {
      if (await send(Object.fromEntries(new FormData(form)), form) !== false) dialog.close();
    } catch (error) {
      showProblem(error, slot);
    } finally {
      go.disabled = false;
    }
  };
  dialog.showModal();
  form.querySelector('.body input:not([type=hidden]), .body select')?.focus();
  return dialog;
}

// ---- menus stand under their button and answer arrows
document.addEventListener('toggle', (event) => {
  const menu = event.target;
  if (!menu.matches?.('.menu[popover]') || event.newState !== 'open') return;
  const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  const at = button?.getBoundingClientRect();
  if (!at) return;
  const { offsetWidth: width, offsetHeight: height } = menu;
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
  menu.style.top = `${at.bottom + 4 + height > innerHeight ? Math.max(8, at.top - height - 4) : at.bottom + 4}px`;
  (menu.querySelector('[aria-current], [aria-checked=true]') ?? menu.querySelector('button, a'))?.focus();
}, true);
document.addEventListener('keydown', (event) => {
  const menu = event.target.closest?.('.menu[popover]');
  if (!menu || !['ArrowDown', 'ArrowUp', 'Home', 'End'].includes(event.key)) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll('button:not([disabled]), a')];
  const here = items.indexOf(document.activeElement);
  const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key];
  items[(next + items.length) % items.length]?.focus();
});

// ---- size of the interface, as chosen in Settings
const zoom = Number(localStorage.getItem('pt-scale'));
if (zoom >= 90 && zoom <= 150 && zoom !== 100) document.documentElement.style.zoom = `${zoom}%`;
export const remember = (name, value) => { document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; samesite=strict`; };
