//! Writing AMF0 values.

use super::value::{Object, Value};
use super::{OBJECT_END, marker};
use crate::kernel::buf::Put;

impl Value {
    /// Appends the value, marker first.
    ///
    /// Every value can be written: a name or class over 65535 bytes is cut at the last whole character that fits, as
    /// no field could tell its length (a string of that size takes the long form, and is cut at 4 GiB).
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Number(number) => {
                out.put_u8(marker::NUMBER);
                out.put_f64(*number);
            }
            Value::Boolean(flag) => {
                out.put_u8(marker::BOOLEAN);
                out.put_u8(u8::from(*flag));
            }
            Value::String(text) => put_string(out, text),
            Value::Object(object) => {
                out.put_u8(marker::OBJECT);
                put_properties(out, object);
            }
            Value::Null => out.put_u8(marker::NULL),
            Value::Undefined => out.put_u8(marker::UNDEFINED),
            Value::Reference(index) => {
                out.put_u8(marker::REFERENCE);
                out.put_u16(*index);
            }
            Value::EcmaArray(object) => {
                out.put_u8(marker::ECMA_ARRAY);
                out.put_u32(count(object.len()));
                put_properties(out, object);
            }
            Value::StrictArray(values) => {
                let count = count(values.len());
                out.put_u8(marker::STRICT_ARRAY);
                out.put_u32(count);
                for value in values.iter().take(count as usize) {
                    value.write(out);
                }
            }
            Value::Date { millis, zone } => {
                out.put_u8(marker::DATE);
                out.put_f64(*millis);
                out.put_slice(&zone.to_be_bytes());
            }
            Value::Unsupported => out.put_u8(marker::UNSUPPORTED),
            Value::XmlDocument(text) => {
                out.put_u8(marker::XML_DOCUMENT);
                put_long_text(out, text);
            }
            Value::TypedObject { class, object } => {
                out.put_u8(marker::TYPED_OBJECT);
                put_text(out, class);
                put_properties(out, object);
            }
        }
    }
}

/// A 32-bit count; what does not fit is saturated.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    if text.len() <= usize::from(u16::MAX) {
        out.put_u8(marker::STRING);
        put_text(out, text);
    } else {
        out.put_u8(marker::LONG_STRING);
        put_long_text(out, text);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = cut(text, usize::from(u16::MAX));
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

fn put_long_text(out: &mut Vec<u8>, text: &str) {
    let bytes = cut(text, u32::MAX as usize);
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

/// The whole characters of `text` that fit in `limit` bytes.
fn cut(text: &str, limit: usize) -> &[u8] {
    let mut length = text.len().min(limit);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    &text.as_bytes()[..length]
}

fn put_properties(out: &mut Vec<u8>, object: &Object) {
    for (name, value) in object.iter() {
        put_text(out, name);
        value.write(out);
    }
    out.put_slice(&OBJECT_END);
}

#[cfg(test)]
mod tests {
    use super::super::read_all;
    use super::*;

    fn written(value: impl Into<Value>) -> Vec<u8> {
        let mut out = Vec::new();
        value.into().write(&mut out);
        out
    }

    #[test]
    fn each_kind_has_its_bytes() {
        assert_eq!(written(1.0), [0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(written(true), [1, 1]);
        assert_eq!(written("ab"), [2, 0, 2, b'a', b'b']);
        assert_eq!(written(Value::Null), [5]);
        assert_eq!(written(Value::Undefined), [6]);
        assert_eq!(written(Value::Reference(0x0102)), [7, 1, 2]);
        assert_eq!(written(Value::Unsupported), [13]);
        assert_eq!(
            written(Object::new().with("k", Value::Null)),
            [3, 0, 1, b'k', 5, 0, 0, 9]
        );
        let ecma = Value::EcmaArray(Object::new().with("k", false));
        assert_eq!(written(ecma), [8, 0, 0, 0, 1, 0, 1, b'k', 1, 0, 0, 0, 9]);
        let strict = Value::StrictArray(vec![Value::Null, Value::Undefined]);
        assert_eq!(written(strict), [10, 0, 0, 0, 2, 5, 6]);
        let date = Value::Date { millis: 0.0, zone: -1 };
        assert_eq!(written(date), [11, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(written(Value::XmlDocument("x".into())), [15, 0, 0, 0, 1, b'x']);
        let typed = Value::TypedObject {
            class: "C".into(),
            object: Object::new(),
        };
        assert_eq!(written(typed), [16, 0, 1, b'C', 0, 0, 9]);
    }

    #[test]
    fn the_length_picks_the_string_form() {
        let short = written("s".repeat(65_535));
        assert_eq!(short[..3], [2, 0xff, 0xff]);
        let long = written("s".repeat(65_536));
        assert_eq!(long[..5], [12, 0, 1, 0, 0]);
        assert_eq!(read_all(&long, 1).unwrap(), ["s".repeat(65_536).into()]);
    }

    #[test]
    fn a_name_too_long_is_cut_between_characters() {
        let bytes = written(Object::new().with("é".repeat(40_000), 1.0));
        let values = read_all(&bytes, 1).unwrap();
        let name = values[0].as_object().unwrap().iter().next().unwrap().0.to_owned();
        assert_eq!(name, "é".repeat(32_767));
    }
}
