/** The engine of the next prompts: chosen for this session, or for the whole project. */
import { findEngine, nextEngine } from './engines.js';

const recalled = (key) => {
  try { return sessionStorage.getItem(key); } catch { return null; }
};

export function createEngineChoice({ store, transport, say, announce, t, projectId }, { askAnew }) {
  const get = store.get;
  const memory = `pointillist engine ${projectId}`;

  function use(id) {
    if (id === get().engine || !findEngine(get().engines, id)) return;
    store.set({ engine: id });
    try { sessionStorage.setItem(memory, id); } catch { /* not remembered, then */ }
    announce(t('say.engine', { engine: id }));
    if (get().frameId) transport.focus(get().frameId, id);
    askAnew();
  }

  /** Ask how the engines stand now: packages and weights may have come meanwhile. */
  async function refresh() {
    try {
      store.set({ engines: await transport.engines() });
    } catch { /* What the page knows stays. */ }
  }

  async function useForProject() {
    const { engine } = get();
    try {
      // The revision moves with every change of the project; this change does not depend on the others.
      const known = await transport.project();
      const { revision } = known.project ?? known;
      await transport.setProjectEngine(engine, revision);
      store.set({ projectEngine: engine });
      say(t('say.project_engine', { engine }), 'info');
    } catch (error) {
      say(t('error.refused', { reason: error.message }), 'error');
    }
  }

  const before = recalled(memory);
  if (before && findEngine(get().engines, before)) store.set({ engine: before });

  return {
    use, refresh, useForProject,
    next() {
      const id = nextEngine(get().engines, get().engine);
      if (id === get().engine) say(t('refuse.only_engine'), 'info');
      else use(id);
    },
  };
}
