//! The rules of the domain, one actor each: by slug, lists, creation, editing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use opentelemetry::KeyValue;

use super::message::*;
use super::once;
use super::slug::Slug;
use super::store::{self, Changed, Known, Made, New};
use crate::jobs::Bell;
use crate::kit::batcher::{Answers, Gather};
use crate::kit::command::{Answer, Outcome};
use crate::kit::kept::{Kept, Look, Read};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Fault, Scope, Shared, Trace, metrics};

/// How often a batch is tried with new suffixes for slugs that were taken, and for keys of which another transaction
/// was faster. With 2^40 suffixes for each title a second round is already a rarity.
const ROUNDS: usize = 3;

/// Different pages asked for by one batch at once: no more than their connections can do side by side.
const LISTS_AT_ONCE: usize = 2;

/// Finds every article that is asked for with one statement, which reads those that are not as they are known, and who of
/// the readers favorited them.
pub(super) struct BySlug {
    pub(super) postgres: Postgres,
    pub(super) kept: Arc<Kept<Slug, Known>>,
}

impl Gather for BySlug {
    type Command = FindArticle;

    async fn run(&self, commands: &[FindArticle], scope: &Scope) -> Answers<FindArticle> {
        let mut slugs: Vec<&Slug> = commands.iter().map(|find| &find.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        let mut viewers: Vec<i64> = commands.iter().filter_map(|find| find.viewer.map(|user| user.0)).collect();
        viewers.sort_unstable();
        viewers.dedup();
        let with_viewers: HashSet<&Slug> =
            commands.iter().filter(|find| find.viewer.is_some()).map(|find| &find.slug).collect();
        let mut looking =
            Looking { postgres: &self.postgres, scope, slugs: &slugs, viewers, favorited: HashSet::new() };
        // What is known says nothing of who favorited it.
        let is_enough = |place: usize| slugs.get(place).is_some_and(|slug| !with_viewers.contains(slug));
        let (found, _) = self.kept.find((&self.postgres, scope), &slugs, is_enough, &mut looking).await?;
        let answer = |find: &FindArticle| {
            let place = slugs.binary_search(&&find.slug).map_err(|_| Refusal::NotFound)?;
            let Known { article, .. } = found.get(place).and_then(Option::as_ref).ok_or(Refusal::NotFound)?;
            let favorited = find.viewer.is_some_and(|user| looking.favorited.contains(&(place, user.0)));
            Ok(View { article: Arc::clone(article), favorited })
        };
        Ok(commands.iter().map(answer).collect())
    }
}

/// How articles are read that are not as they are known, or that somebody reads who may have favorited them.
struct Looking<'a> {
    postgres: &'a Postgres,
    scope: &'a Scope,
    slugs: &'a [&'a Slug],
    viewers: Vec<i64>,
    /// Which of the slugs was favorited by whom of the viewers.
    favorited: HashSet<(usize, i64)>,
}

impl Look<Known> for Looking<'_> {
    async fn look(&mut self, places: &[usize], known: &[Option<Known>]) -> Result<Read<Known>, Fault> {
        let asked = |place: &usize| Some((*place, *self.slugs.get(*place)?, known.get(*place)?.as_ref()));
        let asked: Vec<_> = places.iter().filter_map(asked).collect();
        let found = store::find_by_slugs(self.postgres, self.scope, &asked, &self.viewers).await?;
        // Looked at again, they may have been taken back.
        self.favorited.retain(|(place, _)| !places.contains(place));
        self.favorited.extend(found.favorited);
        Ok(found.read)
    }
}

/// A query, and where those stand who ask it.
type Asking<'a> = (&'a ListArticles, Vec<usize>);

/// The different queries among these.
fn asking(commands: &[ListArticles]) -> Vec<Asking<'_>> {
    let mut asking: HashMap<&ListArticles, Vec<usize>> = HashMap::new();
    for (position, query) in commands.iter().enumerate() {
        asking.entry(query).or_default().push(position);
    }
    asking.into_iter().collect()
}

/// The answers of those who ask, from the pages that were found.
fn answers(
    commands: &[ListArticles],
    found: &HashMap<&ListArticles, Arc<Shared<Page>>>,
) -> Vec<Result<Arc<Shared<Page>>, Refusal>> {
    commands.iter().map(|query| found.get(query).cloned().ok_or(Refusal::NotFound)).collect()
}

/// Reads all pages that choose nothing among the articles with one statement; equal ones once.
pub(super) struct Pages(pub(super) Postgres);

impl Gather for Pages {
    type Command = ListArticles;

    async fn run(&self, commands: &[ListArticles], scope: &Scope) -> Answers<ListArticles> {
        let queries: Vec<&ListArticles> = asking(commands).into_iter().map(|(query, _)| query).collect();
        let pages = store::pages(&self.0, scope, &queries).await?;
        let found = queries.into_iter().zip(pages.into_iter().map(Shared::new)).collect();
        Ok(answers(commands, &found))
    }
}

/// Runs each different query of those that gathered once; equal ones share the answer.
pub(super) struct Lists(pub(super) Postgres);

impl Gather for Lists {
    type Command = ListArticles;

    async fn run(&self, commands: &[ListArticles], scope: &Scope) -> Answers<ListArticles> {
        let pages: Vec<_> = asking(commands).into_iter().map(|asking| self.page(asking, scope).boxed()).collect();
        let found = stream::iter(pages).buffer_unordered(LISTS_AT_ONCE).try_collect().await?;
        Ok(answers(commands, &found))
    }
}

impl Lists {
    /// One page, for those who ask for it: its statement belongs to their traces, and to no others.
    async fn page<'a>(
        &self,
        (query, positions): Asking<'a>,
        scope: &Scope,
    ) -> Result<(&'a ListArticles, Arc<Shared<Page>>), Fault> {
        let mut traces = positions.iter().filter_map(|position| scope.trace_of(*position).cloned());
        let trace = traces.next().unwrap_or_default();
        let scope = Scope { trace, others: traces.collect(), deadline: scope.deadline };
        let page = match query.chosen() {
            Chosen::Followed(user) => store::feed(&self.0, &scope, query, user).await?,
            Chosen::Favorited(user) => store::favorited(&self.0, &scope, query, user).await?,
            Chosen::Near | Chosen::Otherwise => store::list(&self.0, &scope, query).await?,
        };
        Ok((query, Shared::new(page)))
    }
}

/// Publishes every article that gathered, each with its job and its key, in one statement.
pub(super) struct Creator {
    pub(super) postgres: Postgres,
    pub(super) bell: Bell,
}

type Settled = Result<Published, Refusal>;

impl Gather for Creator {
    type Command = CreateArticle;

    async fn run(&self, commands: &[CreateArticle], scope: &Scope) -> Answers<CreateArticle> {
        let mut answers: Vec<Option<Settled>> = vec![None; commands.len()];
        for round in 0..ROUNDS {
            let open: Vec<usize> =
                (0..).zip(&answers).filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).collect();
            let new: Vec<_> = open.iter().filter_map(|at| Some(new(commands.get(*at)?, scope.trace_of(*at)))).collect();
            if new.is_empty() {
                break;
            }
            if round > 0 {
                tracing::debug!(count = new.len(), "articles were not made; their slugs or their keys were just taken");
            }
            match store::create(&self.postgres, scope, &new, once::GOOD_FOR).await {
                Ok(made) => {
                    self.bell.ring();
                    for (at, made) in open.into_iter().zip(made) {
                        if let Some(answer) = answers.get_mut(at) {
                            *answer = settled(made);
                        }
                    }
                }
                // Somebody took a slug, or went, while the statement ran: alone, one has nobody else to blame.
                Err(fault) if fault.is_overtaken() && commands.len() == 1 && round + 1 < ROUNDS => {}
                Err(fault) if answers.iter().flatten().all(Result::is_err) => return Err(fault),
                // What an earlier round made has committed and is answered, whatever becomes of the rest.
                Err(fault) => {
                    tracing::warn!(exception.message = %fault, "articles could not be tried again");
                    break;
                }
            }
        }
        tell(&answers, scope);
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Err(Refusal::NotDone))).collect())
    }
}

fn new<'a>(article: &'a CreateArticle, trace: Option<&Trace>) -> New<'a> {
    New {
        slug: Slug::for_title(article.title.as_str()),
        fingerprint: article.key.as_ref().map(|_| once::fingerprint(article)),
        traceparent: trace.and_then(Trace::traceparent),
        article,
    }
}

/// The answer, if there is one yet.
fn settled(made: Made) -> Option<Settled> {
    let published =
        |article, before| Published { view: View { article: Shared::new(article), favorited: false }, before };
    match made {
        Made::Now(article) => Some(Ok(published(article, false))),
        Made::Before(article) => Some(Ok(published(article, true))),
        Made::OfSomethingElse => Some(Err(Refusal::KeyReused)),
        Made::KeyInUse => Some(Err(Refusal::KeyInUse)),
        Made::NoAuthor => Some(Err(Refusal::AuthorGone)),
        Made::NotNow => None,
    }
}

/// Counts what was made, and names it in the traces.
fn tell(answers: &[Option<Settled>], scope: &Scope) {
    let made = answers.iter().filter(|answer| matches!(answer, Some(Ok(published)) if !published.before)).count();
    metrics::domain().articles_created.add(made as u64, &[]);
    for (at, answer) in answers.iter().enumerate() {
        if let (Some(Ok(published)), Some(trace)) = (answer, scope.trace_of(at)) {
            trace.set(|| [KeyValue::new("article.slug", published.view.article.slug.shared())]);
        }
    }
}

/// Changes one article after the other, so that changes to one article have an order.
pub(super) struct Editor(pub(super) Postgres);

impl Worker for Editor {
    type Message = EditorMessage;

    async fn handle(&self, message: EditorMessage, scope: Scope) -> Outcome {
        match message {
            EditorMessage::UpdateArticle(ask) => ask.serve(|change| self.update(change, &scope)).await,
            EditorMessage::DeleteArticle(ask) => ask.serve(|delete| self.delete(delete, &scope)).await,
        }
    }
}

impl Editor {
    async fn update(&self, change: UpdateArticle, scope: &Scope) -> Answer<UpdateArticle> {
        scope.trace.set(|| [KeyValue::new("article.slug", change.slug.shared())]);
        done(store::update(&self.0, scope, &change).await?)
    }

    async fn delete(&self, delete: DeleteArticle, scope: &Scope) -> Answer<DeleteArticle> {
        scope.trace.set(|| [KeyValue::new("article.slug", delete.slug.shared())]);
        done(store::delete(&self.0, scope, &delete).await?)
    }
}

fn done<T>(changed: Changed<T>) -> Result<T, Failure<Refusal>> {
    match changed {
        Changed::Missing => Err(Failure::Refused(Refusal::NotFound)),
        Changed::NotAllowed => Err(Failure::Refused(Refusal::NotAuthor)),
        Changed::NotExpected => Err(Failure::Refused(Refusal::NotExpected)),
        Changed::Done(done) => Ok(done),
    }
}
