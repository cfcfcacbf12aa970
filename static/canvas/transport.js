/** The only module that talks to the server: REST, the WebSocket, and the queue of unacknowledged changes. */
import { newId } from './ids.js';
import { parseRegionMap } from './labelmap.js';
import { openCandidate } from './masks.js';
import { Refused, Unreachable, createQueue } from './queue.js';
import { createSocket } from './socket.js';

const GATEWAY = new Set([502, 504]);
const TIMEOUT_MS = 60_000;

/**
 * @param on {saved(state, unsent), proposal(message), failed(message), worker(message), changed(message), online(bool)}
 */
export function createTransport({ projectId, on, base = '', location = globalThis.location }) {
  const api = `${base}/api/v1`;
  let request = 0;

  async function ask(url, { patience = 0, ...options } = {}) {
    let response;
    try {
      response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS + patience), credentials: 'same-origin', ...options });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Unreachable(String(error));
    }
    if (response.ok) return response;
    if (GATEWAY.has(response.status)) throw new Unreachable(`HTTP ${response.status}`);
    const body = await response.json().catch(() => ({}));
    throw new Refused(response.status, body, body.detail || body.title || `HTTP ${response.status}`);
  }

  /** A question or a change that is not repeated: JSON in, JSON out. */
  async function post(path, body, { method = 'POST', revision, patience } = {}) {
    const headers = { Accept: 'application/json' };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (revision !== undefined) headers['If-Match'] = `"${revision}"`;
    return (await ask(`${api}${path}`, { method, headers, patience, body: body === undefined ? undefined : JSON.stringify(body) })).json();
  }

  const queue = createQueue({
    onState: on.saved,
    wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    send: async ({ method, url, body, revision, id, patience }) => {
      const headers = { 'Idempotency-Key': id };
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      if (revision !== undefined) headers['If-Match'] = `"${revision}"`;
      const response = await ask(`${api}${url}`, { method, headers, patience, body: body === undefined ? undefined : JSON.stringify(body) });
      return response.status === 204 ? null : response.json();
    },
  });

  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = createSocket({
    url: `${scheme}//${location.host}${base}/ws/workspace/${projectId}`,
    onUp: () => {
      queue.nudge();
      on.online(true);
    },
    onDown: () => on.online(false),
    onMessage: (header, payload) => {
      if (header.type === 'proposal') {
        on.proposal({ ...header, candidates: header.candidates.map((c) => openCandidate(c, payload)) });
      } else if (header.type === 'error') on.failed(header);
      else if (header.type === 'hello') on.worker({ ...header.worker, engines: header.engines });
      else if (header.type === 'worker') on.worker(header);
      else if (header.type === 'changed') on.changed(header);
    },
  });

  const clips = new Map();
  let clipWorker = null;
  let clipRequest = 0;
  /** The worker that opens clips, made when it is needed first. */
  function clipper() {
    if (clipWorker) return clipWorker;
    clipWorker = new Worker(new URL('./clip_worker.js', import.meta.url), { type: 'module' });
    clipWorker.addEventListener('message', ({ data: { request: number, view, map, done, failed, status } }) => {
      const clip = clips.get(number);
      if (!clip) return;
      if (view) clip.onFrame(view, map);
      else clips.delete(number);
      if (done) clip.resolve();
      else if (failed !== undefined) clip.reject(status && !GATEWAY.has(status) ? new Refused(status, {}, failed) : new Unreachable(failed));
    });
    return clipWorker;
  }

  /**
   * Several frames at once: `onFrame(view, map)` for each as it comes; map null where its key is one of `known`.
   * Resolves when all came.
   */
  function clip(asset, { start, count, step, known = [] }, signal, onFrame) {
    const number = ++clipRequest;
    const query = new URLSearchParams({ start, count, step, known: known.join(',') });
    return new Promise((resolve, reject) => {
      clips.set(number, { onFrame, resolve, reject });
      clipper().postMessage({ request: number, url: `${api}/assets/${asset}/clip?${query}` });
      signal?.addEventListener('abort', () => {
        clips.delete(number);
        clipWorker.postMessage({ request: number });
        reject(signal.reason);
      });
    });
  }

  let focused = null;
  function focus(frame, engine) {
    const sign = `${frame} ${engine}`;
    if (sign === focused) return;
    focused = sign;
    socket.focus(frame, engine);
  }

  return {
    post,
    frame: async (id, signal) => (await ask(`${api}/frames/${id}`, { signal })).json(),
    image: async (id, signal) => createImageBitmap(await (await ask(`${api}/frames/${id}/image`, { signal })).blob()),
    regionMap: async (id, signal) =>
      parseRegionMap(await (await ask(`${api}/frames/${id}/region-map`, { signal, cache: 'no-cache' })).arrayBuffer()),
    clip,
    lanes: async (assetId) => (await ask(`${api}/assets/${assetId}/lanes`)).json(),
    timeline: async (assetId) => (await ask(`${api}/assets/${assetId}/timeline`)).json(),
    inspect: (id, x, y) => post(`/frames/${id}/inspect`, { x, y }),
    whatIf: (id, wanted) => post(`/frames/${id}/what-if`, wanted),
    startWhatIf: (project, wanted) => post(`/projects/${project}/what-if`, { ...wanted, id: newId() }),
    scopes: async (id) => (await ask(`${api}/regions/${id}/scope`)).json(),
    stabilisers: async () => (await ask(`${api}/stabilisers`)).json(),
    stabilisedCurve: async (job) => (await ask(`${api}/jobs/${job}/stabilised/curve`)).json(),
    stabilisedMap: async (job, index, signal) => parseRegionMap(await (await ask(`${api}/jobs/${job}/stabilised/${index}`, { signal })).arrayBuffer()),
    /** Indices of frames that begin another shot; null where nobody looked. */
    cuts: async (assetId) => {
      const { cuts, stale } = await (await ask(`${api}/assets/${assetId}/metrics/curve`)).json();
      return cuts.length || !stale.length ? cuts : null;
    },
    job: async (id) => (await ask(`${api}/jobs/${id}`)).json(),
    engines: async () => (await ask(`${api}/engines`)).json(),
    matteEngines: async () => (await ask(`${api}/matte-engines`)).json(),
    /** A picture that an answer names. */
    picture: async (url) => createImageBitmap(await (await ask(url.startsWith('/api/') ? `${base}${url}` : `${api}${url}`)).blob()),
    sound: async (assetId) => (await ask(`${api}/projects/${projectId}/export-sound?asset_id=${assetId}`)).json(),
    jobs: async () => (await ask(`${api}/jobs?project=${projectId}&limit=100`)).json(),
    project: async () => (await ask(`${api}/projects/${projectId}`)).json(),
    setProjectEngine: (engine, revision) => post(`/projects/${projectId}`, { engine }, { method: 'PATCH', revision }),
    cancelJob: (id) => post(`/jobs/${id}/cancel`),
    pauseJob: (id) => post(`/jobs/${id}/pause`),
    resumeJob: (id) => post(`/jobs/${id}/resume`),
    retryJob: (id) => post(`/jobs/${id}/retry`),
    template: async (id) => (await ask(`${api}/class-templates/${id}`)).json(),
    saveClasses: (id, revision, classes) => post(`/class-templates/${id}`, { classes }, { method: 'PATCH', revision }),
    curve: async (assetId, query) => (await ask(`${api}/assets/${assetId}/metrics/curve?${new URLSearchParams(query)}`)).json(),
    measure: (wanted) => post(`/projects/${projectId}/measure`, wanted),
    review: async (query) => (await ask(`${api}/projects/${projectId}/review?${new URLSearchParams(query)}`)).json(),
    reviewOf: async (id) => (await ask(`${api}/frames/${id}/review`)).json(),
    nextReview: async (id) => (await ask(`${api}/projects/${projectId}/review/next?frame_id=${id}`)).json(),
    seen: (id) => ask(`${api}/frames/${id}/seen`, { method: 'POST' }),
    thumbUrl: (id) => `${api}/frames/${id}/thumb`,

    /** A change: queued, in order, with one operation id over all retries. `build` as in queue.push, without the id. */
    change(build, done) {
      const id = newId();
      return queue.push(() => {
        const made = build();
        return made && { ...made, id };
      }, done);
    },
    get unsent() { return queue.size; },

    /** → request number, or 0 when there is no connection. */
    prompt(message) {
      request += 1;
      // The server drops what is asked about another frame than the one it thinks is open.
      focus(message.frame, message.engine);
      return socket.send({ type: 'prompt', request, ...message }) ? request : 0;
    },
    cancel: (number) => socket.send({ type: 'cancel', request: number }),
    focus,
    close: socket.close,
  };
}
