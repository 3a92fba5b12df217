//! Where servers listen, and which certificate they show.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::app::config::Endpoint;
use crate::app::config::scope::Scope;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// A `listen` directive as it was written: only an enabled server has to make sense of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// The directive's path, for messages.
    directive: &'static str,
    /// Its words, at least one.
    pub texts: Vec<String>,
}

impl Listen {
    pub(crate) fn read(scope: &Scope<'_>, directive: &'static str) -> Self {
        Listen {
            directive,
            texts: scope.texts_or_default("listen"),
        }
    }

    /// The first word.
    pub fn first(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// The addresses to listen at, each once.
    ///
    /// # Errors
    /// [`ErrorCode::SocketBind`] for what is no address or a port above 65535.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for text in &self.texts {
            let endpoint = Endpoint::parse(text)
                .map_err(|cause| Error::new(ErrorCode::SocketBind, format!("{} {text}: {cause}", self.directive)))?;
            let address = endpoint.socket_addr().map_err(|error| error.wrap(self.directive))?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

/// A certificate and its key, as files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyFiles {
    /// The block that names them, for messages.
    pub block: &'static str,
    /// `key`: the private key, PEM.
    pub key: PathBuf,
    /// `cert`: the certificate and those that lead to a known authority, PEM.
    pub cert: PathBuf,
    /// Whether clients get tickets to come back with.
    pub resumable: bool,
}

/// A server behind TLS: `http_server.https`, `http_api.https` or `rtmps`.
#[derive(Clone, Debug, PartialEq)]
pub struct SecureListen {
    /// Whether it runs.
    pub enabled: bool,
    /// `listen`: where.
    pub listen: Listen,
    /// Who it says to be.
    pub files: KeyFiles,
}

impl SecureListen {
    /// Reads the block at the path `block`, whose `listen` is at the path `listen`.
    pub(crate) fn read(scope: &Scope<'_>, block: &'static str, listen: &'static str) -> Self {
        SecureListen {
            enabled: scope.flag("enabled"),
            listen: Listen::read(scope, listen),
            files: KeyFiles {
                block,
                key: scope.text("key").into(),
                cert: scope.text("cert").into(),
                resumable: true,
            },
        }
    }
}
