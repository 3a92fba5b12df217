//! The form of answers: the envelope around the payload, numbers as SRS writes them, JSONP.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// What an answer begins with.
#[derive(Serialize)]
pub struct Envelope<'a, T> {
    /// 0.
    pub code: u16,
    /// The server's id over restarts.
    pub server: &'a str,
    /// The id of this run.
    pub service: &'a str,
    /// The process id, as text.
    pub pid: &'a str,
    /// One member or more.
    #[serde(flatten)]
    pub payload: T,
}

/// The payload of most answers.
#[derive(Serialize)]
pub struct Data<T> {
    /// The content.
    pub data: T,
}

/// No payload.
#[derive(Serialize)]
pub struct Nothing {}

/// An answer that is its code alone, as errors are.
#[derive(Serialize)]
pub struct Bare {
    /// A number of the error codes.
    pub code: u16,
}

/// Compact, and each decimal number with two decimals.
struct TwoDecimals;

impl Formatter for TwoDecimals {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:.2}")
    }
}

/// A value as JSON text.
pub fn to_bytes(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, TwoDecimals))?;
    Ok(bytes)
}

/// Whether a text can be nothing but a function's name, with dots for those inside objects.
pub fn is_function_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_keeps_its_order_and_decimals() {
        #[derive(Serialize)]
        struct Payload {
            b: f64,
            a: i64,
            c: Option<u8>,
        }
        let payload = Data {
            data: Payload {
                b: 1.0 / 3.0,
                a: -1,
                c: None,
            },
        };
        let envelope = Envelope {
            code: 0,
            server: "vid-1",
            service: "s\"",
            pid: "7",
            payload,
        };
        assert_eq!(
            to_bytes(&envelope).unwrap(),
            br#"{"code":0,"server":"vid-1","service":"s\"","pid":"7","data":{"b":0.33,"a":-1,"c":null}}"#
        );
        let empty = Envelope {
            payload: Nothing {},
            code: 0,
            server: "",
            service: "",
            pid: "",
        };
        assert_eq!(
            to_bytes(&empty).unwrap(),
            br#"{"code":0,"server":"","service":"","pid":""}"#
        );
    }

    #[test]
    fn function_names_hold_no_code() {
        assert!(is_function_name("jQuery.cb_1-2"));
        for bad in ["a(", "a;b", "a b", "<script>", "a\n", "ü", "a/*"] {
            assert!(!is_function_name(bad), "{bad}");
        }
    }
}
