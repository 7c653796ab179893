//! The rules of the domain, one actor each: by slug, lists, creation, editing.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use opentelemetry::KeyValue;

use super::message::*;
use super::slug::Slug;
use super::store::{self, Changed};
use crate::kit::batcher::{Answers, Gather};
use crate::kit::command::{Answer, Outcome};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Fault, Scope, metrics};

/// How often a batch is tried with new suffixes for slugs that were taken. With 2^40 suffixes for each
/// title a second round is already a rarity.
const SLUG_ROUNDS: usize = 3;

/// Different pages asked for by one batch at once: no more than their connections can do side by side.
const LISTS_AT_ONCE: usize = 2;

/// Reads every article that is asked for with one statement, and who of the readers favorited it.
pub(super) struct BySlug(pub(super) Postgres);

impl Gather for BySlug {
    type Command = FindArticle;

    async fn run(&self, commands: &[FindArticle], scope: &Scope) -> Answers<FindArticle> {
        let mut slugs: Vec<&str> = commands.iter().map(|find| find.slug.as_str()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        let mut viewers: Vec<i64> = commands.iter().filter_map(|find| find.viewer.map(|user| user.0)).collect();
        viewers.sort_unstable();
        viewers.dedup();
        let found = store::find_by_slugs(&self.0, scope, &slugs, &viewers).await?;
        let answer = |find: &FindArticle| {
            let (article, favorited_by) = found.get(&find.slug).ok_or(Refusal::NotFound)?;
            let favorited = find.viewer.is_some_and(|user| favorited_by.contains(&user.0));
            Ok(View { article: Arc::clone(article), favorited })
        };
        Ok(commands.iter().map(answer).collect())
    }
}

/// Runs each different query of those that gathered once; equal ones share the answer.
pub(super) struct Lists(pub(super) Postgres);

impl Gather for Lists {
    type Command = ListArticles;

    async fn run(&self, commands: &[ListArticles], scope: &Scope) -> Answers<ListArticles> {
        let mut asking: HashMap<&ListArticles, Vec<usize>> = HashMap::new();
        for (position, query) in commands.iter().enumerate() {
            asking.entry(query).or_default().push(position);
        }
        let pages: Vec<_> =
            asking.into_iter().map(|(query, positions)| self.page(query, positions, scope).boxed()).collect();
        let pages: HashMap<&ListArticles, Arc<Page>> =
            stream::iter(pages).buffer_unordered(LISTS_AT_ONCE).try_collect().await?;
        let page = |query: &ListArticles| pages.get(query).cloned().ok_or(Refusal::NotFound);
        Ok(commands.iter().map(page).collect())
    }
}

impl Lists {
    /// One page, for those at these positions: its statement belongs to their traces, and to no others.
    async fn page<'a>(
        &self,
        query: &'a ListArticles,
        positions: Vec<usize>,
        scope: &Scope,
    ) -> Result<(&'a ListArticles, Arc<Page>), Fault> {
        let mut traces = positions.iter().filter_map(|position| scope.trace_of(*position).cloned());
        let trace = traces.next().unwrap_or_default();
        let scope = Scope { trace, others: traces.collect(), deadline: scope.deadline };
        Ok((query, Arc::new(store::list(&self.0, &scope, query).await?)))
    }
}

/// Publishes every article that gathered, each with its job, in one statement.
pub(super) struct Creator(pub(super) Postgres);

impl Gather for Creator {
    type Command = CreateArticle;

    async fn run(&self, commands: &[CreateArticle], scope: &Scope) -> Answers<CreateArticle> {
        let mut answers: Vec<Option<View>> = vec![None; commands.len()];
        for round in 0..SLUG_ROUNDS {
            let missing: Vec<usize> =
                (0..commands.len()).filter(|at| answers.get(*at).is_some_and(Option::is_none)).collect();
            let new: Vec<_> = missing
                .iter()
                .filter_map(|at| {
                    let command = commands.get(*at)?;
                    let traceparent = scope.trace_of(*at).and_then(|trace| trace.traceparent());
                    Some((Slug::for_title(command.title.as_str()), command, traceparent))
                })
                .collect();
            if new.is_empty() {
                break;
            }
            if round > 0 {
                tracing::info!(
                    count = new.len(),
                    "articles were not made; their slugs were taken or their authors are gone"
                );
            }
            let mut made = match store::create(&self.0, scope, &new).await {
                Ok(made) => made,
                Err(fault) if round == 0 => return Err(fault),
                // The first round has committed: what it made is answered, whatever becomes of the rest.
                Err(fault) => {
                    tracing::warn!(%fault, "articles whose slugs were taken could not be tried again");
                    break;
                }
            };
            for ((slug, ..), at) in new.iter().zip(missing) {
                if let (Some(article), Some(answer)) = (made.remove(slug), answers.get_mut(at)) {
                    *answer = Some(View { article: Arc::new(article), favorited: false });
                }
            }
        }
        let made = answers.iter().flatten().count();
        metrics::domain().articles_created.add(made as u64, &[]);
        for (at, view) in answers.iter().enumerate() {
            if let (Some(view), Some(trace)) = (view, scope.trace_of(at)) {
                trace.set(|| [KeyValue::new("article.slug", view.article.slug.shared())]);
            }
        }
        Ok(answers.into_iter().map(|view| view.ok_or(Refusal::AuthorGone)).collect())
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
        Changed::Done(done) => Ok(done),
    }
}
