//! Reading AMF0 values from a peer.

use super::value::{Object, Value};
use super::{OBJECT_END, marker};
use crate::core::limits::{AMF_DEPTH, AMF_VALUES};
use crate::kernel::buf::Reader;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

impl Value {
    /// Reads one value, with all that it holds.
    ///
    /// The count of an ECMA array is a hint that senders get wrong; its properties end at the object-end marker. The
    /// end of the input also ends an object or ECMA array between two properties, as some encoders leave out the
    /// marker of the last one.
    ///
    /// # Errors
    /// The reader's code if bytes are missing, [`ErrorCode::Amf0Invalid`] for a marker that AMF0 reserves or that
    /// begins AMF3, [`ErrorCode::Amf0Decode`] for nesting over [`AMF_DEPTH`], more than [`AMF_VALUES`] values, or an
    /// object end where a value should be.
    pub fn read(reader: &mut Reader) -> Result<Value> {
        Decoder::new(reader).value()
    }
}

/// Reads the values of a command or data message.
///
/// Peers append what is no AMF0: padding, AMF3 values, half a table. A server that reads only the fields it needs
/// never sees such a tail, so this gives the values before the first one that cannot be read, and drops the rest.
///
/// # Errors
/// Those of [`Value::read`], if one of the first `needed` values is there and cannot be read.
pub fn read_all(bytes: &[u8], needed: usize) -> Result<Vec<Value>> {
    let mut reader = Reader::new(bytes, ErrorCode::Amf0Decode);
    let mut decoder = Decoder::new(&mut reader);
    let mut values = Vec::new();
    while !decoder.reader.is_empty() {
        match decoder.value() {
            Ok(value) => values.push(value),
            Err(error) if values.len() < needed => return Err(error),
            Err(_) => break,
        }
    }
    Ok(values)
}

/// A reader, and how many values it gave.
struct Decoder<'r, 'a> {
    reader: &'r mut Reader<'a>,
    values: usize,
}

/// What follows a marker.
enum Item {
    Whole(Value),
    Begun(Container),
}

/// A container whose end is not reached. They stand in a `Vec`, for a peer's nesting must not use up the small stack
/// of a coroutine.
enum Container {
    Table { kind: Table, name: String, object: Object },
    Array { missing: u32, values: Vec<Value> },
}

/// Which kind of named values.
enum Table {
    Object,
    EcmaArray,
    Typed(String),
}

impl<'r, 'a> Decoder<'r, 'a> {
    fn new(reader: &'r mut Reader<'a>) -> Self {
        Decoder { reader, values: 0 }
    }

    fn value(&mut self) -> Result<Value> {
        let mut open: Vec<Container> = Vec::new();
        loop {
            let mut whole = match self.item()? {
                Item::Whole(value) => Some(value),
                Item::Begun(_) if open.len() == AMF_DEPTH => {
                    return Err(Error::new(
                        ErrorCode::Amf0Decode,
                        format!("AMF0 nests deeper than {AMF_DEPTH}"),
                    ));
                }
                Item::Begun(container) => {
                    open.push(container);
                    None
                }
            };
            // A value may be the last of its container, which then is the last of its own.
            while let Some(mut container) = open.pop() {
                if let Some(value) = whole {
                    container.add(value);
                }
                if self.more_in(&mut container)? {
                    open.push(container);
                    whole = None;
                    break;
                }
                whole = Some(container.finish());
            }
            if let Some(value) = whole {
                return Ok(value);
            }
        }
    }

    fn item(&mut self) -> Result<Item> {
        self.values += 1;
        if self.values > AMF_VALUES {
            return Err(Error::new(
                ErrorCode::Amf0Decode,
                format!("AMF0 holds more than {AMF_VALUES} values"),
            ));
        }
        let container = match self.reader.u8("AMF0 marker")? {
            marker::OBJECT => Container::table(Table::Object),
            marker::ECMA_ARRAY => {
                self.reader.skip(4, "AMF0 ECMA array count")?;
                Container::table(Table::EcmaArray)
            }
            marker::TYPED_OBJECT => Container::table(Table::Typed(self.text("AMF0 class name")?)),
            marker::STRICT_ARRAY => self.strict_array()?,
            marker => return Ok(Item::Whole(self.scalar(marker)?)),
        };
        Ok(Item::Begun(container))
    }

    /// A value that holds no others.
    fn scalar(&mut self, marker: u8) -> Result<Value> {
        match marker {
            marker::NUMBER => Ok(Value::Number(self.reader.f64("AMF0 number")?)),
            marker::BOOLEAN => Ok(Value::Boolean(self.reader.u8("AMF0 boolean")? != 0)),
            marker::STRING => Ok(Value::String(self.text("AMF0 string")?)),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::REFERENCE => Ok(Value::Reference(self.reader.u16("AMF0 reference")?)),
            marker::OBJECT_END => Err(Error::new(
                ErrorCode::Amf0Decode,
                "AMF0 object end stands where a value should be",
            )),
            marker::DATE => Ok(Value::Date {
                millis: self.reader.f64("AMF0 date")?,
                zone: self.reader.u16("AMF0 time zone")? as i16,
            }),
            marker::LONG_STRING => Ok(Value::String(self.long_text("AMF0 long string")?)),
            marker::UNSUPPORTED => Ok(Value::Unsupported),
            marker::XML_DOCUMENT => Ok(Value::XmlDocument(self.long_text("AMF0 XML document")?)),
            marker::AVM_PLUS => Err(Error::new(
                ErrorCode::Amf0Invalid,
                "AMF0 marker 0x11 begins AMF3, which is not read",
            )),
            // Movie clips (0x04) and record sets (0x0e) are reserved, their encoding was never told.
            other => Err(Error::new(
                ErrorCode::Amf0Invalid,
                format!("AMF0 marker {other:#04x} has no meaning"),
            )),
        }
    }

    fn strict_array(&mut self) -> Result<Container> {
        let count = self.reader.u32("AMF0 strict array count")?;
        // Each value takes a byte at least, so a count that the input cannot hold fails before it costs anything.
        if count as usize > self.reader.remaining() {
            return Err(Error::new(
                ErrorCode::Amf0Decode,
                format!(
                    "AMF0 strict array of {count} values, {} bytes are left",
                    self.reader.remaining()
                ),
            ));
        }
        Ok(Container::Array {
            missing: count,
            values: Vec::new(),
        })
    }

    /// Whether another value of `container` follows; reads that value's name, or the end of the container.
    fn more_in(&mut self, container: &mut Container) -> Result<bool> {
        match container {
            Container::Array { missing, .. } => Ok(*missing > 0),
            Container::Table { .. } if self.reader.is_empty() => Ok(false),
            Container::Table { .. } if self.reader.rest().starts_with(&OBJECT_END) => {
                self.reader.skip(OBJECT_END.len(), "AMF0 object end")?;
                Ok(false)
            }
            Container::Table { name, .. } => {
                *name = self.text("AMF0 property name")?;
                Ok(true)
            }
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String> {
        let length = self.reader.u16(field)?;
        self.utf8(usize::from(length), field)
    }

    fn long_text(&mut self, field: &'static str) -> Result<String> {
        let length = self.reader.u32(field)?;
        self.utf8(length as usize, field)
    }

    fn utf8(&mut self, length: usize, field: &'static str) -> Result<String> {
        let bytes = self.reader.bytes(length, field)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Container {
    fn table(kind: Table) -> Self {
        Container::Table {
            kind,
            name: String::new(),
            object: Object::new(),
        }
    }

    fn add(&mut self, value: Value) {
        match self {
            Container::Table { name, object, .. } => object.push(std::mem::take(name), value),
            Container::Array { missing, values } => {
                *missing = missing.saturating_sub(1);
                values.push(value);
            }
        }
    }

    fn finish(self) -> Value {
        match self {
            Container::Array { values, .. } => Value::StrictArray(values),
            Container::Table { kind, object, .. } => match kind {
                Table::Object => Value::Object(object),
                Table::EcmaArray => Value::EcmaArray(object),
                Table::Typed(class) => Value::TypedObject { class, object },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::buf::Put;

    /// The script tag that FFmpeg 5.1 writes into an FLV file of 64x48 H.264 and AAC; its ECMA array tells 14.
    const FFMPEG_METADATA: &str = "02000a6f6e4d65746144617461080000000e00086475726174696f6e003fdb126e978d4fdf000577696\
        47468004050000000000000000668656967687400404800000000000\
        0000d766964656f646174617261746500000000000000000000096672616d6572617465004014000000000000000c766964656f636f64\
        6563696400401c000000000000000d617564696f6461746172617465004050d88000000000000f617564696f73616d706c657261746500\
        40e5888000000000000f617564696f73616d706c6573697a65004030000000000000000673746572656f0100000c617564696f636f6465\
        63696400402400000000000000057469746c650200074772c3bcc39f650007656e636f64657202000d4c61766635392e32372e31303000\
        0866696c6573697a650040b7aa0000000000000009";

    fn unhex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn one(bytes: &[u8]) -> Result<Value> {
        Value::read(&mut Reader::new(bytes, ErrorCode::Amf0Decode))
    }

    fn every_kind() -> Vec<Value> {
        let object = Object::new().with("name", "live").with("on", true).with("", 1.0);
        vec![
            "connect".into(),
            1.0.into(),
            object.clone().with("inner", object.clone()).into(),
            Value::Null,
            Value::Undefined,
            Value::Reference(7),
            Value::EcmaArray(object.clone()),
            Value::StrictArray(vec![Value::StrictArray(vec![]), f64::MIN.into()]),
            Value::Date {
                millis: 1.5e12,
                zone: -60,
            },
            Value::Unsupported,
            Value::XmlDocument("<a/>".into()),
            Value::TypedObject {
                class: "flex.Foo".into(),
                object,
            },
        ]
    }

    fn written(values: &[Value]) -> Vec<u8> {
        let mut out = Vec::new();
        values.iter().for_each(|value| value.write(&mut out));
        out
    }

    #[test]
    fn what_is_written_reads_back() {
        let values = every_kind();
        assert_eq!(read_all(&written(&values), 1).unwrap(), values);
        assert_eq!(read_all(&[], 1).unwrap(), []);
    }

    #[test]
    fn ffmpeg_metadata_reads_and_writes_back_alike() {
        let bytes = unhex(FFMPEG_METADATA);
        let values = read_all(&bytes, 1).unwrap();
        assert_eq!(values[0].as_str(), Some("onMetaData"));
        let Value::EcmaArray(metadata) = &values[1] else {
            panic!("{:?}", values[1]);
        };
        assert_eq!(metadata.number("width"), Some(64.0));
        assert_eq!(metadata.number("videocodecid"), Some(7.0));
        assert_eq!(metadata.boolean("stereo"), Some(false));
        assert_eq!(metadata.string("title"), Some("Grüße"));
        assert_eq!(metadata.len(), 14);
        assert_eq!(written(&values), bytes);
    }

    #[test]
    fn the_count_of_an_ecma_array_is_a_hint() {
        for count in [0, 1, 2, u32::MAX] {
            let mut bytes = vec![8];
            bytes.put_u32(count);
            bytes.put_slice(&[0, 1, b'k', 5, 0, 0, 9, 1, 1]);
            let values = read_all(&bytes, 1).unwrap();
            let array = Object::new().with("k", Value::Null);
            assert_eq!(values, [Value::EcmaArray(array), true.into()]);
        }
    }

    #[test]
    fn the_end_of_input_ends_a_table_between_properties() {
        let table = Object::new().with("k", Value::Null);
        assert_eq!(
            one(&[8, 0, 0, 0, 1, 0, 1, b'k', 5]).unwrap(),
            Value::EcmaArray(table.clone())
        );
        assert_eq!(one(&[3, 0, 1, b'k', 5]).unwrap(), Value::Object(table));
        assert_eq!(one(&[3]).unwrap(), Object::new().into());
        for cut in [
            &[3, 0][..],
            &[3, 0, 0],
            &[3, 0, 1, b'k'],
            &[8, 0, 0, 0],
            &[16, 0, 2, b'a'],
        ] {
            assert_eq!(one(cut).unwrap_err().code(), ErrorCode::Amf0Decode, "{cut:?}");
        }
    }

    #[test]
    fn an_empty_name_is_a_name_unless_the_end_follows() {
        assert_eq!(
            one(&[3, 0, 0, 5, 0, 0, 9]).unwrap(),
            Object::new().with("", Value::Null).into()
        );
    }

    #[test]
    fn markers_without_meaning_are_refused() {
        for marker in [0x04, 0x0e, 0x11, 0x12, 0xff] {
            assert_eq!(one(&[marker, 0, 0]).unwrap_err().code(), ErrorCode::Amf0Invalid);
        }
        assert_eq!(one(&[9]).unwrap_err().code(), ErrorCode::Amf0Decode);
        assert_eq!(one(&[]).unwrap_err().message(), "AMF0 marker needs 1 bytes, 0 are left");
    }

    #[test]
    fn any_nonzero_byte_is_true() {
        assert_eq!(one(&[1, 2]).unwrap(), true.into());
        assert_eq!(one(&[1, 0]).unwrap(), false.into());
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        assert_eq!(one(&[2, 0, 3, b'a', 0xff, b'b']).unwrap(), "a\u{fffd}b".into());
        let object = one(&[3, 0, 1, 0xc3, 5, 0, 0, 9]).unwrap();
        assert_eq!(object.as_object().unwrap().get("\u{fffd}"), Some(&Value::Null));
    }

    #[test]
    fn an_unreadable_tail_is_dropped() {
        let good = written(&["play".into(), 4.0.into()]);
        for tail in [&[0x11, 1][..], &[9], &[0, 0, 0], &[2, 0xff, 0xff, b'x'], &[0xff; 40]] {
            let bytes = [&good, tail].concat();
            assert_eq!(read_all(&bytes, 1).unwrap(), ["play".into(), 4.0.into()], "{tail:?}");
        }
        assert!(read_all(&[0x11, 1], 1).is_err());
    }

    /// `levels` containers, each within the former, closed by the end of input.
    fn tower(levels: usize, container: &[u8]) -> Vec<u8> {
        let mut bytes = container.repeat(levels);
        bytes.push(5);
        bytes
    }

    #[test]
    fn nesting_is_bounded() {
        let containers: [&[u8]; 4] = [
            &[3, 0, 0],
            &[8, 0, 0, 0, 1, 0, 0],
            &[10, 0, 0, 0, 1],
            &[16, 0, 1, b'C', 0, 0],
        ];
        for container in containers {
            assert!(one(&tower(AMF_DEPTH, container)).is_ok());
            for levels in [AMF_DEPTH + 1, 10_000] {
                let error = one(&tower(levels, container)).unwrap_err();
                assert_eq!(error.message(), "AMF0 nests deeper than 64");
            }
        }
    }

    #[test]
    fn depth_is_given_back_after_each_container() {
        let bytes = [3, 0, 0, 9].repeat(AMF_DEPTH * 4);
        assert_eq!(read_all(&bytes, 1).unwrap().len(), AMF_DEPTH * 4);
    }

    #[test]
    fn values_are_bounded_over_the_whole_message() {
        let mut bytes = vec![10];
        bytes.put_u32(AMF_VALUES as u32 - 1);
        bytes.extend([5].repeat(AMF_VALUES));
        assert!(one(&bytes).is_ok());
        bytes[1..5].copy_from_slice(&(AMF_VALUES as u32).to_be_bytes());
        assert_eq!(one(&bytes).unwrap_err().message(), "AMF0 holds more than 65536 values");
        assert_eq!(read_all(&[5].repeat(AMF_VALUES * 2), 1).unwrap().len(), AMF_VALUES);
    }

    #[test]
    fn a_strict_array_that_the_input_cannot_hold_is_refused() {
        let error = one(&[10, 0xff, 0xff, 0xff, 0xff, 5, 5]).unwrap_err();
        assert_eq!(
            error.message(),
            "AMF0 strict array of 4294967295 values, 2 bytes are left"
        );
        assert!(one(&[10, 0, 0, 0, 2, 5]).is_err());
    }

    #[test]
    fn long_strings_are_bounded_by_the_input() {
        assert!(one(&[12, 0xff, 0xff, 0xff, 0xff, b'a']).is_err());
        assert!(one(&[15, 0, 0, 0, 2, b'a']).is_err());
        assert_eq!(one(&[12, 0, 0, 0, 1, b'a']).unwrap(), "a".into());
    }

    #[test]
    fn every_prefix_gives_values_or_an_error() {
        for bytes in [written(&every_kind()), unhex(FFMPEG_METADATA)] {
            let whole = read_all(&bytes, 1).unwrap();
            for length in 0..bytes.len() {
                if let Ok(values) = read_all(&bytes[..length], 1) {
                    let whole_ones = values.len().saturating_sub(1);
                    assert_eq!(values[..whole_ones], whole[..whole_ones]);
                }
            }
        }
    }

    #[test]
    fn mutated_bytes_never_panic_and_what_reads_writes_back() {
        let mut random = fastrand::Rng::with_seed(0xa3f0);
        let seeds = [written(&every_kind()), unhex(FFMPEG_METADATA)];
        for round in 0..4000 {
            let mut bytes = seeds[round % seeds.len()].clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = if random.bool() {
                    random.u8(..)
                } else {
                    random.u8(..0x14)
                };
            }
            if let Ok(values) = read_all(&bytes, 1) {
                // Compared as bytes, for a number may have become NaN.
                let once = written(&values);
                assert_eq!(written(&read_all(&once, 1).unwrap()), once);
            }
        }
    }
}
