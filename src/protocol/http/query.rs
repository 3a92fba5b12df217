//! The query of a URL: `name=value` pairs.

use super::percent;

/// What stands behind the `?`, without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// A query as it stands in a URL.
    pub fn new(raw: impl Into<String>) -> Self {
        Query(raw.into())
    }

    /// The text as the peer sent it.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of a name, decoded; empty for a name without `=`. A `+` stays one, as in tokens of base64.
    pub fn get(&self, name: &str) -> Option<String> {
        self.pairs().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// All pairs in their order, decoded; a broken escape stays as it is.
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }
}

fn decode(text: &str) -> String {
    match percent::decode(text) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name() {
        let query = Query::new("a=1&&b=%41+B&a=2&c&=x&d=%&e==&%66=g");
        let get = |name| query.get(name);
        assert_eq!(get("a").as_deref(), Some("1"));
        assert_eq!(get("b").as_deref(), Some("A+B"));
        assert_eq!(get("c").as_deref(), Some(""));
        assert_eq!(get("d").as_deref(), Some("%"));
        assert_eq!(get("e").as_deref(), Some("="));
        assert_eq!(get("f").as_deref(), Some("g"));
        assert_eq!(get("x"), None);
        assert!(!query.is_empty() && Query::default().is_empty());
    }
}
