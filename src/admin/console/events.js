/* ---- The stream of events; an EventSource could not bring the token ---- */
let stream, live = false, lastEvent = BEGINNING, again = AGAIN, againAt = 0;
function following(yes) {
  live = yes;
  set($('stream'), yes ? 'live' : 'reconnecting');
  $('stream').className = `state small ${yes ? 'good' : 'warn'}`;
}
/* Follows until the stream ends, is silent for too long or says what cannot be understood; a tick opens the next. */
async function follow() {
  const aborted = stream = new AbortController();
  let silence;
  const within = time => {
    clearTimeout(silence);
    silence = setTimeout(() => aborted.abort(), time);
  };
  try {
    within(ANSWER_WITHIN);
    const answer = await fetch('/actors/events', { cache: 'no-store', headers: { ...credentials(), 'last-event-id': lastEvent }, signal: aborted.signal });
    if (answer.status === 401) signIn();
    if (!answer.ok) throw new Refused(answer.status, 'no stream');
    following(true);
    within(SILENT);
    // What is neither in the ledger yet nor still to happen comes in the stream.
    await readNewest();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      within(SILENT);
      // An event, or a sign of life: this stream is worth having.
      if (/^(id)?:/m.test(value)) again = AGAIN;
      const blocks = (rest + value).split('\n\n'), before = lastEvent;
      rest = blocks.pop();
      take(blocks.flatMap(understand));
      if (lastEvent !== before) hurry();
    }
  } catch {
    // Why it ended makes no difference.
  } finally {
    clearTimeout(silence);
    aborted.abort();
    stream = undefined;
    following(false);
    if (!document.hidden) {
      againAt = Date.now() + again;
      again = Math.min(again * 2, AGAIN_AT_MOST);
    }
  }
}
/* What an event adds to the list. */
function understand(block) {
  const { id, event, data } = Object.fromEntries(block.split('\n').map(line => line.split(/: (.*)/s)));
  const first = lastEvent === BEGINNING;
  if (id) lastEvent = id;
  if (!event) return [];
  const said = JSON.parse(data);
  if (event === 'restarted') return [said];
  if (event === 'escalated' || event === 'stalled') return [{ ...said, restart_id: id, mark: event }];
  // Who reads from the beginning has the ledger for what is no longer remembered.
  if (event === 'missed' && !first) unread = true;
  return [];
}
/* Shows at once what has changed; in a storm, not more often than anybody can see. */
let changed = false, hurrying = false;
async function hurry() {
  changed = true;
  if (hurrying) return;
  hurrying = true;
  while (changed) {
    changed = false;
    showRestarts();
    await Promise.all([tree(), pause(HURRY)]);
  }
  hurrying = false;
}
