/* ---- One job ---- */
/* Which one is in the address: it can be linked to, and the way back leads out of it. */
const wantedJob = () => (location.hash.match(/^#job-(\d{1,19})$/) || [])[1];
const URGENCY = ['0, the most urgent', '1, ordinary', '2, the least urgent'];
let jobShown;
function openJob() {
  const id = wantedJob();
  if (!id || waitsForToken) return $('job').close();
  if (jobShown !== id) {
    jobShown = id;
    set($('job-title'), `Job ${id}`);
    for (const part of ['job-content', 'job-trouble']) $(part).hidden = true;
  }
  if (!$('job').open) $('job').showModal();
  readJob();
}
async function readJob() {
  const id = wantedJob();
  if (!id || !$('job').open) return;
  try {
    const job = await ask(`/jobs/${id}`);
    // Somebody has asked for another one meanwhile.
    if (id !== wantedJob()) return;
    showJob(job);
    $('job-trouble').hidden = true;
    $('job-content').hidden = false;
  } catch (error) {
    if (error.status === 401) return signIn();
    if (id !== wantedJob()) return;
    const why = error.status === 404 ? 'There is no job of this number, or not any more.' : `This job cannot be read at the moment: ${error instanceof Refused ? error.message : 'no answer in time'}.`;
    set($('job-trouble'), why);
    $('job-trouble').hidden = false;
  }
}
function moment(text) {
  if (!text) return '';
  const seconds = Math.round((Date.parse(text) - Date.now()) / 1000);
  return `${new Date(text).toLocaleString()}, ${seconds > 0 ? `in ${counted.format(seconds)} s` : ago(text)}`;
}
function showJob(job) {
  set($('job-title'), `Job ${job.id}: ${job.kind}`);
  set($('job-state'), job.cancel_requested && job.state === 'running' ? 'being cancelled' : job.state);
  $('job-state').className = `line ${COLOURS[job.state] || ''}`;
  set($('job-why'), job.why);
  decide($('job-decide'), job);
  const facts = [
    ['Attempts begun', `${job.attempt} of ${job.max_attempts}`], ['Arguments', JSON.stringify(job.args)], ['Version', job.version],
    ['Priority', URGENCY[job.priority] || job.priority], ['Created', moment(job.created_at)], ['Due', moment(job.run_at)],
    ['Last attempt', moment(job.started_at)], ['Ended', moment(job.finished_at)], ['Process', job.worker], ['Trace', job.trace_id],
  ];
  const make = ([name]) => el('div', '', el('dt', '', name), el('dd', /^(Arguments|Process|Trace)$/.test(name) ? 'mono' : ''));
  sync($('job-facts'), facts.filter(([, fact]) => fact || fact === 0), ([name]) => name, make, (row, [, fact]) => set(row.lastElementChild, fact));
  const newest = [...job.attempts].reverse();
  sync($('job-attempts'), newest, ({ attempt }) => attempt, () => rowOf(['Attempt', 'When', 'Error']), (row, failed) => {
    const [number, when, error] = row.cells_;
    set(number, failed.attempt);
    setTime(when, failed.at);
    fill(error, failed.error, 'div', 'error');
  });
  none('job-attempts', !newest.length);
}
$('job-close').addEventListener('click', () => $('job').close());
$('job').addEventListener('close', () => {
  // Whoever has to sign in comes back to it.
  if (wantedJob() && !waitsForToken) history.replaceState(null, '', location.pathname + location.search);
});
addEventListener('hashchange', openJob);
