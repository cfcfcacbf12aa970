/** What the server knows along the asset: states of frames, frames with regions, lanes. Asked again when regions changed. */
import { frameIndex } from '../canvas/ids.js';
import { valueAt, withValue } from './runs.js';

const RELOAD_MS = 400;
/** An answer that took long is asked for less often, while a job adds regions frame by frame. */
const SHARE = 6;

/** @param on {loaded(), changed()} */
export function createFacts({ asset, store, transport, say, on }) {
  const facts = { total: asset?.frame_count ?? 0, states: [], regions: [] };
  let asked = 0;
  let shown = 0;
  let took = 0;
  let waiting = 0;

  async function load() {
    if (!asset) return;
    const mine = ++asked;
    const began = performance.now();
    try {
      const [answer, lanes] = await Promise.all([transport.timeline(asset.id), transport.lanes(asset.id)]);
      took = performance.now() - began;
      // Also when it was asked again meanwhile: while a job runs that is always so where answers come slowly.
      if (mine < shown) return;
      shown = mine;
      Object.assign(facts, { total: answer.total, states: answer.states, regions: answer.regions });
      store.set({ total: answer.total, fps: answer.fps, lanes });
      on.loaded();
    } catch (error) {
      say(error.message, 'error');
    }
  }

  function soon() {
    waiting ||= setTimeout(() => {
      waiting = 0;
      load();
    }, Math.max(RELOAD_MS, took * SHARE));
  }

  facts.load = load;
  facts.stateAt = (index) => valueAt(facts.states, index) ?? 'todo';
  facts.setState = (index, state) => {
    if (facts.stateAt(index) === state) return;
    facts.states = withValue(facts.states, index, state);
    on.changed();
  };

  document.addEventListener('pt:regions', (e) => {
    // What is on screen is known here already; the rest comes with the next load.
    const { frameId, regions, index } = store.get();
    if (e.detail?.frame_id === frameId) {
      facts.regions = withValue(facts.regions, index, regions.length ? true : null);
      on.changed();
    }
    soon();
  });
  document.body.addEventListener('pt-raw-regions', ({ detail }) => {
    if (!detail.frame_id || detail.frame_id.startsWith(asset?.id)) soon();
  });
  document.body.addEventListener('pt-raw-frame', ({ detail }) => {
    if (!detail.id || !detail.state) soon();
    else if (detail.id.startsWith(asset?.id)) facts.setState(frameIndex(detail.id), detail.state);
  });
  return facts;
}
