/* ---- The jobs, and what all flat tables share ---- */
function rowOf(labels) {
  const row = el('tr', '');
  row.cells_ = labels.map(label => {
    const cell = el('td', /^(Job|Attempts|Incarnation|Held back|Recovered)$/.test(label) ? 'num' : /^(Last error|Arguments|Message)$/.test(label) ? 'wide' : 'fixed');
    cell.dataset.label = label;
    return cell;
  });
  row.append(...row.cells_);
  return row;
}
function fill(cell, text, tag, className) {
  cell.classList.toggle('empty', !text);
  if (!text) return set(cell, '');
  if (!tag) return set(cell, text);
  if (cell.firstElementChild) return set(cell.firstElementChild, text);
  cell.append(el(tag, className, text));
}
const COLOURS = { completed: 'good', discarded: 'bad', cancelled: 'soft', scheduled: 'warn' };
/* What an operator can decide about a job as it stands. */
function choice({ id, state }) {
  if (state === 'discarded') return { word: 'Retry', path: `/jobs/${id}/retry`, done: () => `Job ${id} gets another set of attempts.` };
  if (!['scheduled', 'available', 'running'].includes(state)) return undefined;
  return {
    word: 'Cancel', path: `/jobs/${id}/cancel`, sure: `Cancel job ${id}? It will take no effect, and cannot be started again.`,
    done: said => said.state === 'cancelled' ? `Job ${id} is cancelled.` : `Job ${id} is cancelled as soon as its process hears of it.`,
  };
}
function decide(place, job) {
  const { word, path, sure, done } = choice(job) || {};
  // Its number too: the same place shows one job after the other.
  const key = word ? `${word} ${job.id}` : '';
  if (place.dataset.choice === key) return;
  place.dataset.choice = key;
  if (!word) return place.replaceChildren();
  const button = el('button', sure ? 'danger' : '', word);
  button.setAttribute('aria-label', `${word} job ${job.id}`);
  button.addEventListener('click', async () => {
    if (sure && !confirm(sure)) return;
    const region = button.closest('[role=region], dialog');
    await act(button, path, done);
    await Promise.all([jobs(), readJob()]);
    // Whoever uses the keyboard goes on from where they were.
    if (!button.isConnected) region.focus();
  });
  place.replaceChildren(button);
}
function showId(cell, { id }) {
  if (cell.firstElementChild) return;
  const link = el('a', '', id);
  link.href = `#job-${id}`;
  link.setAttribute('aria-label', `Job ${id}: show it`);
  cell.append(link);
}
const deadRow = () => rowOf(['Job', 'Kind', 'Last error', 'Arguments', 'Attempts', 'Given up', 'Trace', 'Retry']);
function updateDead(row, job) {
  const [id, kind, error, args, attempts, ended, trace, retry] = row.cells_;
  showId(id, job);
  fill(kind, job.kind, 'code');
  fill(error, job.last_error || 'not recorded', 'div', 'error');
  fill(args, JSON.stringify(job.args), 'code');
  set(attempts, `${job.attempt} of ${job.max_attempts}`);
  setTime(ended, job.finished_at);
  fill(trace, job.trace_id, 'code', 'trace');
  decide(retry, job);
}
const recentRow = () => rowOf(['Job', 'Kind', 'State', 'Attempts', 'Created', 'Ended', 'Trace', 'Last error', 'Decide']);
function updateRecent(row, job) {
  const [id, kind, state, attempts, created, ended, trace, error, decision] = row.cells_;
  showId(id, job);
  fill(kind, job.kind, 'code');
  set(state, job.state);
  state.className = 'fixed ' + (COLOURS[job.state] || '');
  set(attempts, `${job.attempt} of ${job.max_attempts}`);
  setTime(created, job.created_at);
  setTime(ended, job.finished_at);
  ended.classList.toggle('empty', !job.finished_at);
  fill(trace, job.trace_id, 'code', 'trace');
  fill(error, job.last_error, 'div', 'error');
  decide(decision, job);
  decision.classList.toggle('empty', !decision.dataset.choice);
}
function showCounts(counts) {
  const known = STATES.filter(state => state in counts);
  if ($('counts').children.length !== known.length) $('counts').replaceChildren(...known.map(state => el('div', '', el('dt', '', state), el('dd', ''))));
  known.forEach((state, at) => {
    const value = $('counts').children[at].lastElementChild;
    set(value, counted.format(counts[state]));
    value.className = state === 'discarded' && counts[state] ? 'bad' : '';
  });
}
let pausedAt;
function showPaused(since) {
  pausedAt = since;
  set($('paused'), since ? `Paused ${ago(since)}: no process takes jobs` : 'Jobs are taken');
  $('paused').className = `state small ${since ? 'warn' : 'good'}`;
  $('paused').title = since || '';
  set($('pause'), since ? 'Resume all jobs' : 'Pause all jobs');
  $('pause').classList.toggle('main', Boolean(since));
  for (const part of ['paused', 'pause']) $(part).hidden = false;
}
const kinds = new Set();
function offerKinds(seen) {
  for (const { kind } of seen) {
    if (kinds.has(kind)) continue;
    kinds.add(kind);
    const option = el('option', '');
    option.value = kind;
    $('kinds').append(option);
  }
}
function none(id, empty) {
  $(id).parentElement.hidden = empty;
  $(`${id}-none`).hidden = !empty;
}
let asking = 0;
async function jobs() {
  const turn = ++asking, filter = new URLSearchParams({ limit: RECENT_SHOWN });
  for (const [name, { value }] of [['state', $('filter')], ['kind', $('kind')]]) if (value.trim()) filter.set(name, value.trim());
  try {
    const [dead, recent] = await Promise.all([ask(`/jobs?state=discarded&limit=${DEAD_SHOWN}`), ask(`/jobs?${filter}`)]);
    // Somebody has asked for something else meanwhile.
    if (turn !== asking) return;
    showCounts(dead.counts);
    showPaused(dead.paused_at);
    offerKinds([...dead.jobs, ...recent.jobs]);
    $('retry-all').hidden = !dead.jobs.length;
    sync($('dead'), dead.jobs, job => job.id, deadRow, updateDead);
    set($('dead-summary'), dead.next ? `The newest ${dead.jobs.length} of ${counted.format(dead.counts.discarded)}` : '');
    none('dead', !dead.jobs.length);
    sync($('recent'), recent.jobs, job => job.id, recentRow, updateRecent);
    none('recent', !recent.jobs.length);
    $('jobs-trouble').hidden = true;
  } catch (error) {
    if (error.status === 401) return signIn();
    // The tree needs no database: it goes on while the jobs cannot be read.
    set($('jobs-trouble'), `The jobs cannot be read at the moment: ${error instanceof Refused ? error.message : 'no answer in time'}. What you see below is from before.`);
    $('jobs-trouble').hidden = false;
  }
}
$('filter').append(...STATES.map(word => el('option', '', word)));
$('filter').addEventListener('change', jobs);
$('kind').addEventListener('input', jobs);
$('pause').addEventListener('click', () => act($('pause'), pausedAt ? '/jobs/resume' : '/jobs/pause', ({ paused }) => paused ? 'No process takes another job; what has begun goes on.' : 'Jobs are taken again.').then(jobs));
$('retry-all').addEventListener('click', async () => {
  if (!confirm('Give every dead letter another set of attempts?')) return;
  await act($('retry-all'), '/jobs/retry?state=discarded', ({ retried }) => `${counted.format(retried)} dead ${retried === 1 ? 'letter gets' : 'letters get'} another set of attempts.`);
  jobs();
});
