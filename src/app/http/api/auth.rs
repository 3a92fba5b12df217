//! Basic authentication (RFC 7617) for paths of the API, as `http_api.auth` says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::app::config::section::http_api::Credentials;
use crate::app::http::exchange::Exchange;
use crate::kernel::error::Result;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// What a path holds that is guarded, on every port.
const GUARDED: &str = "/api/";

/// Refuses a request that needs a password and does not bring it; gives whether it did. Yields.
///
/// # Errors
/// As [`Exchange::reply`].
pub fn refuse(exchange: &mut Exchange<'_, '_>) -> Result<bool> {
    let config = exchange.server.config();
    let Some(wanted) = &config.http_api.auth else {
        return Ok(false);
    };
    if !exchange.request.path.contains(GUARDED) {
        return Ok(false);
    }
    let verdict = check(exchange.request.headers.get("Authorization"), wanted);
    if verdict == Verdict::Welcome {
        return Ok(false);
    }
    log::warn!(
        "HTTP client {} is refused, it gave no valid user name and password",
        exchange.client
    );
    let mut head = ResponseHead::new(Status::UNAUTHORIZED);
    if verdict == Verdict::Unknown {
        head.set("WWW-Authenticate", "Basic");
    }
    exchange.close_afterwards();
    exchange.begin(head, None);
    exchange.end()?;
    Ok(true)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Welcome,
    /// No name, or not the right one.
    Unknown,
    /// Not in the form that was asked for.
    Malformed,
}

fn check(field: Option<&str>, wanted: &Credentials) -> Verdict {
    let Some(field) = field else {
        return Verdict::Unknown;
    };
    let Some((scheme, coded)) = field.split_once(' ') else {
        return Verdict::Malformed;
    };
    let (true, Ok(decoded)) = (scheme.eq_ignore_ascii_case("Basic"), STANDARD.decode(coded.trim())) else {
        return Verdict::Malformed;
    };
    let is_set = !wanted.username.is_empty() && !wanted.password.is_empty();
    let right = format!("{}:{}", wanted.username, wanted.password);
    match is_set && is_same(&decoded, right.as_bytes()) {
        true => Verdict::Welcome,
        false => Verdict::Unknown,
    }
}

/// Compares in a time that tells nothing but the length.
fn is_same(given: &[u8], right: &[u8]) -> bool {
    let differing = given.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == right.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(field: &str) -> Verdict {
        let wanted = Credentials {
            username: "admin".into(),
            password: "a:b".into(),
        };
        check(Some(field), &wanted)
    }

    #[test]
    fn name_and_password_open_the_door() {
        assert_eq!(verdict("Basic YWRtaW46YTpi"), Verdict::Welcome);
        assert_eq!(verdict("basic  YWRtaW46YTpi "), Verdict::Welcome);
        for wrong in ["Basic YWRtaW46YTpj", "Basic YWRtaW46YTo=", "Basic ", "Basic Og=="] {
            assert_eq!(verdict(wrong), Verdict::Unknown, "{wrong}");
        }
        for broken in [
            "",
            "Basic",
            "YWRtaW46YTpi",
            "Bearer YWRtaW46YTpi",
            "Basic %%%",
            "Basic YWR",
        ] {
            assert_eq!(verdict(broken), Verdict::Malformed, "{broken}");
        }
    }

    #[test]
    fn an_empty_password_is_nobodys() {
        let nobody = Credentials {
            username: String::new(),
            password: String::new(),
        };
        assert_eq!(check(Some("Basic Og=="), &nobody), Verdict::Unknown);
        assert_eq!(check(None, &nobody), Verdict::Unknown);
    }
}
