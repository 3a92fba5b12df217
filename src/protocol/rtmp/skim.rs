//! The reading half of a session whose messages are looked at as they pass: what a load tool's players do by the thousand.
//!
//! It owns no socket. The caller feeds what it read, and writes what is owed to the peer.

use super::chunk::{Decoder, Encoder, Part, id};
use super::message::{Command, Control, UserControl, kind};
use crate::core::limits::RTMP_COMMAND_BYTES;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;

/// Who looks.
pub trait Sink {
    /// Part of a message of media: sound, pictures or data.
    ///
    /// # Errors
    /// Whatever ends the session.
    fn media(&mut self, part: Part<'_>) -> Result<()>;

    /// A command of the peer, such as the status that ends a stream.
    ///
    /// # Errors
    /// Whatever ends the session.
    fn command(&mut self, command: &Command) -> Result<()>;
}

/// The reader; see [`super::client::Client::into_skimmer`].
#[derive(Debug)]
pub struct Skimmer {
    decoder: Decoder,
    encoder: Encoder,
    /// The message under way that is not media.
    gathered: Vec<u8>,
    answers: Vec<u8>,
    received: u64,
    /// The peer wants an acknowledgement for so many bytes; 0 is never.
    window: u32,
    acknowledged: u64,
}

impl Skimmer {
    pub(super) fn new(decoder: Decoder, encoder: Encoder, received: u64, window: u32) -> Self {
        Skimmer {
            decoder,
            encoder,
            gathered: Vec::new(),
            answers: Vec::new(),
            received,
            window,
            acknowledged: received,
        }
    }

    /// Looks at `input`, which begins with what the last call left, and gives how much of it was used; the rest is less
    /// than a chunk's headers. `fresh` of its bytes are new.
    ///
    /// # Errors
    /// Those of [`Decoder::decode`] and of [`Control::parse`] for a peer that breaks the rules; those of the sink.
    pub fn take(&mut self, input: &[u8], fresh: usize, sink: &mut impl Sink) -> Result<usize> {
        self.received += fresh as u64;
        let mut rest = input;
        while let Some(part) = self.decoder.skim_slice(&mut rest).wrap("read chunk stream")? {
            match part.kind {
                kind::AUDIO | kind::VIDEO | kind::AMF0_DATA | kind::AMF3_DATA | kind::AGGREGATE => sink.media(part)?,
                _ => self.gather(part, sink)?,
            }
        }
        self.acknowledge();
        Ok(input.len() - rest.len())
    }

    /// What is to be written to the peer; the caller empties it.
    pub fn answers(&mut self) -> &mut Vec<u8> {
        &mut self.answers
    }

    fn gather(&mut self, part: Part<'_>, sink: &mut impl Sink) -> Result<()> {
        if part.length > RTMP_COMMAND_BYTES {
            let text = format!("message of type {} with {} bytes", part.kind, part.length);
            return Err(Error::new(ErrorCode::RtmpMsgSize, text));
        }
        if part.at == 0 {
            self.gathered.clear();
        }
        self.gathered.extend_from_slice(part.bytes);
        if !part.is_last() || self.gathered.len() != part.length {
            return Ok(());
        }
        let payload = std::mem::take(&mut self.gathered);
        if payload.is_empty() {
            return Ok(());
        }
        if kind::is_command(part.kind) {
            return sink.command(&Command::parse(&payload)?);
        }
        match Control::parse(part.kind, &payload)? {
            Some(Control::SetChunkSize(size)) => self.decoder.set_chunk_size(size)?,
            Some(Control::Abort { chunk_stream }) => self.decoder.abort(chunk_stream),
            Some(Control::WindowAckSize(window)) => self.window = window,
            Some(Control::UserControl(UserControl::PingRequest(timestamp))) => {
                self.answer(&Control::UserControl(UserControl::PingResponse(timestamp)));
            }
            _ => {}
        }
        Ok(())
    }

    fn acknowledge(&mut self) {
        if self.window > 0 && self.received - self.acknowledged >= u64::from(self.window / 2) {
            self.acknowledged = self.received;
            // The field counts modulo 2^32.
            self.answer(&Control::Acknowledgement(self.received as u32));
        }
    }

    fn answer(&mut self, control: &Control) {
        let (encoder, out) = (&self.encoder, &mut self.answers);
        let encoded = encoder.encode(out, id::CONTROL, control.kind(), 0, 0, &control.encode());
        debug_assert!(encoded.is_ok(), "{encoded:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtmp::message::CommandName;

    #[derive(Default)]
    struct Seen {
        media: Vec<(u8, usize)>,
        commands: Vec<CommandName>,
    }

    impl Sink for Seen {
        fn media(&mut self, part: Part<'_>) -> Result<()> {
            if part.is_last() {
                self.media.push((part.kind, part.length));
            }
            Ok(())
        }

        fn command(&mut self, command: &Command) -> Result<()> {
            self.commands.push(command.name.clone());
            Ok(())
        }
    }

    #[test]
    fn media_passes_and_the_peer_gets_its_answers() {
        let mut encoder = Encoder::new();
        let mut bytes = Vec::new();
        let controls = [
            Control::WindowAckSize(1000),
            Control::UserControl(UserControl::PingRequest(7)),
            Control::SetChunkSize(4096),
        ];
        for control in &controls {
            let encoded = control.encode();
            encoder
                .encode(&mut bytes, id::CONTROL, control.kind(), 0, 0, &encoded)
                .unwrap();
        }
        encoder.set_chunk_size(4096);
        encoder
            .encode(&mut bytes, id::VIDEO, kind::VIDEO, 40, 1, &[7; 2000])
            .unwrap();
        let command = Command::new(CommandName::OnStatus, 0.0, []);
        encoder
            .encode(&mut bytes, id::STREAM, command.kind(), 0, 1, &command.encode())
            .unwrap();
        for step in [1, 50, bytes.len()] {
            let mut skimmer = Skimmer::new(Decoder::new(), Encoder::new(), 0, 0);
            let (mut seen, mut rest) = (Seen::default(), Vec::new());
            for piece in bytes.chunks(step) {
                rest.extend_from_slice(piece);
                let used = skimmer.take(&rest, piece.len(), &mut seen).unwrap();
                rest.drain(..used);
            }
            assert!(rest.is_empty());
            assert_eq!(seen.media, [(kind::VIDEO, 2000)]);
            assert_eq!(seen.commands, [CommandName::OnStatus]);
            let answers = std::mem::take(skimmer.answers());
            assert!(answers.windows(6).any(|bytes| bytes == [0, 7, 0, 0, 0, 7]), "no pong");
            assert!(answers.len() >= 18 + 16, "no acknowledgement in {answers:?}");
        }
    }
}
