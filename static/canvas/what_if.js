/** Other priorities, tried out: what would change on this frame at once, and on all frames by a job. */
import { openCandidate } from './masks.js';
import { movedTo, repriced, winnerFirst } from './priorities.js';

const UNFINISHED = new Set(['waiting', 'running']);

const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.codePointAt(0));
/** A class's gained pixels with their loops in frame px. */
function openGain({ class_id, bits, ...crop }) {
  const bytes = bytesOf(bits);
  return { class_id, loops: openCandidate({ ...crop, offset: 0, length: bytes.length }, bytes).loops };
}

export function createWhatIf({ store, transport, say, t, projectId, templateId, assetId }) {
  const get = store.get;
  let asking = false;
  let again = false;
  let opening = 0;

  const now = () => get().whatIf;
  const change = (patch) => { if (now()) store.set({ whatIf: { ...now(), ...patch } }); };
  const wanted = () => ({ priorities: repriced(now().saved, now().classes) });
  const isTried = () => Object.keys(wanted().priorities).length > 0;

  async function open() {
    const mine = opening += 1;
    try {
      const template = await transport.template(templateId);
      if (mine !== opening) return;
      const saved = winnerFirst(template.classes.map((cls, order) => ({ id: cls.id, name: cls.name, colour: cls.colour, priority: cls.priority, order })));
      store.set({ whatIf: { template, saved, classes: saved, answer: null, gains: [], job: null, busy: false } });
    } catch (error) {
      say(error.message, 'error');
    }
  }

  function close() {
    opening += 1;
    const job = now()?.job;
    if (job && UNFINISHED.has(job.state)) transport.cancelJob(job.id).catch(() => {});
    store.set({ whatIf: null });
  }

  function set(classes) {
    const job = now().job;
    if (job && UNFINISHED.has(job.state)) transport.cancelJob(job.id).catch(() => {});
    change({ classes, job: null });
    ask();
  }

  /** What the open frame would look like; of many questions only the newest is put. */
  async function ask() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    do {
      again = false;
      const { frameId, whatIf } = get();
      if (!whatIf || !frameId) break;
      if (!isTried()) {
        change({ answer: null, gains: [] });
        break;
      }
      try {
        const answer = await transport.whatIf(frameId, wanted());
        if (get().frameId === frameId && !again) change({ answer, gains: answer.gains.map(openGain) });
      } catch (error) {
        change({ answer: null, gains: [] });
        say(error.message, 'error');
      }
    } while (again);
    asking = false;
  }

  async function all() {
    if (!now() || !isTried()) return;
    change({ busy: true });
    try {
      change({ job: await transport.startWhatIf(projectId, wanted()) });
    } catch (error) {
      say(error.message, 'error');
    }
    change({ busy: false });
  }

  /** Look at the job again; called whenever the page hears that a job moved. */
  async function follow() {
    const job = now()?.job;
    if (!job || !UNFINISHED.has(job.state)) return;
    try {
      const fresh = await transport.job(job.id);
      if (now()?.job?.id !== fresh.id) return;
      change({ job: fresh });
      if (fresh.state === 'failed') say(fresh.reason, 'error');
    } catch { /* The next event asks again. */ }
  }

  async function apply() {
    if (!now() || !isTried()) return;
    const { template, classes } = now();
    const priorities = new Map(classes.map((cls) => [cls.id, cls.priority]));
    change({ busy: true });
    try {
      await transport.saveClasses(template.id, template.revision, template.classes.map((cls) => ({ ...cls, priority: priorities.get(cls.id) })));
      location.assign(`/workspace/${projectId}?asset=${assetId}&frame=${get().index + 1}`);
    } catch (error) {
      change({ busy: false });
      say(error.status === 409 ? t('whatif.conflict') : error.message, 'error');
    }
  }

  store.on((state, changed) => {
    if (!state.whatIf || !['frameId', 'map'].some((key) => changed.has(key))) return;
    if (changed.has('frameId')) change({ answer: null, gains: [] });
    ask();
  });

  return {
    toggle: () => (now() ? close() : open()),
    close, all, apply, follow, isTried,
    move(id, place) { if (now()) set(movedTo(now().classes, id, place)); },
    reset() { if (now()) set(now().saved); },
    cancel() { if (now()?.job) transport.cancelJob(now().job.id).catch((error) => say(error.message, 'error')); },
  };
}
