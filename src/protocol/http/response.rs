//! Response heads.

use std::borrow::Cow;
use std::io::Write as _;

use super::status::Status;

/// A status and header fields, to be sent. Fields go out in the order of their names, whatever order they were set in.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The result.
    pub status: Status,
    fields: Vec<(&'static str, Cow<'static, str>)>,
}

impl ResponseHead {
    /// A head without fields.
    pub fn new(status: Status) -> Self {
        ResponseHead {
            status,
            fields: Vec::new(),
        }
    }

    /// The head with a field; see [`ResponseHead::set`].
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a field, in place of an earlier one of that name.
    pub fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        let value = value.into();
        match self
            .fields
            .iter_mut()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
        {
            Some(field) => field.1 = value,
            None => self.fields.push((name, value)),
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_ref())
    }

    /// The bytes to send, with the empty line. Control characters are left out of values, so that no value can add a
    /// field.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        // Writing to a Vec cannot fail.
        let _ = write!(bytes, "HTTP/1.1 {} {}\r\n", self.status.code(), self.status.reason());
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in fields {
            let _ = write!(bytes, "{name}: ");
            bytes.extend(value.bytes().filter(|byte| !byte.is_ascii_control()));
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_the_order_of_their_names() {
        let head = ResponseHead::new(Status::OK)
            .with("Server", "s")
            .with("Content-Type", "x")
            .with("Connection", "Close")
            .with("content-type", "text/html");
        let expected = "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Type: text/html\r\nServer: s\r\n\r\n";
        assert_eq!(head.to_bytes(), expected.as_bytes());
        assert_eq!(head.get("SERVER"), Some("s"));
    }

    #[test]
    fn a_value_cannot_add_a_field() {
        let head = ResponseHead::new(Status::FOUND).with("Location", "/a\r\nSet-Cookie: b\n\n\u{7f}".to_owned());
        let bytes = head.to_bytes();
        assert_eq!(bytes, b"HTTP/1.1 302 Found\r\nLocation: /aSet-Cookie: b\r\n\r\n");
    }
}
