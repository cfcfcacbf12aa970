/** The proposal chip: whose class, which candidate, accept, reject. It stands where it covers no prompt point. */
import { boundsOf, placeChip } from '../chip.js';
import { el, icon, kbd, swatch } from '../dom.js';
import { proposedClass } from '../paint/proposal.js';
import { toScreen } from '../view.js';

export function mountChip(host, { app, store, t }) {
  const who = el('span', { class: 'who' });
  const more = el('button', { type: 'button', class: 'more', 'aria-label': t('proposal.next'), onclick: () => app.cycle(1) });
  const accept = el('button', { type: 'button', class: 'ac', onclick: () => app.accept() }, icon('check'), t('proposal.accept'), kbd('↵'));
  const reject = el('button', { type: 'button', class: 'rj', onclick: () => app.reject() }, icon('x'), t('proposal.reject'), kbd('Esc'));
  const chip = el('div', { class: 'pchip', role: 'group', 'aria-label': t('proposal.group'), hidden: true }, who, more, accept, reject);
  host.append(chip);
  let size = { w: 0, h: 0 };

  function fill(state) {
    const { proposal } = state;
    chip.hidden = !proposal;
    if (!proposal) return;
    const cls = state.classes.get(proposedClass(state));
    const candidate = proposal.candidates[proposal.at];
    who.replaceChildren(swatch(cls?.colour ?? '#888888'), el('b', { class: 'tr' }, cls?.name ?? ''),
      el('span', { class: 'st' }, t('proposal.word')), el('span', { class: 'sc' }, candidate.score.toFixed(2)));
    const several = proposal.candidates.length > 1;
    more.hidden = !several;
    more.replaceChildren(t('proposal.of', { n: proposal.at + 1, m: proposal.candidates.length }), kbd('Tab'));
    size = { w: chip.offsetWidth, h: chip.offsetHeight };
  }

  function place(state) {
    const { proposal, prompt, view, viewport } = state;
    const bounds = proposal && boundsOf(proposal.candidates[proposal.at].loops);
    if (!bounds) return;
    const a = toScreen(view, { x: bounds.x1, y: bounds.y1 });
    const b = toScreen(view, { x: bounds.x2, y: bounds.y2 });
    const at = placeChip({ x1: a.x, y1: a.y, x2: b.x, y2: b.y }, size, viewport, (prompt?.points ?? []).map((p) => toScreen(view, p)));
    chip.style.transform = `translate(${at.x}px, ${at.y}px)`;
  }

  store.on((state, changed) => {
    if (['proposal', 'classId', 'prompt', 'classes'].some((key) => changed.has(key))) fill(state);
    if (state.proposal && ['proposal', 'prompt', 'view', 'viewport', 'classId'].some((key) => changed.has(key))) place(state);
  });
}
