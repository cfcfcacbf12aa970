/** The import sheet: what the probe found, how to sample it, how many frames that gives, and the import itself. */
import { api, bytes, count, newId, seconds, showProblem, signal, t, toast } from '../app.js';

const host = document.getElementById('import-host');
/** Bytes a pixel of a stored frame, measured on street scenes: JPEG at quality 95, PNG. */
const BYTES_A_PIXEL = { jpeg: 0.22, png: 1.6 };
const waiting = [];
let open = false;

/** Show the sheet for an upload or a path, after those that are already waiting. */
export function offer(source) {
  waiting.push(source);
  if (open) source.queued?.();
  else next();
}

async function next() {
  const source = waiting.shift();
  open = Boolean(source);
  if (!source) {
    host.replaceChildren();
    return;
  }
  const query = new URLSearchParams(Object.entries(source).filter(([key, value]) => value && ['upload_id', 'path', 'project'].includes(key)));
  try {
    const answer = await fetch(`/library/_import?${query}`, { headers: { 'HX-Request': 'true', Accept: 'text/html' } });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (!answer.ok) throw new Error(page.querySelector('.problem p')?.textContent || t('failed'));
    source.done?.();
    host.replaceChildren(...page.body.childNodes);
  } catch (error) {
    source.failed?.(error);
    if (!source.failed) showProblem(error);
    next();
    return;
  }
  const form = host.querySelector('form');
  if (form) wire(form, source);
  host.querySelector('.queue')?.replaceChildren(waiting.length ? `+${waiting.length}` : '');
  // Later, because a dialog that closes gives the focus back to its button.
  setTimeout(() => (form?.querySelector('input:checked') ?? host.querySelector('button'))?.focus(), 0);
}

addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && open && !event.defaultPrevented && !document.querySelector('dialog[open], [popover]:popover-open')) closeSheet();
});

export function closeSheet({ discard = true } = {}) {
  const form = host.querySelector('form');
  if (discard && form?.dataset.upload) api('DELETE', `/uploads/${form.dataset.upload}`).catch(() => {});
  next();
}

function wire(form, source) {
  const facts = { fps: Number(form.dataset.fps), duration: Number(form.dataset.duration), frames: Number(form.dataset.frames), width: Number(form.dataset.width), height: Number(form.dataset.height) };
  const field = (name) => form.elements.namedItem(name);
  const range = form.querySelector('#imp-range');

  function sampling() {
    const mode = field('mode').value;
    const found = { mode, max_side: Math.round(field('max_side').valueAsNumber) || 0, format: field('format').value };
    if (mode === 'nth') found.nth = Math.max(1, Math.round(field('nth').valueAsNumber) || 1);
    if (mode === 'fps') found.fps = field('fps').valueAsNumber || 1;
    if (range) {
      const [start, stop] = [field('start').valueAsNumber, field('stop').valueAsNumber];
      if (start > 0) found.start = start;
      if (stop < facts.duration - 0.05) found.stop = stop;
    }
    return found;
  }

  /** How many frames come out; null when the source does not say enough. */
  function estimate(asked) {
    const all = facts.frames || Math.round(facts.duration * facts.fps);
    if (!all) return null;
    const span = facts.duration ? Math.max(0, (asked.stop ?? facts.duration) - (asked.start ?? 0)) / facts.duration : 1;
    if (asked.mode === 'fps' && facts.duration) return Math.max(1, Math.min(Math.round(all * span), Math.ceil(facts.duration * span * asked.fps)));
    return Math.max(1, Math.ceil((all * span) / (asked.mode === 'nth' ? asked.nth : 1)));
  }

  function update() {
    const asked = sampling();
    for (const node of form.querySelectorAll('[data-mode]')) node.hidden = node.dataset.mode !== asked.mode;
    for (const node of form.querySelectorAll('[data-new]')) node.hidden = Boolean(field('project').value);
    const scale = asked.max_side ? Math.min(1, asked.max_side / Math.max(facts.width, facts.height)) : 1;
    const size = { w: Math.round(facts.width * scale), h: Math.round(facts.height * scale) };
    form.querySelector('#imp-size').textContent = t(scale < 1 ? 'size_after' : 'size_kept', size);
    if (range) {
      const [start, stop] = [field('start').valueAsNumber, field('stop').valueAsNumber];
      range.style.setProperty('--a', `${(100 * start) / facts.duration}%`);
      range.style.setProperty('--z', `${stop > facts.duration - 0.02 ? 100 : (100 * stop) / facts.duration}%`);
      form.querySelector('#imp-range-text').textContent = t('range', { from: seconds(start, 1), to: seconds(stop, 1) });
      for (const input of [field('start'), field('stop')]) input.setAttribute('aria-valuetext', seconds(input.valueAsNumber, 1));
    }
    const n = estimate(asked);
    form.querySelector('#imp-count').textContent = n === null ? '' : t('frames', { n: count(n), count: n });
    form.querySelector('#imp-bytes').textContent = n === null ? '' : t('estimate', { size: bytes(n * size.w * size.h * BYTES_A_PIXEL[asked.format]) });
    form.querySelector('#imp-go').textContent = n === null ? t('import_all') : t('import_n', { n: count(n), count: n });
  }

  form.addEventListener('input', (event) => {
    const gap = 0.1;
    if (event.target.name === 'start') field('start').value = Math.min(field('start').valueAsNumber, field('stop').valueAsNumber - gap);
    if (event.target.name === 'stop') field('stop').value = Math.max(field('stop').valueAsNumber, field('start').valueAsNumber + gap);
    update();
  });
  const ids = { project: newId(), asset: newId() };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const slot = form.querySelector('.problem-slot');
    const go = form.querySelector('.btn.primary');
    slot.replaceChildren();
    go.disabled = true;
    try {
      let project = field('project').value;
      if (!project) {
        const made = await api('POST', '/projects', { id: ids.project, name: field('name').value, class_template_id: field('class_template_id').value || null });
        project = made.id;
      }
      const body = { id: ids.asset, sampling: sampling() };
      if (form.dataset.upload) body.upload_id = form.dataset.upload;
      else body.path = form.dataset.path;
      await api('POST', `/projects/${project}/assets`, body);
      toast(t('import_started', { name: form.dataset.name }));
      signal('pt-project');
      closeSheet({ discard: false });
    } catch (error) {
      showProblem(error, slot);
      slot.scrollIntoView({ block: 'nearest' });
    } finally {
      go.disabled = false;
    }
  });
  if (source.project) field('project').value = source.project;
  update();
}
