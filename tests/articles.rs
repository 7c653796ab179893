//! Articles: reading, listing, publishing, editing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::HashSet;

use serde_json::{Value, json};
use support::{Answer, Client, Service, Stage, at_once};

const LISTED: [&str; 9] =
    ["author", "created_at", "description", "favorited", "favorites_count", "id", "slug", "title", "updated_at"];

fn slugs(page: &Value) -> Vec<String> {
    let articles = page["articles"].as_array().unwrap();
    articles.iter().map(|article| article["slug"].as_str().unwrap().to_owned()).collect()
}

fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

async fn list(api: &Client, query: &str) -> Value {
    api.get(&format!("/api/articles{query}")).await.expect(200)
}

#[tokio::test]
async fn a_published_article_is_at_the_address_that_the_answer_names() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let body = json!({"title": "  Hello, World!  ", "description": "short", "body": "long\n", "slug": "mine"});
    let created = ann.client.post("/api/articles", &body).await;
    let article = created.expect(201);
    let slug = article["slug"].as_str().unwrap();
    assert!(slug.starts_with("hello-world-"), "{slug}");
    assert_eq!(created.header("location"), Some(format!("/api/articles/{slug}").as_str()));
    assert_eq!(article["title"], "Hello, World!");
    assert_eq!((&article["description"], &article["body"]), (&json!("short"), &json!("long\n")));
    assert_eq!((&article["favorites_count"], &article["favorited"]), (&json!(0), &json!(false)));
    assert_eq!(article["author"], json!({"id": ann.id, "email": ann.email, "name": "ann", "bio": "", "image": ""}));

    let read = ann.client.get(created.header("location").unwrap()).await;
    assert_eq!(read.expect(200), article);
    let tag = read.header("etag").unwrap();
    assert!(tag.starts_with('"'), "{tag} is not a strong tag");
    assert_eq!(created.header("etag"), Some(tag));
}

#[tokio::test]
async fn the_tag_of_an_article_changes_with_what_is_shown() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let cy = api.client().register("cy").await;
    let path = format!("/api/articles/{}", ann.publish("Tagged").await);
    let tag = async |client: &Client| client.get(&path).await.header("etag").unwrap().to_owned();
    let mut tags = vec![tag(&ann.client).await, tag(&bob.client).await];
    assert_eq!(tag(&bob.client).await, tags[1], "nothing has changed");
    bob.client.ask(&format!("{path}/favorite")).await.expect(200);
    tags.extend([tag(&ann.client).await, tag(&bob.client).await, tag(&cy.client).await]);
    ann.client.put(&path, &json!({"body": "other"})).await.expect(200);
    tags.extend([tag(&ann.client).await, tag(&bob.client).await]);
    let different: HashSet<_> = tags.iter().collect();
    assert_eq!(different.len(), tags.len(), "{tags:?}");
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_leaves_the_slug() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let slug = ann.publish("First title").await;
    let path = format!("/api/articles/{slug}");
    let updated = ann.client.put(&path, &json!({"title": "Second title"})).await;
    let article = updated.expect(200);
    assert_eq!((&article["slug"], &article["title"]), (&json!(slug), &json!("Second title")));
    assert_eq!((&article["description"], &article["body"]), (&json!("in short"), &json!("at length")));
    assert_eq!(ann.client.get(&path).await.expect(200), article);
    assert_eq!(updated.header("etag"), ann.client.get(&path).await.header("etag"));
    let emptied = ann.client.put(&path, &json!({"description": "", "title": null})).await.expect(200);
    assert_eq!((&emptied["description"], &emptied["title"]), (&json!(""), &json!("Second title")));
    assert_eq!(ann.client.put(&path, &json!({"title": " ", "body": ""})).await.unfit_fields(), ["title", "body"]);
}

#[tokio::test]
async fn only_its_author_changes_or_deletes_an_article() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let path = format!("/api/articles/{}", ann.publish("Of Ann").await);
    bob.client.put(&path, &json!({"title": "Of Bob"})).await.refused(403, "forbidden");
    bob.client.delete(&path).await.refused(403, "forbidden");
    assert_eq!(ann.client.get(&path).await.expect(200)["title"], "Of Ann");
    bob.client.ask(&format!("{path}/favorite")).await.expect(200);
    let deleted = ann.client.delete(&path).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    ann.client.get(&path).await.refused(404, "not_found");
    ann.client.delete(&path).await.refused(404, "not_found");
    assert_eq!(stage.number("select count(*) from favorites").await, 0);
}

#[tokio::test]
async fn what_is_no_article_is_not_found() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let long = "x".repeat(5000);
    for slug in ["nothing-here", "UPPER", "a--b", "-", "%20", "a%00b", "%C3%A4", "..", "a%2Fb", &long] {
        let path = format!("/api/articles/{slug}");
        ann.client.get(&path).await.refused(404, "not_found");
        ann.client.put(&path, &json!({"title": "x"})).await.refused(404, "not_found");
        ann.client.delete(&path).await.refused(404, "not_found");
        ann.client.ask(&format!("{path}/favorite")).await.refused(404, "not_found");
        ann.client.delete(&format!("{path}/favorite")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn many_simultaneous_articles_with_one_title_get_an_address_each() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let made = at_once(16, |_| {
        let ann = ann.clone();
        async move { ann.publish("The same title").await }
    })
    .await;
    let different: HashSet<_> = made.iter().collect();
    assert_eq!(different.len(), 16, "{made:?}");
    assert_eq!(list(&api.client(), "").await["total"], 16);
}

#[tokio::test]
async fn a_title_without_ascii_words_has_an_address_too() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    for title in ["日本語", "🦀", "—", &"ä".repeat(255), &"w ".repeat(127), &"w".repeat(255)] {
        let slug = ann.publish(title).await;
        assert!(slug.len() <= 100 && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{slug}");
        let article = api.client().get(&format!("/api/articles/{slug}")).await.expect(200);
        assert_eq!(article["title"], title.trim());
    }
}

#[tokio::test]
async fn a_list_is_newest_first_and_leaves_bodies_out() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    assert_eq!(
        list(&api.client(), "").await,
        json!({"articles": [], "count": 0, "total": 0, "limit": 20, "offset": 0, "next": null, "previous": null})
    );
    let ann = api.client().register("ann").await;
    let mut made = Vec::new();
    for number in 0..3 {
        made.insert(0, ann.publish(&format!("Number {number}")).await);
    }
    let page = list(&api.client(), "").await;
    assert_eq!(slugs(&page), made);
    assert_eq!(fields(&page["articles"][0]), LISTED);
    assert_eq!((&page["count"], &page["total"]), (&json!(3), &json!(3)));
    assert_eq!((&page["limit"], &page["offset"]), (&json!(20), &json!(0)));
    assert_eq!((&page["next"], &page["previous"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn pages_counted_by_number_lead_to_one_another() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.insert(0, ann.publish(&format!("Number {number}")).await);
    }
    let follow = async |link: &Value| api.client().get(link.as_str().unwrap()).await.expect(200);
    for start in ["?limit=2&offset=0", "?per_page=2&page=1"] {
        let first = list(&api.client(), start).await;
        assert_eq!((&first["count"], &first["total"], &first["previous"]), (&json!(2), &json!(5), &Value::Null));
        let second = follow(&first["next"]).await;
        assert_eq!((&second["offset"], &second["limit"]), (&json!(2), &json!(2)));
        let third = follow(&second["next"]).await;
        assert_eq!((&third["count"], &third["next"]), (&json!(1), &Value::Null));
        assert_eq!([slugs(&first), slugs(&second), slugs(&third)].concat(), made);
        assert_eq!(slugs(&follow(&third["previous"]).await), slugs(&second));
    }
    assert_eq!(slugs(&list(&api.client(), "?page=2&per_page=3").await), made[3..]);
    let beyond = list(&api.client(), "?offset=1000000").await;
    assert_eq!((&beyond["count"], &beyond["total"], &beyond["next"]), (&json!(0), &json!(5), &Value::Null));
}

#[tokio::test]
async fn paging_by_cursor_neither_repeats_nor_skips_while_articles_are_published() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.insert(0, ann.publish(&format!("Number {number}")).await);
    }
    let mut page = list(&api.client(), "?limit=3").await;
    let mut seen = slugs(&page);
    while let Some(next) = page["next"].as_str() {
        assert!(next.contains("cursor="), "{next}");
        ann.publish("In between").await;
        page = api.client().get(next).await.expect(200);
        assert!(page["count"].as_u64().unwrap() <= 3);
        seen.extend(slugs(&page));
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_list_is_filtered_by_words_author_and_favorites() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let crabs = ann.publish("On crabs & lobsters").await;
    let plants = bob.publish("On plants").await;
    let texts = json!({"title": "Third", "body": "A plant that eats a crab"});
    let both = bob.client.post("/api/articles", &texts).await.expect(201)["slug"].as_str().unwrap().to_owned();
    ann.client.ask(&format!("/api/articles/{plants}/favorite")).await.expect(200);

    let found = async |query: String| {
        let page = list(&api.client(), &query).await;
        assert_eq!(page["count"], page["total"]);
        slugs(&page)
    };
    assert_eq!(found("?search=crab".into()).await, [both.clone(), crabs.clone()]);
    assert_eq!(found("?search=crab+plant".into()).await, std::slice::from_ref(&both));
    assert_eq!(found("?search=crab+-plant".into()).await, std::slice::from_ref(&crabs));
    assert_eq!(found("?search=squid".into()).await, [""; 0]);
    assert_eq!(found(format!("?author={}", bob.id)).await, [both.clone(), plants.clone()]);
    assert_eq!(found(format!("?author={}&search=eats", bob.id)).await, std::slice::from_ref(&both));
    assert_eq!(found(format!("?favorited_by={}", ann.id)).await, [plants]);
    assert_eq!(found(format!("?favorited_by={}", bob.id)).await, [""; 0]);
    assert_eq!(found("?author=4711".into()).await, [""; 0]);
    // Whatever people type is words to look for, never a query language's mistake.
    for odd in ["%27%22%26%7C%21%28%3A*", "%5C", "%25", "a%3A*b", "-", "%22"] {
        found(format!("?search={odd}")).await;
    }
    let page = list(&api.client(), &format!("?search=plant&author={}&limit=1", bob.id)).await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(api.client().get(next).await.expect(200)["count"], 1, "{next} keeps the filters");
}

#[tokio::test]
async fn who_asks_together_with_others_is_shown_what_they_would_be_shown_alone() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    for title in ["One", "Two"] {
        ann.publish(title).await;
    }
    let slug = ann.publish("Three").await;
    bob.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
    // An article and a page, by its author, by whom it is a favorite of and by nobody known; the page under three addresses
    // that its links repeat.
    let readers = [ann.client.clone(), bob.client.clone(), api.client()];
    let targets = ["?limit=2", "?per_page=2", "?limit=2&offset=0", &format!("/{slug}")]
        .map(|rest| format!("/api/articles{rest}"));
    let asked: Vec<(Client, String)> =
        readers.iter().flat_map(|reader| targets.iter().map(|target| (reader.clone(), target.clone()))).collect();
    let said = |answer: &Answer| {
        let header = |name| answer.header(name).map(str::to_owned);
        (answer.expect(200), header("etag"), header("link"))
    };
    let mut alone = Vec::new();
    for (reader, target) in &asked {
        alone.push(said(&reader.get(target).await));
    }
    let together = at_once(20 * asked.len(), move |number| {
        let (reader, target) = asked[number % asked.len()].clone();
        async move { (number, reader.get(&target).await) }
    });
    for (number, answer) in together.await {
        assert_eq!(said(&answer), alone[number % alone.len()]);
    }
}

#[tokio::test]
async fn the_feed_holds_what_the_followed_publish() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob, cy) =
        (api.client().register("ann").await, api.client().register("bob").await, api.client().register("cy").await);
    let first = bob.publish("Of Bob").await;
    cy.publish("Of Cy").await;
    ann.publish("Of Ann").await;
    let feed = async |query: &str| ann.client.get(&format!("/api/articles/feed{query}")).await.expect(200);
    assert_eq!(feed("").await["total"], 0);
    ann.follow(&bob).await;
    let second = bob.publish("Also of Bob").await;
    let page = feed("").await;
    assert_eq!(slugs(&page), [second.clone(), first.clone()]);
    assert_eq!(fields(&page["articles"][0]), LISTED);
    let page = feed("?limit=1").await;
    assert!(page["next"].as_str().unwrap().starts_with("/api/articles/feed?"), "{page}");
    assert_eq!(slugs(&ann.client.get(page["next"].as_str().unwrap()).await.expect(200)), [first]);
    ann.client.delete(&format!("/api/users/{}/follow", bob.id)).await.expect(200);
    assert_eq!(feed("").await["total"], 0);
}

#[tokio::test]
async fn the_address_of_an_author_is_shown_to_nobody_else() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let slug = ann.publish("Of Ann").await;
    bob.follow(&ann).await;
    let article = format!("/api/articles/{slug}");
    assert_eq!(ann.client.get(&article).await.expect(200)["author"]["email"], ann.email);
    assert_eq!(list(&ann.client, "").await["articles"][0]["author"]["email"], ann.email);
    bob.client.ask(&format!("{article}/favorite")).await.expect(200);
    let favorited_by = format!("/api/articles?favorited_by={}", bob.id);
    for reader in [&bob.client, &api.client()] {
        for path in [article.as_str(), "/api/articles", &favorited_by] {
            assert!(!reader.get(path).await.text().contains("@example.com"), "{path}");
        }
    }
    for answer in [
        bob.client.get("/api/articles/feed").await,
        bob.client.delete(&format!("{article}/favorite")).await,
        bob.client.ask(&format!("{article}/favorite")).await,
    ] {
        assert!(!answer.text().contains("@example.com"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_read_on_another_node_shows_what_was_written_before() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    let path = format!("/api/articles/{}", ann.publish("Round 0").await);
    for round in 1..=20 {
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let title = format!("Round {round}");
        ann.at(&writer.client()).put(&path, &json!({"title": title})).await.expect(200);
        let readers = at_once(4, |_| {
            let (client, path) = (bob.at(&reader.client()), path.clone());
            async move { client.get(&path).await.expect(200)["title"].clone() }
        });
        for read in readers.await {
            assert_eq!(read, title);
        }
        assert_eq!(list(&reader.client(), "").await["articles"][0]["title"], title);
    }
    bob.at(&other.client()).ask(&format!("{path}/favorite")).await.expect(200);
    assert_eq!(bob.client.get(&path).await.expect(200)["favorited"], true);
    ann.client.delete(&path).await.expect(204);
    bob.at(&other.client()).get(&path).await.refused(404, "not_found");
}
