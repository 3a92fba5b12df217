//! The HTTP server for media and files.

use std::path::PathBuf;

use super::listen::{Listen, SecureListen};
use crate::app::config::scope::Scope;

/// The `http_server` block.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpServer {
    /// Whether it runs.
    pub enabled: bool,
    /// `listen`: where.
    pub listen: Listen,
    /// `dir`: the folder behind `/`, from the working folder.
    pub dir: PathBuf,
    /// `crossdomain`: whether web pages of other sites may ask, here and at the API.
    pub crossdomain: bool,
    /// `https`: the same behind TLS.
    pub https: SecureListen,
}

impl HttpServer {
    pub(crate) fn read(server: &Scope<'_>) -> Self {
        HttpServer {
            enabled: server.flag("enabled"),
            listen: Listen::read(server, "http_server.listen"),
            dir: server.text("dir").into(),
            crossdomain: server.flag("crossdomain"),
            https: SecureListen::read(
                &server.section("https"),
                "http_server.https",
                "http_server.https.listen",
            ),
        }
    }
}
