/** The bar above the strip: playback buttons, jumps, what is to review, the legend, and zoom. */
import { actionById, isEnabled } from '../canvas/actions.js';
import { el, icon } from '../canvas/dom.js';
import { keyCaps } from '../canvas/keys.js';
import { FACTS } from './lanes.js';
import { spaced } from './ruler.js';

const PLAY_BUTTONS = ['first-frame', 'previous-frame', 'play', 'next-frame', 'last-frame'];

/** @param on {zoom(0…1), zoomBy(factor)} */
export function createBar(bar, { app, store, t, project, on }) {
  const run = (id) => {
    const action = actionById(id);
    if (isEnabled(action, store.get())) action.run(app);
  };
  let playButton = null;
  const group = el('div', { class: 'row pt-play' });
  for (const id of PLAY_BUTTONS) {
    const action = actionById(id);
    const glyph = icon(id === 'last-frame' ? 'first' : action.icon);
    if (id === 'last-frame') glyph.classList.add('pt-flip');
    const button = el('button', {
      type: 'button', class: id === 'play' ? 'btn icon playb' : 'btn ghost icon', 'data-action': id, 'aria-label': t(action.label),
      title: `${t(action.label)} (${keyCaps(action.keys[0]).join('+')})`,
    }, glyph);
    if (id === 'play') playButton = button;
    group.append(button);
  }
  const next = el('button', { type: 'button', class: 'btn ghost pt-next', title: `${t('action.next_review')} (N)`, onclick: () => run('next-review') }, icon('flag'),
    el('span', {}, t('review.next')), el('kbd', { class: 'kbd' }, 'N'));
  const many = el('span', {});
  const words = el('span', { class: 'hide-s' });
  const review = el('a', { class: 'chip warn pt-review', href: `/quality/${project}#review`, hidden: true },
    icon('warn', true), many, words);
  const clock = el('span', { class: 'mono m pt-clock hide-s' });
  const legend = el('span', { class: 'pt-legend f t1 hide-s', 'aria-hidden': 'true' },
    el('span', {}, icon('ancf', true), t(FACTS.anchor)),
    ...['flagged', 'lost', 'none'].map((kind) => el('span', {}, el('i', { class: kind }), t(FACTS[kind]))));
  const slider = el('input', { type: 'range', class: 'pt-range', min: '0', max: '100', step: '1', 'aria-label': t('time.zoom'), title: `${t('time.zoom')} (Ctrl + / −)` });
  const zoomButton = (label, glyph, factor) => el('button', {
    type: 'button', class: 'btn ghost icon sm', 'aria-label': t(label), title: t(label), onclick: () => on.zoomBy(factor),
  }, icon(glyph, true));
  bar.append(group, next, review, el('span', { class: 'grow' }), clock, legend, el('span', { class: 'sepv hide-s' }),
    el('span', { class: 'row pt-tzoom' }, zoomButton('time.zoom_out', 'minus', 1 / 1.5), slider, zoomButton('time.zoom_in', 'plus', 1.5)));
  slider.addEventListener('input', () => on.zoom(slider.valueAsNumber / 100));

  return {
    group,
    setZoom(zoom) {
      slider.value = String(Math.round(zoom * 100));
      slider.style.setProperty('--v', `${slider.value}%`);
    },
    setPlaying(playing) {
      playButton.replaceChildren(icon(playing ? 'pause' : 'play'));
      playButton.setAttribute('aria-label', t(playing ? 'action.pause' : 'action.play'));
    },
    setClock(text) { clock.textContent = text; },
    /** How many frames of the project are in the review queue. */
    setReview(n) {
      review.hidden = !n;
      if (!n) return;
      many.textContent = spaced(n);
      words.textContent = t.n('time.to_review', n);
      const label = `${spaced(n)} ${t.n('time.to_review', n)}`;
      review.setAttribute('aria-label', label);
      review.title = `${label}. ${t('review.open_queue')}`;
    },
  };
}
