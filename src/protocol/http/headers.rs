//! Header fields of a message that was received (RFC 9110 section 5).

/// Fields in the order of the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a field.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Takes out all fields of a name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    }

    /// The first value of a name, in any case of its letters.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let fitting = move |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.0.iter().filter(fitting).map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated field holds this word, in any case of its letters.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(token))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tokens_are_found_in_any_case() {
        let mut headers = Headers::default();
        headers.push("Connection", "keep-alive, Upgrade");
        headers.push("CONNECTION", "x");
        assert_eq!(headers.get("connection"), Some("keep-alive, Upgrade"));
        assert!(headers.has_token("connection", "upgrade") && headers.has_token("connection", "X"));
        assert!(!headers.has_token("connection", "keep"));
        assert_eq!(headers.all("Connection").count(), 2);
    }
}
