/**
 * The queue of changes that the server has not acknowledged. One at a time and in order, because an undo after
 * an accept means that accept. An operation keeps its id over every retry, so that the server counts it once.
 */

/** The network or a gateway failed: the same operation may be tried again. */
export class Unreachable extends Error {}

/** The server answered and refused: trying again would not help. `status`, `body` = problem+json. */
export class Refused extends Error {
  constructor(status, body, sentence) {
    super(sentence);
    this.status = status;
    this.body = body;
  }
}

/**
 * @param send (request) → Promise of the answer; throws Unreachable or Refused
 * @param onState ('saved' | 'saving' | 'retrying', number of unsent operations)
 * @param wait (ms) → Promise; `backoff` the waits between tries
 */
export function createQueue({ send, onState = () => {}, wait, backoff = [250, 500, 1000, 2000, 4000] }) {
  const unsent = [];
  let running = false;
  let wake = null;

  async function run() {
    running = true;
    while (unsent.length) {
      const op = unsent[0];
      // Built once, when its turn comes: only then are the revisions known that the ones before it produced.
      if (op.request === undefined) op.request = op.build();
      if (op.request === null) {
        unsent.shift();
        op.resolve(null);
        continue;
      }
      onState(op.tries ? 'retrying' : 'saving', unsent.length);
      try {
        const answer = await send(op.request);
        unsent.shift();
        // Before the next one is built: it may need the revision that this answer carries.
        op.done?.(answer);
        op.resolve(answer);
      } catch (error) {
        if (error instanceof Unreachable) {
          onState('retrying', unsent.length);
          const pause = backoff[Math.min(op.tries, backoff.length - 1)];
          op.tries += 1;
          await Promise.race([wait(pause), new Promise((resolve) => { wake = resolve; })]);
        } else {
          unsent.shift();
          op.reject(error);
        }
      }
    }
    running = false;
    onState('saved', 0);
  }

  return {
    /**
     * `build` → {method, url, body, revision, id}, or null when the operation lost its object meanwhile.
     * `done` hears the answer before the next operation is built.
     */
    push(build, done) {
      return new Promise((resolve, reject) => {
        unsent.push({ build, done, request: undefined, tries: 0, resolve, reject });
        if (running) onState(unsent[0].tries ? 'retrying' : 'saving', unsent.length);
        else run();
      });
    },
    /** The connection is back: do not wait out the pause. */
    nudge() { wake?.(); },
    get size() { return unsent.length; },
  };
}
