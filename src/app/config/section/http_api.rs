//! The HTTP API.

use std::fmt;

use super::http_server::HttpServer;
use super::listen::{Listen, SecureListen};
use crate::app::config::scope::Scope;

/// The `http_api` block.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpApi {
    /// Whether it runs.
    pub enabled: bool,
    /// `listen`: where.
    pub listen: Listen,
    /// `crossdomain`: without effect, but told by the raw API; `http_server.crossdomain` counts.
    pub crossdomain: bool,
    /// `raw_api.enabled`: whether `/api/v1/raw` takes orders.
    pub raw_api: bool,
    /// `raw_api.allow_reload`: whether a reload is one of them.
    pub allow_reload: bool,
    /// `auth`: who may ask; `None` when everybody may.
    pub auth: Option<Credentials>,
    /// `https`: the same behind TLS.
    pub https: SecureListen,
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
    pub(crate) fn read(api: &Scope<'_>, media: &HttpServer) -> Self {
        let (raw_api, auth, https) = (api.section("raw_api"), api.section("auth"), api.section("https"));
        let listen = Listen::read(api, "http_api.listen");
        let mut secure = SecureListen::read(&https, "http_api.https", "http_api.https.listen");
        if listen.texts == media.listen.texts && https.given("listen").is_none() {
            // One plain port means one of TLS too.
            secure.listen = media.https.listen.clone();
        }
        HttpApi {
            enabled: api.flag("enabled"),
            listen,
            crossdomain: api.flag("crossdomain"),
            raw_api: raw_api.flag("enabled"),
            allow_reload: raw_api.flag("allow_reload"),
            auth: auth.flag("enabled").then(|| Credentials {
                username: auth.text("username"),
                password: auth.text("password"),
            }),
            https: secure,
        }
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
