//! The values of AMF0, and the ordered table of named values.

/// One AMF0 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A double; the only kind of number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text; the writer picks the short or the long form by its length.
    String(String),
    /// An anonymous object.
    Object(Object),
    /// The null value.
    Null,
    /// The undefined value.
    Undefined,
    /// The number, from 0, of an object earlier in the message. It is never followed, so a loop does no harm.
    Reference(u16),
    /// A table that a peer may read as an array; what `onMetaData` carries.
    EcmaArray(Object),
    /// Values without names.
    StrictArray(Vec<Value>),
    /// A point in time.
    Date {
        /// Milliseconds since 1970-01-01 00:00 UTC.
        millis: f64,
        /// Time zone, minutes; reserved by the specification, senders write 0.
        zone: i16,
    },
    /// What the peer could not put in AMF0.
    Unsupported,
    /// The text of an XML document.
    XmlDocument(String),
    /// An object with the name of its class.
    TypedObject {
        /// The class's registered name.
        class: String,
        /// Its properties.
        object: Object,
    },
}

impl Value {
    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The flag, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The text of a string (short or long), if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The named values of an object, an ECMA array or a typed object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) | Value::EcmaArray(object) | Value::TypedObject { object, .. } => Some(object),
            _ => None,
        }
    }

    /// The named values, as [`Value::as_object`], by value.
    pub fn into_object(self) -> Option<Object> {
        match self {
            Value::Object(object) | Value::EcmaArray(object) | Value::TypedObject { object, .. } => Some(object),
            _ => None,
        }
    }

    /// Whether it is null or undefined; peers use either where a command has no object.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::Undefined)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Boolean(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object)
    }
}

/// Named values in the order in which they were sent or inserted.
///
/// A peer may send a name twice. Both are kept as they came, and a look-up finds the later one. Look-ups are linear:
/// real objects have some ten names, and a peer's object with many costs no more than its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    properties: Vec<(String, Value)>,
}

impl Object {
    /// An object without properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The text of `name`; `None` if it is missing or no string.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The number of `name`; `None` if it is missing or no number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_number()
    }

    /// The flag of `name`; `None` if it is missing or no boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    /// The object, ECMA array or typed object of `name`; `None` if it is missing or none of these.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.get(name)?.as_object()
    }

    /// Sets `name`: in its place if there is one, else at the end.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.properties.iter_mut().rev().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.properties.push((name, value)),
        }
    }

    /// The object with `name` set, to build one in a single expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// Takes out every property of that name; gives the value that a look-up would have found.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let mut removed = None;
        for (_, value) in self.properties.extract_if(.., |(key, _)| key == name) {
            removed = Some(value);
        }
        removed
    }

    /// The properties in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Adds a property without looking for its name, so that a peer's object costs linear time.
    pub(super) fn push(&mut self, name: String, value: Value) {
        self.properties.push((name, value));
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(properties: I) -> Self {
        let mut object = Object::new();
        for (name, value) in properties {
            object.insert(name, value);
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_keeps_the_place_and_remove_takes_all() {
        let mut object = Object::new().with("a", 1.0).with("b", true).with("a", "x");
        assert_eq!(object.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(object.string("a"), Some("x"));
        object.push("a".to_owned(), Value::Null);
        assert_eq!(object.get("a"), Some(&Value::Null));
        assert_eq!(object.len(), 3);
        assert_eq!(object.remove("a"), Some(Value::Null));
        assert_eq!(object.remove("a"), None);
        assert_eq!(object.len(), 1);
    }

    #[test]
    fn getters_are_strict_about_types() {
        let inner = Object::new().with("level", "status");
        let object = Object::new()
            .with("n", 2.5)
            .with("b", false)
            .with("o", inner.clone())
            .with("e", Value::EcmaArray(inner.clone()));
        assert_eq!(object.number("n"), Some(2.5));
        assert_eq!(object.boolean("b"), Some(false));
        assert_eq!(object.object("o"), Some(&inner));
        assert_eq!(object.object("e"), Some(&inner));
        assert_eq!(object.string("n"), None);
        assert_eq!(object.number("b"), None);
        assert_eq!(object.object("n"), None);
        assert_eq!(object.boolean("missing"), None);
        let pairs: Object = [("x", 1.0), ("y", 2.0)].into_iter().collect();
        assert_eq!(pairs.number("y"), Some(2.0));
    }
}
