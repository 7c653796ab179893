//! Search: what people type finds the articles that it says, whoever put their words into the index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use actors::articles::words::{self, Part};
use serde_json::json;
use support::{Client, Service, Stage, User};

/// English as it is written, with what it has of apostrophes, hyphens, quotes, numbers and capitals.
const ENGLISH: &str = "It was the best of times; it was the worst of times. Nobody who lived by the harbour could say \
    afterwards when the crabs had first been noticed walking up the steps, two by two, as though they'd been invited. \
    “They keep to themselves,” said Mrs. Aldersley, who kept the bakery and didn't hold with gossiping, “and they're \
    tidier than most of the fishermen's boys.” By the 3rd of October there were 412 of them, living happily in the \
    disused customs house, and the council's committee — hastily appointed, generously funded, endlessly arguing — had \
    published its findings in a well-known weekly: the animals' behaviour was neither dangerous nor, strictly speaking, \
    illegal. Children loved them. Tourists photographed them. A university sent three researchers, whose conclusions \
    contradicted one another; an exceedingly wealthy collector offered to buy everything and was politely refused. \
    In winter the houses' chimneys smoked, the communities' quarrels were forgotten, skiing was attempted, dying \
    traditions were revived, and the news spread: national, rational and relational explanations multiplied, while \
    those responsible for organising, organizing or analysing anything at all quietly proceeded to their early retirement.";

async fn publish(author: &User, title: &str, description: &str, body: &str) -> String {
    let article = json!({"title": title, "description": description, "body": body});
    author.client.post("/api/articles", &article).await.expect(201)["slug"].as_str().unwrap().to_owned()
}

/// The titles of what is found, in the order of the alphabet.
async fn found(api: &Client, typed: &str) -> Vec<String> {
    let typed: String = form_urlencoded::byte_serialize(typed.as_bytes()).collect();
    let page = api.get(&format!("/api/articles?search={typed}")).await.expect(200);
    assert_eq!(page["count"], page["total"], "{typed}");
    let articles = page["articles"].as_array().unwrap();
    let mut titles: Vec<_> = articles.iter().map(|article| article["title"].as_str().unwrap().to_owned()).collect();
    titles.sort_unstable();
    titles
}

async fn finds(api: &Client, typed: &str, titles: &[&str]) {
    assert_eq!(found(api, typed).await, titles, "{typed}");
}

#[tokio::test]
async fn words_phrases_or_and_minus_find_what_they_say() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (api, ann) = (service.client(), service.client().register("ann").await);
    publish(&ann, "One", "on crabs", "Crabs of the sea eat plants").await;
    publish(&ann, "Two", "", "A plant that eats a crab; the sea is far").await;
    publish(&ann, "Three", "", "Lobsters only").await;
    finds(&api, "eats", &["One", "Two"]).await;
    finds(&api, "CRAB", &["One", "Two"]).await;
    finds(&api, "lobster", &["Three"]).await;
    finds(&api, "crab lobster", &[]).await;
    finds(&api, "crab or lobster", &["One", "Three", "Two"]).await;
    finds(&api, "plants crab or lobsters", &["One", "Three", "Two"]).await;
    finds(&api, "crab -far", &["One"]).await;
    finds(&api, "-crab", &["Three"]).await;
    finds(&api, "\"crab of the sea\"", &["One"]).await;
    finds(&api, "\"crab sea\"", &[]).await;
    finds(&api, "crab -\"eat plants\"", &["Two"]).await;
    finds(&api, "\"eat plants", &["One"]).await;
    // No phrase begins in one text and ends in another.
    finds(&api, "\"one on\" crabs", &["One"]).await;
    finds(&api, "\"one crab\"", &[]).await;
    for nothing in ["the", "of the", "-the", "\"\"", "'\"&|!(:*", "\\", "%", "🦀"] {
        finds(&api, nothing, &[]).await;
    }
}

#[tokio::test]
async fn words_are_what_every_script_calls_words() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (api, ann) = (service.client(), service.client().register("ann").await);
    publish(&ann, "Accents", "", "Cafés, naïve—Übermut").await;
    publish(&ann, "Others", "", "Привет, мир. 日本語で書く ΣΟΦΟΣ").await;
    publish(&ann, "Signs", "", "A state-of-the-art foo_bar's x\\y; mail <Alice@Example.com>, node.js 3.14, 1,000")
        .await;
    for typed in ["café", "NAÏVE", "übermut"] {
        finds(&api, typed, &["Accents"]).await;
    }
    for typed in ["привет", "МИР", "日本語", "日本", "書く", "σοφος"] {
        finds(&api, typed, &["Others"]).await;
    }
    for typed in [
        "state-of-the-art",
        "art",
        "foo_bar",
        "bar",
        "x\\y",
        "alice",
        "example.com",
        "alice@example.com",
        "\"mail alice\"",
        "node.js",
        "3.14",
        "1,000",
    ] {
        finds(&api, typed, &["Signs"]).await;
    }
    finds(&api, "art-state", &[]).await;
    finds(&api, "語日", &[]).await;
}

#[tokio::test]
async fn an_edit_changes_the_words_of_what_is_given_and_of_nothing_else() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (api, ann) = (service.client(), service.client().register("ann").await);
    let path = format!("/api/articles/{}", publish(&ann, "Crabs", "crabs in short", "bob@example.com has crabs").await);
    let edit = async |change| ann.client.put(&path, &change).await.expect(200);
    edit(json!({"title": "Squids"})).await;
    finds(&api, "squid crab bob \"crabs in short\"", &["Squids"]).await;
    edit(json!({"description": "none"})).await;
    finds(&api, "squid crab none", &["Squids"]).await;
    finds(&api, "short", &[]).await;
    // Words that stay the same were brought all the same.
    edit(json!({"title": "Squids!"})).await;
    finds(&api, "squid bob", &["Squids!"]).await;
    let before = stage.query("select search::text from articles", &[]).await;
    for title in ["A longer title for once", "Squids!"] {
        edit(json!({"title": title})).await;
    }
    let after = stage.query("select search::text from articles", &[]).await;
    assert_eq!(after[0].get::<_, &str>(0), before[0].get::<_, &str>(0), "what is kept stays where it is");
    edit(json!({"body": "of the"})).await;
    finds(&api, "squid -crab -bob", &["Squids!"]).await;
    edit(json!({"title": "Last", "description": "two", "body": "three"})).await;
    finds(&api, "last two three -squid -none", &["Last"]).await;
}

#[tokio::test]
async fn postgresql_puts_into_the_index_what_comes_without_words() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (api, ann) = (service.client(), service.client().register("ann").await);
    let insert = "insert into articles (author_id, slug, title, description, body) values
                  ($1, 'by-hand', 'Crab', 'crabs by hand', 'bob@example.com eats 日本語, foo-bar')";
    stage.execute(insert, &[&ann.id]).await;
    for typed in ["crabs", "hands", "eat", "bob@example.com", "日本語", "foo-bar", "\"crab by hand\""] {
        finds(&api, typed, &["Crab"]).await;
    }
    // The service edits one text of it: what is kept is found still, and after another edit as well.
    for title in ["The crab", "Squid"] {
        ann.client.put("/api/articles/by-hand", &json!({"title": title})).await.expect(200);
        for typed in ["crabs", "hands", "bob@example.com"] {
            finds(&api, typed, &[title]).await;
        }
    }
    // As a node does that knows nothing of words.
    stage.execute("update articles set title = 'Lobster', version = version + 1", &[]).await;
    finds(&api, "lobsters -squid", &["Lobster"]).await;
    let words = stage.query("select search::text from articles", &[]).await;
    stage.execute("update articles set favorites_count = 1", &[]).await;
    stage.execute("update articles set title = title", &[]).await;
    assert_eq!(
        stage.query("select search::text from articles", &[]).await[0].get::<_, &str>(0),
        words[0].get::<_, &str>(0)
    );
}

#[tokio::test]
async fn the_longest_texts_are_published_and_found() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (api, ann) = (service.client(), service.client().register("ann").await);
    let distinct: String = (10_000..30_000).map(|number| format!("w{number} ")).collect();
    let ideographs: String = ('\u{20000}'..='\u{2a6df}').chain('\u{4e00}'..='\u{9fff}').take(100_000).collect();
    publish(&ann, "Words", &"d ".repeat(500), &distinct[..100_000]).await;
    publish(&ann, &"字".repeat(255), &"語".repeat(1000), &ideographs).await;
    publish(&ann, "Letters", "", &"x".repeat(100_000)).await;
    let path = format!("/api/articles/{}", publish(&ann, "Lorem", "lorem", &"lorem ".repeat(16_000)).await);
    finds(&api, "w10000 w24284", &["Words"]).await;
    finds(&api, "𠀀 𠀁", &["字".repeat(255).as_str()]).await;
    finds(&api, &"x".repeat(200), &[]).await;
    // However often a word is in the body, its places in the other texts are known.
    ann.client.put(&path, &json!({"body": "ipsum"})).await.expect(200);
    finds(&api, "lorem", &["Lorem"]).await;
    ann.client.put(&path, &json!({"title": "Dolor"})).await.expect(200);
    finds(&api, "lorem ipsum", &["Dolor"]).await;
}

/// As PostgreSQL 15 has them; newer ones come with newer versions of Snowball's stemmer, which may tell a few words
/// differently. Words with a hyphen PostgreSQL keeps as a whole besides.
#[tokio::test]
async fn plain_english_has_the_lexemes_that_postgresql_finds() {
    let stage = Stage::new().await;
    let ours = words::vector(Part::Body, ENGLISH);
    let compare = "select array(select unnest(tsvector_to_array($1::text::tsvector)) order by 1),
                          array(select l from unnest(tsvector_to_array(to_tsvector('english', $2))) l
                                where l !~ '-' order by 1)";
    let rows = stage.query(compare, &[&ours, &ENGLISH]).await;
    let (ours, theirs): (Vec<String>, Vec<String>) = (rows[0].get(0), rows[0].get(1));
    assert!(theirs.len() > 100, "{theirs:?}");
    assert_eq!(ours, theirs);
}
