#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::http::HeaderValue;

use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn credentials_decide_the_access() {
    let grants = || vec![Grant::new("s3cret-a", Access::team("a")), Grant::new("root", Access::All)];
    let closed = Door::new(Anonymous::None, grants()).unwrap();
    let open = Door::new(Anonymous::All, grants()).unwrap();
    let bare = Door::default();
    let shut = Door::new(Anonymous::None, vec![]).unwrap();
    let (a, all) = (Some(Access::team("a")), Some(Access::All));
    let cases: &[(&str, &Door, &[&str], Option<Access>)] = &[
        ("no credential, closed", &closed, &[], None),
        ("no credential, open", &open, &[], all.clone()),
        ("team token", &closed, &["Bearer s3cret-a"], a.clone()),
        ("team token narrows an open door", &open, &["Bearer s3cret-a"], a.clone()),
        ("scheme in any case", &closed, &["bEARER s3cret-a"], a),
        ("admin token", &closed, &["Bearer root"], all.clone()),
        ("wrong token", &open, &["Bearer nope"], None),
        ("prefix of a token", &closed, &["Bearer s3cret"], None),
        ("token and more", &closed, &["Bearer s3cret-aa"], None),
        ("token twice over", &closed, &["Bearer rootroot"], None),
        ("empty token", &closed, &["Bearer "], None),
        ("no token", &closed, &["Bearer"], None),
        ("other scheme", &open, &["Basic cm9vdA=="], None),
        ("two credentials", &closed, &["Bearer root", "Bearer s3cret-a"], None),
        ("no tokens configured", &bare, &["Basic cm9vdA=="], all),
        ("no tokens configured, closed", &shut, &["Bearer root"], None),
    ];
    for (name, door, sent, want) in cases {
        assert_eq!(door.admit(&headers(sent)).ok(), *want, "{name}");
    }
}

#[test]
fn unusable_tokens_are_all_reported_and_not_shown() {
    let grants = ["", "a b", "x", "x"].map(|t| Grant::new(t, Access::All)).to_vec();
    let errors = Door::new(Anonymous::All, grants).unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[2].contains("token 3 is the same as token 2"));
    assert!(!format!("{:?}", Grant::new("s3cret", Access::All)).contains("s3cret"));
}
