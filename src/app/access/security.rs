//! Whether a client may, by its address: the `security` block of a vhost.

use std::net::IpAddr;

use crate::app::config::section::security::{Action, Security};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// Checks what a client wants to do: nothing that is denied, and what is allowed. Rules that only deny allow the rest;
/// an enabled block without rules allows nothing.
///
/// # Errors
/// [`ErrorCode::SecurityDeny`], [`ErrorCode::SecurityAllow`].
pub fn check(rules: &Security, action: Action, client: IpAddr) -> Result<()> {
    if !rules.enabled {
        return Ok(());
    }
    if rules.deny.iter().any(|rule| rule.matches(action, client)) {
        let text = format!("security: a rule denies {client} this");
        return Err(Error::new(ErrorCode::SecurityDeny, text));
    }
    let is_allowed = rules.allow.iter().any(|rule| rule.matches(action, client));
    let only_denies = rules.allow.is_empty() && !rules.deny.is_empty();
    if is_allowed || only_denies {
        return Ok(());
    }
    let text = format!("security: no rule allows {client} this");
    Err(Error::new(ErrorCode::SecurityAllow, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::section::security::Rule;

    #[test]
    fn what_is_denied_goes_before_what_is_allowed() {
        let rules = |texts: &[&str]| texts.iter().map(|from| Rule::parse("play", from)).collect::<Vec<_>>();
        let verdict = |enabled, allow: &[&str], deny: &[&str]| {
            let rules = Security {
                enabled,
                allow: rules(allow),
                deny: rules(deny),
            };
            check(&rules, Action::Play, [192, 0, 2, 1].into()).map_err(|error| error.code())
        };
        let (denied, not_allowed) = (Err(ErrorCode::SecurityDeny), Err(ErrorCode::SecurityAllow));
        assert_eq!(verdict(false, &[], &["all"]), Ok(()));
        assert_eq!(verdict(true, &[], &[]), not_allowed);
        assert_eq!(verdict(true, &["all"], &["192.0.2.0/24"]), denied);
        assert_eq!(verdict(true, &["192.0.2.1"], &["192.0.2.2"]), Ok(()));
        assert_eq!(verdict(true, &["192.0.2.3"], &["192.0.2.2"]), not_allowed);
        assert_eq!(verdict(true, &[], &["192.0.2.2"]), Ok(()));
    }
}
