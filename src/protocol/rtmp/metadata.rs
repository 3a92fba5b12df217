//! `onMetaData`: what a publisher tells about its stream, and what the server adds before players get it.

use super::message::Data;
use crate::kernel::error::Result;
use crate::protocol::amf0::{Object, Value};

const ON_META_DATA: &str = "onMetaData";

/// A publisher's metadata: kept whole and in order, also what we do not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// The properties, such as `width` and `videocodecid`.
    pub properties: Object,
    is_array: bool,
    /// Values after the properties.
    rest: Vec<Value>,
}

impl Metadata {
    /// Metadata of our own making.
    pub fn new(properties: Object) -> Self {
        Metadata {
            properties,
            is_array: true,
            rest: Vec::new(),
        }
    }

    /// Parses a data message; `None` if it is one of another name, or has no properties.
    ///
    /// # Errors
    /// Those of [`Data::parse`]; none of them is a reason to end a publish.
    pub fn parse(payload: &[u8]) -> Result<Option<Metadata>> {
        let data = Data::parse(payload)?;
        if data.name != ON_META_DATA {
            return Ok(None);
        }
        let mut values = data.values.into_iter();
        Ok(values.next().and_then(|value| {
            let is_array = matches!(value, Value::EcmaArray(_));
            Some(Metadata {
                properties: value.into_object()?,
                is_array,
                rest: values.collect(),
            })
        }))
    }

    /// Makes it the metadata of a live stream from this server: a duration would be wrong, and players look at who
    /// serves them.
    pub fn adopt(&mut self, server: &str, server_version: &str) {
        self.properties.remove("duration");
        self.properties.insert("server", server);
        self.properties.insert("server_version", server_version);
    }

    /// The payload of a data message of type 18, without `@setDataFrame`.
    pub fn encode(&self) -> Vec<u8> {
        let properties = self.properties.clone();
        let properties = match self.is_array {
            true => Value::EcmaArray(properties),
            false => Value::Object(properties),
        };
        let mut values = vec![properties];
        values.extend(self.rest.iter().cloned());
        Data::new(ON_META_DATA, values).encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publisher() -> Object {
        Object::new()
            .with("duration", 0.0)
            .with("width", 1280.0)
            .with("custom", Value::StrictArray(vec![Value::Null]))
            .with("encoder", "Lavf59")
    }

    #[test]
    fn duration_goes_and_the_server_is_added_at_the_end() {
        for container in [Value::EcmaArray(publisher()), Value::Object(publisher())] {
            let sent = Data::new("@setDataFrame", ["onMetaData".into(), container.clone(), "tail".into()]);
            let mut metadata = Metadata::parse(&sent.encode()).unwrap().unwrap();
            metadata.adopt("SRS/7", "7.0.18");
            let data = Data::parse(&metadata.encode()).unwrap();
            assert_eq!((data.name.as_str(), data.values.len()), ("onMetaData", 2));
            let properties = data.values[0].as_object().unwrap();
            let names: Vec<_> = properties.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["width", "custom", "encoder", "server", "server_version"]);
            assert_eq!(properties.string("server_version"), Some("7.0.18"));
            assert_eq!(
                std::mem::discriminant(&data.values[0]),
                std::mem::discriminant(&container)
            );
        }
    }

    #[test]
    fn other_data_is_no_metadata() {
        assert_eq!(
            Metadata::parse(&Data::new("onTextData", [publisher().into()]).encode()).unwrap(),
            None
        );
        assert_eq!(
            Metadata::parse(&Data::new("onMetaData", [Value::Null]).encode()).unwrap(),
            None
        );
        assert_eq!(Metadata::parse(&Data::new("onMetaData", []).encode()).unwrap(), None);
    }

    #[test]
    fn every_prefix_is_parsed_or_refused() {
        let payload = Metadata::new(publisher()).encode();
        for end in 0..payload.len() {
            // An array may lack its end marker, so whole properties count; cut ones never do.
            if let Ok(Some(metadata)) = Metadata::parse(&payload[..end]) {
                assert!(
                    metadata
                        .properties
                        .iter()
                        .eq(publisher().iter().take(metadata.properties.len()))
                );
            }
        }
        assert_eq!(Metadata::parse(&payload).unwrap(), Some(Metadata::new(publisher())));
    }
}
