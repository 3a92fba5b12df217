//! The HTTP server for media and files.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::app::config::Endpoint;
use crate::app::config::scope::Scope;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The `http_server` block.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpServer {
    /// Whether it runs.
    pub enabled: bool,
    /// `listen`: where, as it was written; only an enabled server has to make sense of it.
    pub listen: String,
    /// `dir`: the folder behind `/`, from the working folder.
    pub dir: PathBuf,
    /// `crossdomain`: whether web pages of other sites may ask, here and at the API.
    pub crossdomain: bool,
}

impl HttpServer {
    pub(crate) fn read(server: &Scope<'_>) -> Self {
        HttpServer {
            enabled: server.flag("enabled"),
            listen: server.text("listen"),
            dir: server.text("dir").into(),
            crossdomain: server.flag("crossdomain"),
        }
    }

    /// The address to listen at.
    ///
    /// # Errors
    /// [`ErrorCode::SocketBind`] for what is no address or a port above 65535.
    pub fn socket_addr(&self) -> Result<SocketAddr> {
        let endpoint = Endpoint::parse(&self.listen).map_err(|cause| {
            Error::new(
                ErrorCode::SocketBind,
                format!("http_server.listen {}: {cause}", self.listen),
            )
        })?;
        endpoint.socket_addr().map_err(|error| error.wrap("http_server.listen"))
    }
}
