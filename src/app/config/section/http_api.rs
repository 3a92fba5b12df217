//! The HTTP API.

use std::fmt;
use std::net::SocketAddr;

use crate::app::config::Endpoint;
use crate::app::config::scope::Scope;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The `http_api` block.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpApi {
    /// Whether it runs.
    pub enabled: bool,
    /// `listen`: where, as it was written; only an enabled API has to make sense of it.
    pub listen: String,
    /// `crossdomain`: without effect, but told by the raw API; `http_server.crossdomain` counts.
    pub crossdomain: bool,
    /// `raw_api.enabled`: whether `/api/v1/raw` takes orders.
    pub raw_api: bool,
    /// `raw_api.allow_reload`: whether a reload is one of them.
    pub allow_reload: bool,
    /// `auth`: who may ask; `None` when everybody may.
    pub auth: Option<Credentials>,
}

/// A name and a password.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// The password is nothing for a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", self.username)
    }
}

impl HttpApi {
    pub(crate) fn read(api: &Scope<'_>) -> Self {
        let (raw_api, auth) = (api.section("raw_api"), api.section("auth"));
        HttpApi {
            enabled: api.flag("enabled"),
            listen: api.text("listen"),
            crossdomain: api.flag("crossdomain"),
            raw_api: raw_api.flag("enabled"),
            allow_reload: raw_api.flag("allow_reload"),
            auth: auth.flag("enabled").then(|| Credentials {
                username: auth.text("username"),
                password: auth.text("password"),
            }),
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
                format!("http_api.listen {}: {cause}", self.listen),
            )
        })?;
        endpoint.socket_addr().map_err(|error| error.wrap("http_api.listen"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let secret = Credentials {
            username: "admin".into(),
            password: "hunter2".into(),
        };
        assert_eq!(format!("{secret:?}"), "Credentials(\"admin\")");
    }
}
