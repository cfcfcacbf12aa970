/** Loop, speed and rate beside the play buttons. */
import { actionById } from '../canvas/actions.js';
import { el, icon } from '../canvas/dom.js';
import { ariaKeys, keyCaps } from '../canvas/keys.js';
import { SPEEDS } from '../canvas/player.js';

const NAMES = { 0.5: '½×', 1: '1×', 2: '2×', 4: '4×' };
const WATCHED = ['fps', 'speed', 'loop', 'range', 'playing', 'buffering', 'dropped'];

const capsOf = (id) => keyCaps([...actionById(id).keys, ...(actionById(id).soft ?? [])][0]).join('+');

/** @returns the nodes, to be placed after the play buttons */
export function playbackBar({ app, store, t }) {
  const loop = el('button', {
    type: 'button', class: 'btn ghost icon pt-loop', 'data-action': 'loop', 'aria-keyshortcuts': ariaKeys(actionById('loop').soft),
    // Who clicked goes on with the keys of the canvas; who pressed a key stays here.
    onclick: (event) => { if (event.detail) app.toCanvas(); },
  }, icon('loop'));
  const speed = el('select', {
    class: 'inp pt-speed', 'aria-label': t('time.speed'), title: `${t('time.speed')} (${capsOf('slower')} ${capsOf('faster')})`,
    onchange: () => {
      app.setSpeed(Number(speed.value));
      app.toCanvas();
    },
  }, ...SPEEDS.map((value) => el('option', { value: String(value) }, NAMES[value])));
  const rate = el('span', { class: 'f t1 hide-s pt-rate' });

  function show(state) {
    loop.setAttribute('aria-pressed', String(state.loop));
    const what = t(state.range ? 'time.loop_range' : 'time.loop');
    loop.setAttribute('aria-label', what);
    loop.title = `${what} (${capsOf('loop')})`;
    speed.value = String(state.speed);
    const fps = state.fps ? t('time.fps', { n: Math.round(state.fps * 100) / 100 }) : '';
    rate.textContent = state.buffering ? t('time.buffering') : fps;
    rate.classList.toggle('pt-held', state.buffering);
    rate.classList.toggle('f', !state.buffering);
    // On a narrow screen the rate is left out, that it waits is not.
    rate.classList.toggle('hide-s', !state.buffering);
    rate.title = state.dropped ? t.n('time.dropped', state.dropped) : '';
  }

  show(store.get());
  store.on((state, changed) => { if (WATCHED.some((key) => changed.has(key))) show(state); });
  return [loop, speed, rate];
}
