//! Which addresses may play or publish on a vhost.

use std::net::IpAddr;

use crate::app::config::network::Network;
use crate::app::config::scope::Scope;
use crate::app::config::syntax::Directive;

/// The `security` block of a vhost. Deny rules are looked at first; see `docs/vhosts.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Security {
    /// Whether rules are looked at.
    pub enabled: bool,
    /// The `allow` lines, in order.
    pub allow: Vec<Rule>,
    /// The `deny` lines, in order.
    pub deny: Vec<Rule>,
}

/// One `allow` or `deny` line.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What the client wants to do; `None` for a word that is neither, which matches nobody.
    pub action: Option<Action>,
    /// Where the client is; `None` for a word that is no address, which matches nobody.
    pub from: Option<From>,
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Receive a stream.
    Play,
    /// Send a stream.
    Publish,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Anywhere.
    All,
    /// At one address, or in a network.
    Network(Network),
}

impl Rule {
    /// Reads the two words of a rule.
    pub fn parse(action: &str, from: &str) -> Self {
        let action = match action {
            "play" => Some(Action::Play),
            "publish" => Some(Action::Publish),
            _ => None,
        };
        Rule {
            action,
            from: From::parse(from),
        }
    }

    /// Whether the rule speaks of a client that wants to do this from there.
    pub fn matches(&self, action: Action, client: IpAddr) -> bool {
        self.action == Some(action) && self.from.is_some_and(|from| from.contains(client))
    }

    fn of(directive: &Directive) -> Self {
        let word = |index: usize| directive.args.get(index).map_or("", |word| word.text.as_str());
        Rule::parse(word(0), word(1))
    }
}

impl From {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(From::All),
            _ => Network::parse(text).map(From::Network),
        }
    }

    fn contains(self, client: IpAddr) -> bool {
        match self {
            From::All => true,
            From::Network(network) => network.contains(client),
        }
    }
}

impl Security {
    pub(crate) fn read(security: &Scope<'_>) -> Self {
        Security {
            enabled: security.flag("enabled"),
            allow: security.every("allow").map(Rule::of).collect(),
            deny: security.every("deny").map(Rule::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_by_action_and_address() {
        let client = |text: &str| text.parse::<IpAddr>().unwrap();
        let cases = [
            ("play", "all", "192.0.2.1", true),
            ("play", "192.0.2.1", "192.0.2.1", true),
            ("play", "192.0.2.1", "::ffff:192.0.2.1", true),
            ("play", "192.0.2.1", "192.0.2.2", false),
            ("play", "192.0.2.0/24", "192.0.2.77", true),
            ("play", "192.0.2.0/24", "192.0.3.77", false),
            ("play", "0.0.0.0/0", "203.0.113.9", true),
            ("play", "192.0.2.1/32", "192.0.2.1", true),
            ("play", "192.0.2.1/32", "192.0.2.0", false),
            ("play", "192.0.2.0/33", "192.0.2.0", false),
            ("play", "2001:db8::1", "2001:db8::1", true),
            ("play", "nonsense", "192.0.2.1", false),
            ("watch", "all", "192.0.2.1", false),
            ("publish", "all", "192.0.2.1", false),
        ];
        for (action, from, ip, expected) in cases {
            let rule = Rule::parse(action, from);
            assert_eq!(rule.matches(Action::Play, client(ip)), expected, "{action} {from} {ip}");
        }
    }
}
