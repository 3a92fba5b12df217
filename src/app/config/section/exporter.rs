//! The exporter of metrics.

use std::net::SocketAddr;

use crate::app::config::Endpoint;
use crate::app::config::scope::Scope;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The `exporter` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Exporter {
    /// Whether there are metrics, here and at the HTTP API.
    pub enabled: bool,
    /// `listen`: where, as it was written; only an enabled exporter has to make sense of it.
    pub listen: String,
    /// `label`: told with the build; empty is not told.
    pub label: String,
    /// `tag`: told with the build; empty is not told.
    pub tag: String,
}

impl Exporter {
    pub(crate) fn read(exporter: &Scope<'_>) -> Self {
        Exporter {
            enabled: exporter.flag("enabled"),
            listen: exporter.text("listen"),
            label: exporter.text("label"),
            tag: exporter.text("tag"),
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
                format!("exporter.listen {}: {cause}", self.listen),
            )
        })?;
        endpoint.socket_addr().map_err(|error| error.wrap("exporter.listen"))
    }
}
