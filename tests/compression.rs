//! Compression: for those who take gzip, where it saves something, and never where the length would tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::json;
use support::{Answer, Client, Service, Stage};

const GZIP: (&str, &str) = ("accept-encoding", "gzip, deflate, br");

fn unpacked(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{:?}", answer.headers);
    let mut bytes = Vec::new();
    GzDecoder::new(&answer.body[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

async fn zipped(client: &Client, path: &str) -> Answer {
    client.send("GET", path, &[GZIP], "").await
}

#[tokio::test]
async fn what_is_long_is_compressed_for_those_who_take_it_and_has_a_tag_of_its_own() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    // The second is compressed on a thread of its own.
    for words in [1000, 50_000] {
        let text: String = (0..words).map(|number| format!("{number} ")).collect();
        let created = ann.client.post("/api/articles", &json!({"title": "Long", "body": text})).await;
        let path = created.header("location").unwrap().to_owned();
        for client in [ann.client.clone(), ann.at(&Client::new_http2(service.api.unwrap()))] {
            let plain = client.get(&path).await;
            assert_eq!(plain.header("content-encoding"), None);
            let packed = zipped(&client, &path).await;
            assert_eq!(unpacked(&packed), plain.body);
            assert!(packed.body.len() < plain.body.len() * 2 / 3, "{} of {}", packed.body.len(), plain.body.len());
            assert_eq!(packed.header("content-length"), Some(packed.body.len().to_string().as_str()));
            assert_eq!(plain.header("vary"), packed.header("vary"));
            let (tag, of_packed) = (plain.header("etag").unwrap(), packed.header("etag").unwrap());
            assert_eq!(of_packed, format!("{}-gzip\"", tag.trim_end_matches('"')));
            // Either tag is known, whoever asks for what.
            for (have, coding) in [(tag, GZIP.1), (of_packed, GZIP.1), (tag, "identity"), (of_packed, "identity")] {
                let headers = [("accept-encoding", coding), ("if-none-match", have)];
                let again = client.send("GET", &path, &headers, "").await;
                assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(have)));
            }
            let head = client.send("HEAD", &path, &[GZIP], "").await;
            assert_eq!(head.body.len(), 0);
            for header in ["content-length", "content-encoding", "etag", "content-type", "vary"] {
                assert_eq!(head.header(header), packed.header(header), "{header}");
            }
        }
        let tag = zipped(&ann.client, &path).await.header("etag").unwrap().to_owned();
        let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
        ann.client.send("PUT", &path, &headers, r#"{"title":"Edited"}"#).await.expect(200);
    }
    for path in ["/api/openapi.json", "/docs"] {
        assert_eq!(unpacked(&zipped(&service.client(), path).await), service.client().get(path).await.body, "{path}");
    }
    for refused in ["identity", "br", "gzip;q=0", "*;q=0", "identity, gzip;q=0.5", ""] {
        let answer = service.client().send("GET", "/docs", &[("accept-encoding", refused)], "").await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{refused}");
    }
}

#[tokio::test]
async fn what_is_short_or_secret_or_comes_bit_by_bit_is_not_compressed() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let short = format!("/api/articles/{}", ann.publish("Short").await);
    let login = json!({"email": ann.email, "password": support::client::PASSWORD}).to_string();
    let bio = "b".repeat(2000);
    stage.execute("update users set bio = $1", &[&bio]).await;
    let headers = [GZIP, ("content-type", "application/json")];
    for answer in [
        zipped(&ann.client, "/api/articles?author=4711").await,
        zipped(&ann.client, "/api/articles/nothing").await,
        service.client().send("POST", "/api/login", &headers, login).await,
        ann.client.send("PUT", &short, &headers, "{}").await,
        zipped(&service.client(), "/api/health").await,
        zipped(&service.operator(), "/actors").await,
    ] {
        assert_eq!(answer.header("content-encoding"), None, "{answer:?}");
    }
    let stream = ann.client.send("HEAD", "/api/notifications/stream", &[GZIP], "").await;
    assert_eq!((stream.status, stream.header("content-encoding")), (200, None));
}

#[tokio::test]
async fn the_floor_is_a_setting_and_none_is_no_compression() {
    let stage = Stage::new().await;
    let all = Service::run(&stage, &["serve", "--no-workers"], &[("HTTP_COMPRESS_FROM", "100")]).await;
    let none = Service::run(&stage, &["serve", "--no-workers"], &[("HTTP_COMPRESS_FROM", "0")]).await;
    let ann = all.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Short").await);
    assert_eq!(unpacked(&zipped(&all.client(), &path).await), all.client().get(&path).await.body);
    for path in [path.as_str(), "/docs"] {
        assert_eq!(zipped(&none.client(), path).await.header("content-encoding"), None);
    }
}
