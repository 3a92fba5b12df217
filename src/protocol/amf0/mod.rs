//! AMF0, the value encoding of RTMP commands and metadata (Action Message Format AMF 0 specification).
//!
//! Strings from a peer may hold anything: blanks, newlines, control characters. Whoever logs them, or makes URLs or
//! file names of them, escapes them there. Bytes that are no UTF-8 become U+FFFD.

mod read;
mod value;
mod write;

pub use read::read_all;
pub use value::{Object, Value};

/// Type markers (section 2.1).
mod marker {
    pub const NUMBER: u8 = 0x00;
    pub const BOOLEAN: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const OBJECT: u8 = 0x03;
    pub const NULL: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const REFERENCE: u8 = 0x07;
    pub const ECMA_ARRAY: u8 = 0x08;
    pub const OBJECT_END: u8 = 0x09;
    pub const STRICT_ARRAY: u8 = 0x0a;
    pub const DATE: u8 = 0x0b;
    pub const LONG_STRING: u8 = 0x0c;
    pub const UNSUPPORTED: u8 = 0x0d;
    pub const XML_DOCUMENT: u8 = 0x0f;
    pub const TYPED_OBJECT: u8 = 0x10;
    pub const AVM_PLUS: u8 = 0x11;
}

/// What ends the properties of an object or ECMA array: an empty name, then the object-end marker (section 2.11).
const OBJECT_END: [u8; 3] = [0, 0, marker::OBJECT_END];
