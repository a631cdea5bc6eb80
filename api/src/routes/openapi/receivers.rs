//! What senders use, in the document: the bodies are those of other protocols, which are specified elsewhere, so of these only types and
//! answers are told. Their routes are the collector's and, of what Alertmanager's clients read, [`crate::alertmanager`]'s.

use utoipa::Modify;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Object, OpenApi, Required, Type};

/// Of a token that only sends.
const SENDERS: &str = "senders";

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// A way in.
struct Receiver {
    path: &'static str,
    id: &'static str,
    what: &'static str,
    /// Types of bodies.
    takes: &'static [&'static str],
    /// What it answers where it took something, and where not all: each a status and what it says.
    stored: &'static [(&'static str, &'static str)],
}

const ON_DISK: (&str, &str) = ("204", "all of it is on disk");
const IN_PART: (&str, &str) =
    ("400", "it cannot be read, or some rows of it are refused and the others stored: not to be sent again");
const WRITTEN: &[(&str, &str)] = &[ON_DISK, ("202", "they are samples of a replica whose twin's are stored"), IN_PART];
const STORED: &[(&str, &str)] = &[ON_DISK, IN_PART];
const COUNTED: &[(&str, &str)] =
    &[("200", "it is on disk, but for what the answer counts as refused"), ("400", "it cannot be read")];

const RECEIVERS: [Receiver; 5] = [
    Receiver {
        path: "/api/v1/write",
        id: "remote_write",
        what: "Prometheus remote write 1.0 and 2.0, compressed by snappy or zstd",
        takes: &[PROTOBUF],
        stored: WRITTEN,
    },
    Receiver {
        path: "/loki/api/v1/push",
        id: "loki_push",
        what: "Loki's push: JSON, or protobuf compressed by snappy",
        takes: &[JSON, PROTOBUF],
        stored: STORED,
    },
    Receiver {
        path: "/otlp/v1/metrics",
        id: "otlp_metrics",
        what: "OTLP metrics",
        takes: &[PROTOBUF, JSON],
        stored: COUNTED,
    },
    Receiver { path: "/otlp/v1/logs", id: "otlp_logs", what: "OTLP logs", takes: &[PROTOBUF, JSON], stored: COUNTED },
    Receiver {
        path: "/api/v1/alerts/webhook",
        id: "alerts_webhook",
        what: "notifications of an Alertmanager's webhook receiver",
        takes: &[JSON],
        stored: COUNTED,
    },
];

/// What every receiver answers besides.
const REFUSALS: [(&str, &str); 5] = [
    ("401", "the token of senders is missing or wrong"),
    ("413", "it is larger than is taken"),
    ("415", "it is of another type or compression than is taken"),
    ("429", "all of it are new series or streams of a team that has its share"),
    ("503", "nothing of it is stored: send it again after the time in `Retry-After`"),
];

/// What clients of an Alertmanager read; the answers are as its API v2 specifies them.
const READ: [(&str, &str, &str); 7] = [
    ("/alertmanager/api/v2/status", "alertmanager_status", "what Alertmanager's clients ask first"),
    ("/alertmanager/api/v2/receivers", "alertmanager_receivers", "who would be notified"),
    ("/alertmanager/api/v2/alerts", "alertmanager_alerts", "the open incidents as alerts"),
    ("/alertmanager/api/v2/alerts/groups", "alertmanager_groups", "the same in groups"),
    ("/alertmanager/api/v2/silences", "alertmanager_silences", "the suppressions of the configuration, as silences"),
    ("/alertmanager/api/v2/silence/{id}", "alertmanager_silence", "one suppression, as a silence"),
    ("/alertmanager/metrics", "alertmanager_metrics", "what Grafana tells the kind of an Alertmanager by"),
];

pub(super) struct Receivers;

impl Modify for Receivers {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme(SENDERS, scheme);
        for receiver in RECEIVERS {
            document.paths.add_path_operation(receiver.path, vec![HttpMethod::Post], receiver.operation());
        }
        for (path, id, what) in READ {
            let read = described("alertmanager", id, what).response("200", said(what));
            let mut read = read.response("401", said("no valid token"));
            if path.ends_with("{id}") {
                let id = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
                let id = id.schema(Some(Object::with_type(Type::String)));
                read = read.parameter(id).response("404", said("there is none of this id"));
            }
            document.paths.add_path_operation(path, vec![HttpMethod::Get], read.build());
        }
        let ready = described("senders", "ready", "whether senders may send, as Loki's agents ask")
            .response("200", said("they may"))
            .response("503", said("not yet, or not now"));
        document.paths.add_path_operation("/ready", vec![HttpMethod::Get], ready.build());
    }
}

impl Receiver {
    fn operation(&self) -> Operation {
        let body = self.takes.iter().fold(RequestBodyBuilder::new().description(Some(self.what)), |body, media| {
            body.content(*media, ContentBuilder::new().build())
        });
        let answers = self
            .stored
            .iter()
            .chain(&REFUSALS)
            .fold(described("senders", self.id, self.what), |operation, (status, what)| {
                operation.response(*status, said(what))
            });
        answers
            .request_body(Some(body.build()))
            .securities(Some([SecurityRequirement::default(), SecurityRequirement::new(SENDERS, [] as [&str; 0])]))
            .build()
    }
}

fn described(tag: &str, id: &str, what: &str) -> OperationBuilder {
    OperationBuilder::new().tag(tag).operation_id(Some(id)).summary(Some(what))
}

fn said(what: &str) -> utoipa::openapi::Response {
    ResponseBuilder::new().description(what).build()
}
