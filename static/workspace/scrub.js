/** Pointer and wheel over the timeline: press and drag scrub, with Shift they select; the wheel scrolls, with Ctrl it zooms. */
const CLICK_PX = 4;
const LINE_PX = 20;

/**
 * @param indexAt (clientX) → frame
 * @param on {go(index), range(from, to) or null, click(event)}
 */
export function listenDrag(area, indexAt, on) {
  area.addEventListener('pointerdown', (e) => {
    if (e.button !== 0 || e.target.closest('.ll, .pt-band')) return;
    if (e.clientX > area.getBoundingClientRect().left + area.clientWidth) return; // the scroll bar
    const from = indexAt(e.clientX);
    const select = on.range && e.shiftKey;
    let at = null;
    let far = false;
    const go = (event) => {
      far ||= Math.abs(event.clientX - e.clientX) > CLICK_PX;
      const index = indexAt(event.clientX);
      if (index === at) return;
      at = index;
      if (select) on.range(from, index);
      else on.go(index);
    };
    area.setPointerCapture(e.pointerId);
    go(e);
    area.addEventListener('pointermove', go);
    area.addEventListener('lostpointercapture', () => {
      area.removeEventListener('pointermove', go);
      if (!far && !select) on.click?.(e);
    }, { once: true });
  });
}

/** The wheel scrolls the list of lanes up and down, everything else sideways. */
export function listenWheel(host, { zoom, scroll }) {
  host.addEventListener('wheel', (e) => {
    const unit = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    if (e.ctrlKey) zoom(Math.exp(-e.deltaY * unit * 0.004), e.clientX);
    else if (e.deltaX || e.shiftKey || !e.target.closest('.pt-lanes')) scroll((e.deltaX || e.deltaY) * unit);
    else return;
    e.preventDefault();
  }, { passive: false });
}

/** Keys of the strip: frames one by one, ten by ten, page by page. `page()` → frames in view. */
export function listenStripKeys(track, { step, goto, page, last }) {
  track.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const far = e.shiftKey ? 10 : 1;
    const by = { ArrowLeft: -far, ArrowRight: far, ArrowDown: -far, ArrowUp: far, PageUp: page(), PageDown: -page() }[e.key];
    if (by) step(by);
    else if (e.key === 'Home') goto(0);
    else if (e.key === 'End') goto(last());
    else return;
    e.preventDefault();
  });
}
