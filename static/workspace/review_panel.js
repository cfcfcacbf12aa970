/** Why the open frame is to be looked at, in words, and what to do; or that nothing is left. In the panel, under the frame's facts. */
import { el, icon, kbd } from '../canvas/dom.js';

/** So many reasons are told at once, the strongest first; the others on request. */
const FEW = 3;

const GLYPHS = { flicker: 'wave', area: 'wave', agreement: 'shwarn', score: 'shwarn', certificate: 'shx', lost: 'x', conflict: 'layers', neighbour: 'ancf' };

/**
 * @param on {aim(reason), approve(), next(), close()}
 */
export function createReviewPanel(box, { t, on }) {
  const title = el('h2', { class: 'sec' });
  const close = el('button', { type: 'button', class: 'btn ghost icon sm', 'aria-label': t('review.close'), title: t('review.close'), onclick: on.close }, icon('x', true));
  const list = el('ul', { class: 'rv-why' });
  const hint = el('p', { class: 'm t1' });
  const approve = el('button', { type: 'button', class: 'btn sm', onclick: (e) => on.approve(e) }, icon('shok', true), t('review.approve'), kbd('Shift'), kbd('X'));
  const next = el('button', { type: 'button', class: 'btn sm', onclick: (e) => on.next(e) }, icon('flag', true), t('review.go'), kbd('N'));
  const buttons = el('div', { class: 'row wrap' }, approve, next);
  box.replaceChildren(el('div', { class: 'row' }, title, el('span', { class: 'grow' }), close), list, hint, buttons);

  let all = null;

  function tell(reasons) {
    const item = (reason) => el('li', {}, el('button', {
      type: 'button', class: 'rv-reason', title: reason.region_id || reason.track_id || reason.class_id ? t('review.aim') : null, onclick: (e) => on.aim(reason, e),
    }, icon(GLYPHS[reason.kind] ?? 'warn', true), el('span', {}, reason.text)));
    const few = reasons === all ? reasons : reasons.slice(0, FEW);
    const rest = reasons.length - few.length;
    const more = el('button', { type: 'button', class: 'link t1 rv-more', onclick: () => {
      all = reasons;
      tell(reasons);
      list.children[FEW].firstChild.focus();
    } }, t.n('review.more', rest));
    list.replaceChildren(...few.map(item), ...(rest ? [el('li', {}, more)] : []));
  }

  let shown = null;
  return {
    hide() { box.hidden = true; },
    /** @param entry of the queue @param state of the frame */
    show(entry, state) {
      box.hidden = false;
      box.dataset.frame = entry.frame_id;
      title.textContent = t('review.why');
      list.hidden = false;
      // Told once: who reached for a reason keeps the focus while the frame changes.
      if (shown !== entry) tell(entry.reasons);
      shown = entry;
      hint.textContent = t(state === 'approved' ? 'review.approved' : 'review.how');
      approve.hidden = state === 'approved';
      buttons.hidden = false;
    },
    /** @param sentence how much was seen */
    showNone(sentence) {
      box.hidden = false;
      delete box.dataset.frame;
      shown = null;
      title.textContent = t('review.none');
      list.hidden = true;
      hint.textContent = sentence;
      buttons.hidden = true;
    },
  };
}
