//! AMF0 as far as a client needs it. Written apart from the server's own code on purpose.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Amf {
    Number(f64),
    Boolean(bool),
    Text(String),
    /// An object or an ECMA array.
    Object(Vec<(String, Amf)>),
    Null,
    /// Undefined, or something that the tests do not look into.
    Other,
}

impl Amf {
    pub fn text(text: &str) -> Self {
        Amf::Text(text.to_owned())
    }

    pub fn object(fields: &[(&str, Amf)]) -> Self {
        Amf::Object(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }

    /// A field of an object.
    pub fn get(&self, name: &str) -> Option<&Amf> {
        match self {
            Amf::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Amf::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Amf::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Amf::Number(number) => {
                to.push(0);
                to.extend(number.to_be_bytes());
            }
            Amf::Boolean(value) => to.extend([1, u8::from(*value)]),
            Amf::Text(text) => {
                to.push(2);
                write_name(text, to);
            }
            Amf::Object(fields) => {
                to.push(3);
                for (name, value) in fields {
                    write_name(name, to);
                    value.write(to);
                }
                to.extend([0, 0, 9]);
            }
            Amf::Null | Amf::Other => to.push(5),
        }
    }
}

fn write_name(name: &str, to: &mut Vec<u8>) {
    to.extend((name.len() as u16).to_be_bytes());
    to.extend(name.as_bytes());
}

/// Several values, one after the other.
pub fn encode(values: &[Amf]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| value.write(&mut bytes));
    bytes
}

/// All values of a message, up to the first that the tests do not know.
pub fn decode(mut bytes: &[u8]) -> Vec<Amf> {
    let mut values = Vec::new();
    while let Some(value) = read(&mut bytes) {
        let unknown = value == Amf::Other;
        values.push(value);
        if unknown {
            break;
        }
    }
    values
}

fn read(bytes: &mut &[u8]) -> Option<Amf> {
    Some(match take(bytes, 1)?[0] {
        0 => Amf::Number(f64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)),
        1 => Amf::Boolean(take(bytes, 1)?[0] != 0),
        2 => Amf::Text(read_name(bytes)?),
        3 => read_fields(bytes)?,
        8 => {
            take(bytes, 4)?;
            read_fields(bytes)?
        }
        5 => Amf::Null,
        6 => Amf::Null,
        _ => Amf::Other,
    })
}

fn read_fields(bytes: &mut &[u8]) -> Option<Amf> {
    let mut fields = Vec::new();
    loop {
        let name = read_name(bytes)?;
        if name.is_empty() && bytes.first() == Some(&9) {
            take(bytes, 1)?;
            return Some(Amf::Object(fields));
        }
        fields.push((name, read(bytes)?));
    }
}

fn read_name(bytes: &mut &[u8]) -> Option<String> {
    let length = take(bytes, 2)?;
    let length = u16::from_be_bytes([length[0], length[1]]);
    Some(String::from_utf8_lossy(take(bytes, length.into())?).into_owned())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}
