/** Fetches several frames' regions and region maps and opens them beside the page, which keeps painting meanwhile. */
import { createRecords } from './clip.js';
import { parseRegionMap } from './labelmap.js';

const running = new Map();

const inflate = (bytes) =>
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();

async function load(request, url, signal) {
  const response = await fetch(url, { signal, credentials: 'same-origin', cache: 'no-store' });
  if (!response.ok) throw Object.assign(new Error(`HTTP ${response.status}`), { status: response.status });
  const records = createRecords();
  const reader = response.body.getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    for (const { head, body } of records.push(chunk.value)) {
      const map = body.length ? parseRegionMap(await inflate(body)) : null;
      postMessage({ request, view: head, map }, map ? [map.ids.buffer] : []);
    }
  }
  if (records.left) throw new Error('The answer is cut off.');
}

addEventListener('message', async ({ data: { request, url } }) => {
  if (!url) {
    running.get(request)?.abort();
    return;
  }
  const controller = new AbortController();
  running.set(request, controller);
  try {
    await load(request, url, controller.signal);
    postMessage({ request, done: true });
  } catch (error) {
    postMessage({ request, failed: error.message, status: error.status });
  } finally {
    running.delete(request);
  }
});
