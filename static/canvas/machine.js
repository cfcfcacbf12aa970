/**
 * The input machine. A tool is a plain object {id, cursor, states}; `states.idle` and every other state map event
 * names (down, move, up, accept, back, remove, hover, leave, arrow) to handlers (state, event, send, look) → next state.
 * Each state but idle answers `cancel`. A `passive` tool changes no label: locks and handles do not matter to it. Handlers change nothing themselves: they send intents.
 */
const IDLE = Object.freeze({ name: 'idle' });

export function checkTool(tool) {
  if (!tool.states?.idle) throw new Error(`Tool ${tool.id} has no idle state.`);
  for (const [name, handlers] of Object.entries(tool.states)) {
    if (name !== 'idle' && typeof handlers.cancel !== 'function') {
      throw new Error(`State ${name} of tool ${tool.id} cannot be cancelled.`);
    }
  }
  return tool;
}

/**
 * @param tools array of tools
 * @param send (intent) → void
 * @param look what tools may ask: handleAt, nodeAt, edgeAt, regionAt, blocked, scale
 */
export function createMachine({ tools, send, look, onChange = () => {} }) {
  const byId = new Map(tools.map((tool) => [checkTool(tool).id, tool]));
  let tool = tools[0];
  let chosen = tool;
  let state = IDLE;

  function become(next) {
    const before = state;
    state = next ?? state;
    if (state !== before) onChange(tool, state);
  }

  function handle(type, event = {}) {
    const handler = tool.states[state.name]?.[type];
    if (!handler) return false;
    const next = handler(state, event, send, look);
    if (next && !tool.states[next.name]) throw new Error(`Tool ${tool.id} has no state ${next.name}.`);
    become(next);
    return true;
  }

  function cancel() {
    if (state.name === 'idle') return false;
    become(tool.states[state.name].cancel(state, send, look) ?? IDLE);
    return true;
  }

  function enter(next) {
    if (next === tool) return;
    cancel();
    tool = next;
    state = IDLE;
    onChange(tool, state);
  }

  function find(id) {
    const found = byId.get(id);
    if (!found) throw new Error(`There is no tool ${id}.`);
    return found;
  }

  return {
    handle,
    cancel,
    use(id) {
      chosen = find(id);
      enter(chosen);
    },
    /** Another tool for as long as a key is held. */
    hold(id) { enter(find(id)); },
    release() { enter(chosen); },
    get tool() { return tool; },
    get chosen() { return chosen.id; },
    get state() { return state; },
  };
}
