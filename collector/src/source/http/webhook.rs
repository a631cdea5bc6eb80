//! `POST /api/v1/alerts/webhook`: where a `webhook_config` of an Alertmanager points to.
//!
//! 200 when what is worth keeping is durable; 400, 401, 413, 415 and 503 as elsewhere. An Alertmanager sends again after
//! 5xx alone and counts any other failure against us, so alerts that are dropped one by one are no failure: our own ones
//! are dropped each time we are told of them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use whyd_signals::Media;

use super::{Receivers, answer, line, media, reasons};
use crate::Reply;

pub(super) async fn alerts(State(receivers): State<Receivers>, request: Request) -> Response {
    let media = media::of_webhook(request.headers()).map(|()| (Media::AlertmanagerWebhook, false));
    match receivers.take(request, media).await {
        Ok(Reply::Stored(written)) => line(StatusCode::OK, &format!("{} alerts stored", written.rows)),
        Ok(Reply::Partial { written, refused, .. }) => {
            line(StatusCode::OK, &format!("{} alerts stored, refused: {}", written.rows, reasons(&refused)))
        }
        outcome => answer(outcome, "alerts"),
    }
}
