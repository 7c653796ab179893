/* ---- The page ---- */
let since, ticks = 0, waitsForToken = false, readingJobs = false, treesAsked = 0, treeShown = 0;
function state(word, className) {
  set($('state'), word);
  $('state').className = `state ${className}`;
}
function signIn() {
  // Several requests may be refused at a time; asked for is a token once.
  if (waitsForToken) return;
  waitsForToken = true;
  since = undefined;
  $('unreachable').hidden = true;
  state('Token wanted', 'warn');
  set($('node'), 'Locked');
  $('refused').hidden = !sessionStorage.getItem(TOKEN);
  sessionStorage.removeItem(TOKEN);
  $('content').hidden = true;
  $('job').close();
  $('sign-in').hidden = false;
  $('token').focus();
}
function reached(yes) {
  since = yes ? undefined : since || new Date();
  $('content').classList.toggle('stale', !yes);
  $('unreachable').hidden = yes;
  if (yes) return state('Live', 'good');
  state('Unreachable', 'bad');
  set($('unreachable'), `The admin listener has not answered since ${since.toLocaleTimeString()}. What you see below is from before; this page asks again every second.`);
}
/* Shows the tree; whether there was one to show. */
async function tree() {
  if (waitsForToken || document.hidden) return false;
  const turn = ++treesAsked;
  try {
    const answer = await ask('/actors');
    // A later question may have been answered sooner.
    if (turn > treeShown) showTree(answer);
    treeShown = Math.max(turn, treeShown);
    reached(true);
    $('content').hidden = false;
    return true;
  } catch (error) {
    if (error.status === 401) signIn(); else reached(false);
    return false;
  }
}
async function tick() {
  if (!await tree()) return;
  showRestarts();
  if (!stream && Date.now() >= againAt) follow();
  if (live && unread) readNewest();
  if (!readingJobs && ticks++ % JOBS_EVERY === 0) {
    readingJobs = true;
    if (wantedJob() && !$('job').open) openJob();
    Promise.all([jobs(), readJob()]).finally(() => { readingJobs = false; });
  }
}
/* One round after the other: a slow listener is not asked again before it has answered. */
async function run() {
  await tick();
  setTimeout(run, TICK);
}
$('chaos').addEventListener('change', showCrash);
$('older').addEventListener('click', readOlder);
// Browsers allow a host six connections: a tab that nobody looks at keeps none.
document.addEventListener('visibilitychange', () => { if (document.hidden && stream) stream.abort(); });
$('sign-in').addEventListener('submit', event => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $('token').value.trim());
  $('token').value = '';
  $('sign-in').hidden = true;
  waitsForToken = false;
  ticks = 0;
  tick();
});
run();
