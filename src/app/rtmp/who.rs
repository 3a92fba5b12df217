//! Who we are, as RTMP peers are told.

use crate::app::cli;
use crate::app::stream::Stream;
use crate::core::id::ContextId;
use crate::protocol::amf0::Object;
use crate::protocol::rtmp::server::Identity;

const SIGNATURE: &str = "SRS";
const LICENSE: &str = "MIT";
const URL: &str = "https://github.com/ossrs/srs";

/// This end of a connection.
pub(super) struct Who {
    ip: String,
    id: ContextId,
}

impl Who {
    /// The running coroutine's end of `stream`.
    pub fn on(stream: &Stream) -> Self {
        let address = stream.local_addr();
        Who {
            ip: address.map(|address| address.ip().to_string()).unwrap_or_default(),
            id: ContextId::current(),
        }
    }

    /// What clients are told.
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            signature: SIGNATURE,
            server: cli::SIGNATURE,
            license: LICENSE,
            url: URL,
            version: cli::VERSION,
            authors: "srs-may",
            ip: &self.ip,
            pid: std::process::id(),
            id: self.id.as_str(),
        }
    }

    /// What servers are told in the arguments of `connect`, as SRS names it.
    pub fn args(&self) -> Object {
        Object::new()
            .with("srs_sig", SIGNATURE)
            .with("srs_server", cli::SIGNATURE)
            .with("srs_license", LICENSE)
            .with("srs_url", URL)
            .with("srs_version", cli::VERSION)
            .with("srs_pid", f64::from(std::process::id()))
            .with("srs_id", self.id.as_str())
            .with("srs_server_ip", self.ip.as_str())
    }
}
