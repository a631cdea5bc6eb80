//! `whyd why`: a look-up in a running daemon; without a name, a list of what is wrong.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use whyd_api::dto::{Incidents, Restarts, Why};
use whyd_api::problem::ProblemDetails;
use whyd_signals::{Token, token};

use super::{Output, USUAL, WhyArgs, coloured, print};
use crate::client::client;
use crate::render::{self, Style, clean};

/// A verdict is stored when it is reached: a daemon that needs longer than this is in trouble.
const TIMEOUT: Duration = Duration::from_secs(10);

/// So many incidents and restarts are asked for where no name is given.
const LISTED: &str = "50";

pub(super) fn why(args: &WhyArgs) -> Result<ExitCode> {
    let token = fit(args.token.as_deref())?;
    let Some(name) = &args.pod else { return list(args, token) };
    let asked = [("pod", Some(name)), ("namespace", args.namespace.as_ref()), ("container", args.container.as_ref())];
    let (status, body) = asked_of(args, "why", &asked, token)?;
    if status != StatusCode::OK {
        return refused(status, &body, &args.server);
    }
    let answer: Why = read(&body, &args.server)?;
    match args.output {
        Output::Json => print(&serde_json::to_string_pretty(&answer)?),
        Output::Text => print(&render::why(&answer, style(args))),
    }
}

/// What a list answers in JSON.
#[derive(Serialize)]
struct Listed {
    incidents: Incidents,
    restarts: Restarts,
}

/// What is wrong in the namespaces that the token opens.
fn list(args: &WhyArgs, token: Option<&str>) -> Result<ExitCode> {
    let (open, limit) = ("open".to_owned(), LISTED.to_owned());
    let within = [("namespace", args.namespace.as_ref()), ("limit", Some(&limit))];
    let (status, body) = asked_of(args, "incidents", &[&within[..], &[("status", Some(&open))]].concat(), token)?;
    if status != StatusCode::OK {
        return refused(status, &body, &args.server);
    }
    let incidents: Incidents = read(&body, &args.server)?;
    let (status, body) = asked_of(args, "restarts", &within, token)?;
    if status != StatusCode::OK {
        return refused(status, &body, &args.server);
    }
    let listed = Listed { incidents, restarts: read(&body, &args.server)? };
    match args.output {
        Output::Json => print(&serde_json::to_string_pretty(&listed)?),
        Output::Text => print(&render::list(&listed.incidents, &listed.restarts, style(args))),
    }
}

fn style(args: &WhyArgs) -> Style<'_> {
    let server = Some(args.server.as_str()).filter(|server| *server != USUAL && is_plain(server));
    Style { colour: coloured(), server, ..Style::PLAIN }
}

fn read<T: DeserializeOwned>(body: &[u8], server: &str) -> Result<T> {
    serde_json::from_slice(body).with_context(|| unlike(server))
}

/// What to make of an answer that does not fit.
fn unlike(server: &str) -> String {
    format!(
        "{} answers, but not as a whyd {} does; is --server right, and is the daemon of this version?",
        clean(server),
        env!("CARGO_PKG_VERSION")
    )
}

/// Whether a shell takes the address as it stands.
fn is_plain(server: &str) -> bool {
    server.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '_'))
}

/// The answer to one question.
fn asked_of(
    args: &WhyArgs,
    what: &str,
    asked: &[(&str, Option<&String>)],
    token: Option<&str>,
) -> Result<(StatusCode, Vec<u8>)> {
    let url = query(&args.server, what, asked)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(url, &args.server, token))
}

/// The address of the question. A server may have a path of its own, as behind an ingress.
fn query(server: &str, what: &str, asked: &[(&str, Option<&String>)]) -> Result<Url> {
    let mut url = Url::parse(server)
        .ok()
        .filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
        .with_context(|| format!("--server {server:?} is no address, expected one like http://127.0.0.1:8080"))?;
    url.set_path(&format!("{}/api/v1/{what}", url.path().trim_end_matches('/')));
    url.set_query(None);
    for (name, value) in asked {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Ok(url)
}

/// What a header can carry as a token.
///
/// # Errors
/// That the token is none, by where it may come from and not by its text.
fn fit(token: Option<&str>) -> Result<Option<&str>> {
    let Some(token) = token.map(str::trim_end).filter(|token| !token.is_empty()) else { return Ok(None) };
    if Token::new(token).is_none() {
        bail!("the token (--token or WHYD_TOKEN) {}", token::UNFIT);
    }
    Ok(Some(token))
}

async fn ask(url: Url, server: &str, token: Option<&str>) -> Result<(StatusCode, Vec<u8>)> {
    let unreachable = || format!("no daemon answers at {}; start one, or say where it is with --server", clean(server));
    let client = client(&url, TIMEOUT)?;
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.with_context(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.with_context(unreachable)?;
    Ok((status, body.to_vec()))
}

/// The daemon's own words about why it has no verdict. Anything but an answer ends with exit code 1.
fn refused(status: StatusCode, body: &[u8], server: &str) -> Result<ExitCode> {
    let Ok(problem) = serde_json::from_slice::<ProblemDetails>(body) else {
        bail!("{} answers {status}, and not as a whyd does; is --server right?", clean(server));
    };
    let mut err = std::io::stderr().lock();
    writeln!(err, "whyd: {}", clean(&problem.detail))?;
    // Of a name that several namespaces have, the candidates are these.
    let option = if problem.kind.ends_with(":ambiguous-namespace") { "-n " } else { "" };
    for candidate in &problem.candidates {
        writeln!(err, "      {option}{}", clean(candidate))?;
    }
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use axum::Router;
    use axum::extract::RawQuery;

    use super::*;

    fn asked(server: &str, container: Option<&str>) -> Result<Url> {
        let [name, namespace] = ["cart 1&2", "team-shop"].map(str::to_owned);
        let container = container.map(str::to_owned);
        let pairs = [("pod", Some(&name)), ("namespace", Some(&namespace)), ("container", container.as_ref())];
        query(server, "why", &pairs)
    }

    #[test]
    fn the_question_is_encoded_and_keeps_the_servers_path() {
        let url = asked("http://h:1/whyd/", Some("c")).unwrap();
        assert_eq!(url.as_str(), "http://h:1/whyd/api/v1/why?pod=cart+1%262&namespace=team-shop&container=c");
    }

    #[test]
    fn a_token_that_no_header_carries_is_named_as_that() {
        assert_eq!(fit(None).unwrap(), None);
        assert_eq!(fit(Some("abc\n")).unwrap(), Some("abc"), "the end of a file is no part of it");
        assert_eq!(fit(Some("")).unwrap(), None, "an empty variable says nothing");
        for token in ["a\nb", "a b", "\u{e9}"] {
            let said = fit(Some(token)).unwrap_err().to_string();
            assert!(said.contains("--token or WHYD_TOKEN") && !said.contains(token), "{said}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for server in ["127.0.0.1:8080", "", "ftp://h", "http://"] {
            let error = asked(server, None).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--server {server:?} is no address")), "{error}");
        }
    }

    #[tokio::test]
    async fn plain_http_is_asked_without_a_crypto_provider() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .fallback(async |RawQuery(query): RawQuery| (StatusCode::NOT_FOUND, query.unwrap_or_default()));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await });
        let (status, body) = ask(asked(&server, None).unwrap(), &server, None).await.unwrap();
        assert_eq!((status, &*body), (StatusCode::NOT_FOUND, &b"pod=cart+1%262&namespace=team-shop"[..]));
        task.abort();
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_named_with_the_flag() {
        let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        let server = format!("http://{free}");
        let error = ask(asked(&server, None).unwrap(), &server, None).await.unwrap_err().to_string();
        assert_eq!(error, format!("no daemon answers at {server}; start one, or say where it is with --server"));
    }

    #[test]
    fn an_answer_of_something_else_is_told_so() {
        let error = refused(StatusCode::NOT_FOUND, b"<html>", "http://h").unwrap_err().to_string();
        assert_eq!(error, "http://h answers 404 Not Found, and not as a whyd does; is --server right?");
        let unlike = unlike("http://h");
        let version = format!("as a whyd {} does", env!("CARGO_PKG_VERSION"));
        assert!(unlike.contains(&version) && unlike.contains("is the daemon of this version?"), "{unlike}");
        let problem = br#"{"type":"t","title":"t","status":404,"detail":"no restart of it","instance":"/"}"#;
        let code = refused(StatusCode::NOT_FOUND, problem, "http://h").unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    }
}
