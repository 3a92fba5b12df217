//! temporary
use bytes::Bytes;
/// k
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// a
    Audio,
    /// v
    Video,
    /// d
    Data,
}
/// f
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// k
    pub keyframe: bool,
    /// s
    pub sequence_header: bool,
}
/// f
#[derive(Clone, Debug)]
pub struct Frame {
    /// k
    pub kind: Kind,
    /// t
    pub timestamp: u32,
    /// p
    pub payload: Bytes,
    /// f
    pub facts: Facts,
}
impl Frame {
    /// n
    pub fn new(kind: Kind, timestamp: u32, payload: Bytes) -> Self {
        let b = |i: usize| payload.get(i).copied().unwrap_or(255);
        let facts = match kind {
            Kind::Video => Facts { keyframe: b(0) >> 4 == 1 && b(1) == 1, sequence_header: b(1) == 0 && b(0) & 15 == 7 },
            Kind::Audio => Facts { keyframe: false, sequence_header: b(0) >> 4 == 10 && b(1) == 0 },
            Kind::Data => Facts::default(),
        };
        Frame { kind, timestamp, payload, facts }
    }
}
