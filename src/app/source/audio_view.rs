//! The audio view: the journal's sound as a bare elementary stream, AAC in ADTS frames or MP3, once for all players.

use std::rc::Rc;

use super::consumer::Consumer;
use super::encoded::Encoded;
use super::journal::Entry;
use super::parcel::Terms;
use super::place::Place;
use super::source::{Source, State};
use super::view::{Batch, Batches, View, ViewList, Views};
use crate::kernel::codec::AudioCodec;
use crate::kernel::codec::aac::{AudioSpecificConfig, adts};
use crate::kernel::flv::audio::{AudioTag, PacketType};
use crate::kernel::frame::Kind;

/// A player that takes bare sound: HTTP-AAC and HTTP-MP3.
pub type AudioConsumer = Consumer<AudioView>;

impl AudioConsumer {
    /// Joins the source at the oldest sound that it keeps for new players.
    pub fn join(source: &Rc<Source>, codec: AudioCodec) -> Self {
        Consumer::at(Place::join_at(source, source.sound_start_number()), codec, ())
    }
}

/// The sound of one codec, from some message on. Messages without any are there with no bytes.
#[derive(Debug)]
pub struct AudioView {
    /// Frames with what they need to stand alone.
    encoded: Encoded<()>,
    codec: AudioCodec,
    /// What ADTS headers tell, from the newest sequence header.
    config: Option<AudioSpecificConfig>,
}

impl View for AudioView {
    type Key = AudioCodec;
    type Mark = ();

    fn begin(codec: AudioCodec, first: u64, state: &State) -> Self {
        AudioView::new(codec, first, state.start_headers(first))
    }

    fn key(&self) -> AudioCodec {
        self.codec
    }

    fn encoded(&self) -> &Encoded<()> {
        &self.encoded
    }

    fn encoded_mut(&mut self) -> &mut Encoded<()> {
        &mut self.encoded
    }

    fn list(views: &Views) -> &ViewList<Self> {
        &views.audio
    }
}

impl Batches for AudioView {
    type Player = ();

    fn append(&mut self, entry: &Entry) {
        let mut bytes = Vec::new();
        self.encode(entry, &mut bytes);
        self.encoded.push((), bytes.len(), |out| out.extend_from_slice(&bytes));
    }

    fn write(&self, _: &mut (), _: &mut Place, batch: &Batch<'_>, out: &mut Vec<u8>) {
        self.encoded.copy(batch.from, batch.to, out);
    }

    fn terms((): &(), _: &Place) -> Option<Terms> {
        Some(Terms::default())
    }
}

impl AudioView {
    /// An empty view of one codec that begins with message `first`; `headers` are the sequence headers before it.
    fn new<'e>(codec: AudioCodec, first: u64, headers: impl Iterator<Item = &'e Entry>) -> Self {
        let mut view = AudioView {
            encoded: Encoded::new(first),
            codec,
            config: None,
        };
        for header in headers {
            view.encode(header, &mut Vec::new());
        }
        view
    }

    /// Appends a message's sound. What makes no sense, or cannot be told in ADTS, is left out.
    fn encode(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        if entry.frame.kind != Kind::Audio {
            return;
        }
        let Ok(tag) = AudioTag::parse(&entry.frame.payload) else {
            return;
        };
        match tag.packet_type {
            _ if tag.codec != self.codec => {}
            PacketType::SequenceStart => self.config = AudioSpecificConfig::parse(tag.payload).ok(),
            PacketType::CodedFrames if self.codec == AudioCodec::Aac => {
                let header = self.config.as_ref();
                if let Some(Ok(header)) = header.map(|config| adts::write_header(config, tag.payload.len())) {
                    out.extend_from_slice(&header);
                    out.extend_from_slice(tag.payload);
                }
            }
            PacketType::CodedFrames => out.extend_from_slice(tag.payload),
            PacketType::SequenceEnd | PacketType::MultichannelConfig => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::journal::Journal;
    use super::*;
    use crate::kernel::frame::Frame;

    fn entry(kind: Kind, body: &'static [u8]) -> Entry {
        Entry {
            frame: Frame::new(kind, 0, Bytes::from_static(body)),
            clock: 0,
        }
    }

    fn bytes(view: &AudioView) -> Vec<u8> {
        let mut out = Vec::new();
        view.encoded.copy(view.encoded.first(), view.encoded.end(), &mut out);
        out
    }

    #[test]
    fn aac_gets_adts_headers_once_it_is_configured() {
        let mut journal = Journal::default();
        journal.push(entry(Kind::Audio, b"\xaf\x01\x01"));
        journal.push(entry(Kind::Audio, b"\xaf\x00\x12\x10"));
        journal.push(entry(Kind::Video, b"\x17\x01\0\0\0\x01"));
        journal.push(entry(Kind::Audio, b"\xaf\x01\x21\x22"));
        journal.push(entry(Kind::Audio, b"\x2f\xff\xfb"));
        journal.push(entry(Kind::Audio, b"\xaf"));
        let mut view = AudioView::new(AudioCodec::Aac, 0, std::iter::empty());
        view.extend(&journal);
        let out = bytes(&view);
        let frames: Vec<_> = adts::Frames::new(&out).map(|frame| frame.unwrap().1).collect();
        assert_eq!(frames, [b"\x21\x22"]);
        assert_eq!(view.encoded.end(), journal.end());

        // A view that begins later knows the header from before.
        let header = entry(Kind::Audio, b"\xaf\x00\x12\x10");
        let mut late = AudioView::new(AudioCodec::Aac, 2, std::iter::once(&header));
        late.extend(&journal);
        assert_eq!(bytes(&late), out);
    }

    #[test]
    fn mp3_goes_as_it_is() {
        let mut journal = Journal::default();
        journal.push(entry(Kind::Audio, b"\x2f\xff\xfb\x01"));
        journal.push(entry(Kind::Audio, b"\xaf\x01\x21"));
        let mut view = AudioView::new(AudioCodec::Mp3, 0, std::iter::empty());
        view.extend(&journal);
        assert_eq!(bytes(&view), b"\xff\xfb\x01");
    }
}
