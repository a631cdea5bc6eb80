//! The section `otlp`.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Errors;

/// The ports of the protocol.
const GRPC: u16 = 4317;
const HTTP: u16 = 4318;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct OtlpFile {
    /// Where OTLP over gRPC is received, or `none`. Default: port 4317 at the address of `listen.http`.
    grpc: Option<String>,
    /// Where OTLP over HTTP is received besides `listen.http`, or `none`. Default: port 4318 at the address of
    /// `listen.http`.
    http: Option<String>,
}

/// The listeners for OTLP alone.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct OtlpConfig {
    pub grpc: Port,
    pub http: Port,
}

impl OtlpConfig {
    /// No listeners.
    pub const OFF: Self = Self { grpc: Port::Off, http: Port::Off };
}

/// Where to listen besides the main listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Nowhere.
    Off,
    /// At this port of the main listener's address. Nobody asked for it, so it may be another's.
    Usual(u16),
    /// Here.
    At(SocketAddr),
}

impl Port {
    /// The address, beside a main listener at `main`: where that takes any free port, this does too.
    pub fn address(self, main: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::Usual(port) => Some(SocketAddr::new(main.ip(), if main.port() == 0 { 0 } else { port })),
            Self::At(address) => Some(address),
        }
    }
}

impl Errors {
    pub(super) fn otlp(&mut self, file: &OtlpFile) -> OtlpConfig {
        let mut port = |key: &str, text: &Option<String>, usual: u16| match text.as_deref() {
            None => Port::Usual(usual),
            Some("none") => Port::Off,
            Some(text) if text.parse::<SocketAddr>().is_err() => {
                self.told
                    .push(format!("{key}: {text:?} is not an address, write for instance 0.0.0.0:{usual}, or none"));
                Port::Off
            }
            Some(text) => Port::At(self.address(key, text)),
        };
        OtlpConfig { grpc: port("otlp.grpc", &file.grpc, GRPC), http: port("otlp.http", &file.http, HTTP) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConfigFile;
    use super::*;

    #[test]
    fn ports_are_usual_given_or_off() {
        let main: SocketAddr = SocketAddr::from(([10, 0, 0, 1], 8080));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let otlp = ConfigFile::parse("").unwrap().validate().unwrap().otlp;
        assert_eq!(otlp.grpc.address(main), Some(SocketAddr::from(([10, 0, 0, 1], 4317))));
        assert_eq!(otlp.http.address(main), Some(SocketAddr::from(([10, 0, 0, 1], 4318))));
        assert_eq!(otlp.http.address(any), Some(any));
        let file = "otlp: {grpc: none, http: \"127.0.0.1:14318\"}\n";
        let otlp = ConfigFile::parse(file).unwrap().validate().unwrap().otlp;
        assert_eq!(otlp.grpc.address(main), None);
        assert_eq!(otlp.http.address(any), Some(SocketAddr::from(([127, 0, 0, 1], 14318))));
        let wrong = ConfigFile::parse("otlp: {grpc: nowhere}\n").unwrap().validate().unwrap_err();
        assert!(wrong.iter().any(|w| w.starts_with("otlp.grpc: ")), "{wrong:?}");
    }
}
