//! The tracks of a message: one in most, several in multitrack messages (Enhanced RTMP v2). Audio and video tags cut
//! their messages in the same way.

use std::fmt::Debug;

use super::enhanced::{self, Parsed};
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;

/// A tag of one track, as messages hold it.
pub trait TrackTag<'a>: Sized {
    /// What all tracks of an enhanced message share.
    type Shared: Copy + Debug;
    /// The kind of tag, for errors.
    const NAME: &'static str;
    /// The code of errors.
    const FAULT: ErrorCode;

    /// Reads a message's first bytes.
    fn open(body: &'a [u8]) -> Parsed<Opened<'a, Self>>;

    /// Cuts the next track off `rest`.
    fn take_track(shared: &Self::Shared, rest: &mut &'a [u8]) -> Parsed<Self>;
}

/// A message whose first bytes are read.
pub enum Opened<'a, T: TrackTag<'a>> {
    /// It is one tag.
    Whole(T),
    /// Enhanced; the bytes hold the tracks.
    Tracks(T::Shared, &'a [u8]),
}

/// The first track, without building an error: this runs for each message.
pub(super) fn first<'a, T: TrackTag<'a>>(body: &'a [u8]) -> Parsed<T> {
    match T::open(body)? {
        Opened::Whole(tag) => Ok(tag),
        Opened::Tracks(shared, mut rest) => T::take_track(&shared, &mut rest),
    }
}

/// The first track.
pub(super) fn parse<'a, T: TrackTag<'a>>(body: &'a [u8]) -> Result<T> {
    first(body).map_err(|what| enhanced::fault(T::FAULT, T::NAME, what, body))
}

/// All tracks of a message, in their order. Ends after the first fault, whose code is that of the tag's `parse`.
#[derive(Clone, Debug)]
pub struct Tracks<'a, T: TrackTag<'a>> {
    body: &'a [u8],
    state: State<'a, T::Shared>,
}

/// How far the iteration is.
#[derive(Clone, Copy, Debug)]
enum State<'a, S> {
    Start,
    /// Some tracks are seen, the bytes hold the others.
    Behind(S, &'a [u8]),
    End,
}

impl<'a, T: TrackTag<'a>> Tracks<'a, T> {
    /// Goes over the tracks of a tag's body.
    pub fn new(body: &'a [u8]) -> Self {
        Tracks {
            body,
            state: State::Start,
        }
    }

    fn step(&mut self) -> Parsed<Option<T>> {
        let (shared, mut rest) = match std::mem::replace(&mut self.state, State::End) {
            State::Start => match T::open(self.body)? {
                Opened::Whole(tag) => return Ok(Some(tag)),
                Opened::Tracks(shared, rest) => (shared, rest),
            },
            State::Behind(_, []) | State::End => return Ok(None),
            State::Behind(shared, rest) => (shared, rest),
        };
        let tag = T::take_track(&shared, &mut rest)?;
        self.state = State::Behind(shared, rest);
        Ok(Some(tag))
    }
}

impl<'a, T: TrackTag<'a>> Iterator for Tracks<'a, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.step();
        tag.map_err(|what| enhanced::fault(T::FAULT, T::NAME, what, self.body))
            .transpose()
    }
}
