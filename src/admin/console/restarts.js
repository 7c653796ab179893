/* ---- The restarts ---- */
/* The ledger tells what was, of all nodes; the stream what happens here, and what else this process remembers.
   `floor` is how far back the ledger has been read: what the stream knows from before waits for "Show older",
   or the other nodes' restarts would be missing between. */
const WHY = { crashed: 'crashed', gave_up: 'gave up', start_failed: 'start failed', killed: 'killed', sibling_ended: 'stopped with a sibling', supervisor_ended: 'its supervisor ended' };
const happened = new Map();
const newestFirst = () => [...happened.values()].sort((one, other) => other.when - one.when || (other.at > one.at ? 1 : -1));
const shownRestarts = () => newestFirst().filter(({ when }) => when >= floor);
let floor = -Infinity, next = null, room = RESTARTS_SHOWN, unread = true, reading = false;
function take(news) {
  for (const one of news) if (!happened.has(one.restart_id)) happened.set(one.restart_id, { ...one, when: Date.parse(one.at) });
  for (const one of newestFirst().slice(RESTARTS_KEPT)) happened.delete(one.restart_id);
  const shown = shownRestarts();
  if (shown.length <= room) return;
  floor = shown[room - 1].when;
  // The place that was read up to lies below the floor now: the way down starts at the top again.
  next = `/actors/restarts?limit=${RESTARTS_SHOWN}`;
}
/* Reads a page of the ledger; whether that went well. */
async function read(url, from = Infinity) {
  try {
    const page = await ask(url);
    next = page.next;
    floor = next ? Math.min(from, ...page.restarts.map(({ at }) => Date.parse(at))) : -Infinity;
    take(page.restarts);
    $('restarts-trouble').hidden = true;
    return true;
  } catch (error) {
    if (error.status === 401) signIn();
    // The stream needs no database: it goes on while the ledger cannot be read.
    set($('restarts-trouble'), `The ledger of restarts cannot be read at the moment: ${error instanceof Refused ? error.message : 'no answer in time'}. Restarts of this node show up all the same.`);
    $('restarts-trouble').hidden = false;
    return false;
  }
}
async function readNewest() {
  unread = true;
  if (reading) return;
  reading = true;
  // As many as are shown, so that there is no hole between what happened meanwhile and what was there before.
  const limit = Math.min(Math.max(shownRestarts().length, RESTARTS_READ), RESTARTS_SHOWN);
  // A stream may tell of a gap meanwhile.
  unread = false;
  if (!await read(`/actors/restarts?limit=${limit}`)) unread = true;
  reading = false;
  showRestarts();
}
async function readOlder() {
  if (reading) return;
  reading = true;
  const before = shownRestarts().length;
  room = RESTARTS_KEPT;
  while (await read(next, floor) && next && shownRestarts().length <= before);
  room = Math.max(RESTARTS_SHOWN, shownRestarts().length);
  reading = false;
  showRestarts();
}
function restartRow(one) {
  const row = rowOf(['When', 'Actor', 'Why', 'Message', 'Incarnation', 'Held back', 'Recovered', 'Budget', 'Trace']);
  const [, actor, why, message, incarnation, held, recovered, budget, trace] = row.cells_;
  actor.append(one.path.replace(/^root\//, ''), el('div', 'soft small'));
  actor.title = one.path;
  if (one.mark) {
    row.className = 'marked';
    why.append(el('span', 'pill bad', one.mark));
    fill(message, one.message, 'div', 'error');
    for (const cell of row.cells_.slice(4)) fill(cell, '');
    return row;
  }
  // Who went with another one is not what an operator looks for.
  const itself = !/_ended$/.test(one.reason);
  why.append(el('span', itself ? 'bad' : 'soft', (WHY[one.reason] || one.reason) + (one.reason === 'crashed' ? ` (${one.exit_kind})` : '')));
  why.title = `${one.reason}, ${one.exit_kind}`;
  fill(message, one.message, 'div', itself ? 'error' : 'error soft');
  set(incarnation, counted.format(one.incarnation));
  set(held, `${counted.format(one.backoff_ms)} ms`);
  held.classList.toggle('soft', !one.backoff_ms);
  set(recovered, one.recovered_ms === null ? 'not seen' : `${one.recovered_ms.toFixed(1)} ms`);
  recovered.classList.toggle('warn', one.recovered_ms === null);
  if (one.recovered_ms === null) recovered.title = 'It ended before its first turn, or that took too long.';
  const { used, max, period_s: period } = one.budget;
  set(budget, `${used} of ${max} in ${period} s`);
  budget.classList.add(strain(used, max));
  // All of it is there to be selected, and only its beginning to be seen.
  fill(trace, one.trace_id, 'code', 'trace short');
  trace.title = one.trace_id || '';
  return row;
}
function updateRestart(row, { at, when, node }) {
  setTime(row.cells_[0], at);
  row.classList.toggle('just', Date.now() - when < JUST);
  set(row.cells_[1].lastElementChild, node === here ? '' : `on ${node}`);
}
function showRestarts() {
  const shown = shownRestarts();
  sync($('restarts'), shown, one => one.restart_id, restartRow, updateRestart);
  none('restarts', !shown.length && !unread && !reading);
  $('older').hidden = !next || shown.length >= RESTARTS_KEPT;
}
