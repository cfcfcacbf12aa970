/** The fusion inspector: which pixel is looked at, and what the server says about it. The newest question wins. */
import { toScreen } from './view.js';

/** The pointer must rest that long before a pixel is asked about. */
const REST_MS = 90;
const EDGE_PX = 24;

export function createInspector({ store, transport, say, pan }) {
  const get = store.get;
  let timer = 0;
  let asking = false;
  let again = false;

  const active = () => get().tool === 'inspect' && get().inspect !== null;
  const inFrame = ({ x, y }) => x >= 0 && y >= 0 && x < get().width && y < get().height;

  function soon(wait = REST_MS) {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  async function ask() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    do {
      again = false;
      const { frameId, inspect } = get();
      if (!active() || !frameId) break;
      try {
        const inspection = await transport.inspect(frameId, inspect.x + 0.5, inspect.y + 0.5);
        if (active() && get().frameId === frameId) store.set({ inspection });
      } catch (error) {
        store.set({ inspection: null });
        say(error.message, 'error');
      }
    } while (again);
    asking = false;
  }

  function set(at, pinned, wait) {
    const { inspect, width, height } = get();
    const x = Math.min(Math.max(Math.floor(at.x), 0), width - 1);
    const y = Math.min(Math.max(Math.floor(at.y), 0), height - 1);
    if (inspect?.x === x && inspect.y === y && inspect.pinned === pinned) return;
    store.set({ inspect: { x, y, pinned } });
    soon(wait);
  }

  /** The pixel stays on the canvas when keys move it. */
  function reveal() {
    const { inspect, view, viewport } = get();
    const at = toScreen(view, { x: inspect.x + 0.5, y: inspect.y + 0.5 });
    const over = (value, size) => Math.max(0, EDGE_PX - value) + Math.min(0, size - EDGE_PX - value);
    const [dx, dy] = [over(at.x, viewport.width), over(at.y, viewport.height)];
    if (dx || dy) pan(dx, dy);
  }

  const ways = {
    hover({ at }) { if (!get().inspect?.pinned && inFrame(at)) set(at, false); },
    pin({ at }) {
      if (!inFrame(at)) return;
      const { inspect } = get();
      const same = inspect?.pinned && inspect.x === Math.floor(at.x) && inspect.y === Math.floor(at.y);
      set(at, !same, 0);
    },
    step({ dx, dy }) {
      const { inspect, width, height } = get();
      if (!width) return;
      set(inspect ? { x: inspect.x + dx, y: inspect.y + dy } : { x: width / 2, y: height / 2 }, true, 0);
      reveal();
    },
  };

  store.on((state, changed) => {
    if (changed.has('tool') && state.tool !== 'inspect' && state.inspect) store.set({ inspect: null, inspection: null });
    else if (active() && ['frameId', 'map'].some((key) => changed.has(key))) soon();
  });

  return { intent: (intent) => { ways[intent.how](intent); } };
}
