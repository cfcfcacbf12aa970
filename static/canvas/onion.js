/** Which neighbours the onion skin shows, and their region maps. */
import { frameId } from './ids.js';

export const ONION_WORDS = { off: 'onion.off', previous: 'onion.previous', next: 'onion.next', both: 'onion.both' };
export const ONION = Object.keys(ONION_WORDS);
const SIDES = { previous: -1, next: 1 };
const SETTLE_MS = 120;

/** Frame indices of the neighbours that `onion` asks for, [side, index]. Pure. */
export const neighboursOf = ({ onion, index, total }) => Object.entries(SIDES)
  .filter(([side]) => onion === side || onion === 'both').map(([side, step]) => [side, index + step]).filter(([, at]) => at >= 0 && at < total);

export function createOnion({ store, frames }) {
  let asked = 0;
  let timer = 0;

  async function fill() {
    const state = store.get();
    const mine = ++asked;
    const wanted = state.playing || !state.frameId ? [] : neighboursOf(state);
    const track = state.regions.find((region) => region.id === state.selected)?.track_id ?? null;
    const found = await Promise.all(wanted.map(async ([side, index]) => {
      const id = frameId(state.asset.id, index);
      const [map, view] = await Promise.all([frames.mapOf(id), track ? frames.factsOf(id) : null]).catch(() => [null]);
      if (!map) return [side, null];
      const region = track && view.regions.find((one) => one.track_id === track)?.id;
      return [side, track && !region ? null : { map, region }];
    }));
    if (mine === asked) store.set({ ghosts: found.some(([, ghost]) => ghost) ? Object.fromEntries(found) : null });
  }

  /** Not for every frame that is passed: only where one stays. */
  function soon(wait) {
    clearTimeout(timer);
    timer = setTimeout(fill, wait);
  }

  store.on((state, changed) => {
    if (!['onion', 'frameId', 'selected', 'playing', 'map'].some((key) => changed.has(key))) return;
    if (state.ghosts && (changed.has('frameId') || state.onion === 'off')) store.set({ ghosts: null });
    if (state.onion !== 'off' && !state.playing) soon(changed.has('onion') || changed.has('selected') ? 0 : SETTLE_MS);
    else asked += 1;
  });
  document.addEventListener('pt:regions', () => { if (store.get().onion !== 'off') soon(SETTLE_MS); });
}
