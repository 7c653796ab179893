//! Everything that parses, with anything at all and with what is nearly right. The properties are the fuzz targets' own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(unreachable_pub)]
#[path = "../fuzz/properties.rs"]
mod properties;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A value that a field may have, fit or not.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        "[ -~]{0,300}".prop_map(Value::from),
        r"[a-z.]{0,9}@[a-z-]{1,9}\.[a-z]{2}".prop_map(Value::from),
        vec("article_published|followed|[a-z]{0,3}", 0..4).prop_map(Value::from),
        any::<bool>().prop_map(|enabled| json!({"enabled": enabled})),
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
    ]
}

fn object() -> impl Strategy<Value = String> {
    let name = "email|name|password|title|description|body|kinds|followed|article_favorited|[a-z]{0,4}";
    proptest::collection::hash_map(name, value(), 0..8).prop_map(|fields| json!(fields).to_string())
}

fn claims() -> impl Strategy<Value = String> {
    let sid = "0f8fad5b-d9cb-469f-a165-70867728950e|[0-9a-f-]{0,36}";
    let expires = prop_oneof![Just(Value::from(4_102_444_800_i64)), Just(Value::from(1)), value()];
    (prop_oneof![Just(json!("callboard")), value()], "-?[0-9]{0,20}", sid, expires, "access|refresh").prop_map(
        |(iss, sub, sid, exp, typ)| {
            let claims = json!({"iss": iss, "aud": "callboard", "sub": sub, "sid": sid, "jti": sid, "iat": 0, "nbf": 0,
                "exp": exp, "typ": typ});
            claims.to_string()
        },
    )
}

proptest! {
    #[test]
    fn a_body_is_refused_in_our_words_or_its_fields_fit(any in vec(any::<u8>(), 0..300), object in object()) {
        properties::body(&any);
        properties::body(object.as_bytes());
    }

    #[test]
    fn a_query_is_refused_by_name_or_its_links_lead_where_they_say(
        any in any::<String>(),
        near in "(&?(search|limit|offset|page|per_page|cursor|author|x)=[a-z0-9%+-]{0,6}){0,6}",
    ) {
        properties::query(&any);
        properties::query(&near);
    }

    #[test]
    fn a_cursor_is_one_that_was_given_out(any in any::<String>(), near in "[cp][0-9a-fA-F+-]{15,17}") {
        properties::cursor(&any);
        properties::cursor(&near);
    }

    #[test]
    fn a_trace_is_the_one_in_the_text(
        any in any::<String>(),
        near in " ?(00|01|ff)-[0-9a-f]{31,33}-[0-9a-fA-F]{16}-[0-9a-f]{2}(-[a-z]{0,3})? ?",
    ) {
        properties::traceparent(&any);
        properties::traceparent(&near);
    }

    #[test]
    fn nothing_gets_in_that_does_not_say_all_it_has_to(
        any in any::<String>(),
        near in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,45}",
        claims in claims(),
    ) {
        properties::token(&any);
        properties::token(&near);
        properties::token(&claims);
    }

    #[test]
    fn a_slug_is_made_of_any_text_and_read_as_it_is(any in any::<String>(), near in "[a-zA-Z0-9_-]{0,110}") {
        properties::slug(&any);
        properties::slug(&near);
    }

    #[test]
    fn an_address_is_one_to_us_again_and_shows_itself_masked(
        any in any::<String>(),
        near in "\\s?[a-zA-Zäö.+_-]{1,70}@[a-zä-]{0,9}(\\.[a-z0-9-]{0,9}){0,3}\\s?",
    ) {
        properties::email(&any);
        properties::email(&near);
    }

    #[test]
    fn a_webhook_leads_to_no_private_network_however_it_is_spelled(
        any in any::<String>(),
        near in "(http|HTTPS|ftp)://([a-z:]{0,3}@)?((0x)?[0-9a-f]{1,10}(\\.[0-9]{1,4}){0,4}|\\[[0-9a-f:.]{2,20}\\]|[a-z.-]{1,9})(:[0-9]{0,6})?/?",
    ) {
        properties::webhook(&any);
        properties::webhook(&near);
    }

    #[test]
    fn an_events_id_is_a_number_in_digits(any in vec(any::<u8>(), 0..30), near in "[+-]?[0-9]{0,20}") {
        properties::last_event_id(&any);
        properties::last_event_id(near.as_bytes());
    }

    #[test]
    fn a_token_stands_behind_its_scheme(any in vec(any::<u8>(), 0..60), near in "[Bb]e[aA]rer ? ?[!-~]{0,30} ?") {
        properties::bearer(&any);
        properties::bearer(near.as_bytes());
    }
}
