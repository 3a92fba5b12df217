//! Writes one publication as fragments of FLV tags.

use std::collections::HashMap;
use std::rc::Rc;

use super::Stream;
use super::manifest::{Fragment, manifest};
use crate::app::config::section::hds::Hds;
use crate::app::recording::files::Files;
use crate::app::recording::{OnError, Recorder};
use crate::core::clock::Moment;
use crate::core::output::Output;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::mux::put_tag;
use crate::kernel::frame::{Frame, Kind};

/// Size and type of the box that holds the tags, bytes.
const BOX_HEAD: [u8; 8] = *b"\0\0\0\0mdat";

/// One publication.
pub struct HdsRecorder {
    settings: Rc<Hds>,
    stream: Rc<Stream>,
    /// The path of all files, without extension.
    stem: String,
    /// The newest sequence header of each kind.
    headers: HashMap<Kind, Frame>,
    last: Option<u32>,
    now_ms: i64,
    open: Option<OpenFragment>,
    files: Files,
    scratch: Vec<u8>,
}

struct OpenFragment {
    number: u32,
    begin_ms: i64,
    output: Output,
}

impl HdsRecorder {
    /// For a publication of this stream; `name` is its app and its name.
    pub fn new(settings: Rc<Hds>, stream: Rc<Stream>, name: &str) -> Self {
        HdsRecorder {
            stem: format!("{}/{name}", settings.path),
            settings,
            headers: HashMap::new(),
            last: None,
            // It goes on over publications, or players would wait for its return.
            now_ms: stream.clock_ms.get(),
            stream,
            open: None,
            files: Files::new("HDS"),
            scratch: Vec::new(),
        }
    }

    fn follow(&mut self, timestamp: u32) {
        let step = self
            .last
            .map_or(0, |last| i64::from(timestamp.wrapping_sub(last) as i32));
        self.last = Some(timestamp);
        self.now_ms = (self.now_ms + step).max(0);
        self.stream.clock_ms.set(self.now_ms);
    }

    fn is_due(&self) -> bool {
        let fragment_ms = i64::try_from(self.settings.fragment.as_millis()).unwrap_or(i64::MAX);
        self.open
            .as_ref()
            .is_some_and(|open| self.now_ms - open.begin_ms >= fragment_ms)
    }

    fn fragment_path(&self, number: u32) -> String {
        format!("{}Seg1-Frag{number}", self.stem)
    }

    fn open(&mut self) -> Result<()> {
        let number = self.stream.next.get();
        let path = format!("{}.tmp", self.fragment_path(number));
        let output = Output::create(&path).io_wrap(ErrorCode::HdsOpenFragment, || failed(&path))?;
        self.stream.next.set(number + 1);
        self.open = Some(OpenFragment {
            number,
            begin_ms: self.now_ms,
            output,
        });
        self.scratch.clear();
        self.scratch.extend_from_slice(&BOX_HEAD);
        for kind in [Kind::Audio, Kind::Video] {
            if let Some(header) = self.headers.get(&kind) {
                put_tag(&mut self.scratch, kind, self.now_ms as u32, &header.payload)?;
            }
        }
        self.write_scratch()
    }

    fn write_scratch(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.output
            .write(&self.scratch)
            .io_wrap(ErrorCode::HdsWriteFragment, || failed("a fragment"))
    }

    fn put(&mut self, frame: &Frame) -> Result<()> {
        self.scratch.clear();
        put_tag(&mut self.scratch, frame.kind, self.now_ms as u32, &frame.payload)?;
        self.write_scratch()
    }

    fn cut(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let path = self.fragment_path(open.number);
        let size = u32::try_from(open.output.len()).unwrap_or(u32::MAX);
        open.output
            .patch(0, size.to_be_bytes().to_vec())
            .and_then(|()| open.output.finish(&path))
            .io_wrap(ErrorCode::HdsWriteFragment, || failed(&path))?;
        let fragment = Fragment {
            number: open.number,
            begin_ms: open.begin_ms,
            duration_ms: self.now_ms - open.begin_ms,
        };
        let left = self.stream.push(fragment, &self.settings);
        self.replace("abst", self.stream.bootstrap(), ErrorCode::HdsWriteBoot)?;
        let old = left.into_iter().map(|old| self.fragment_path(old.number));
        self.files.delete(old);
        Ok(())
    }

    fn replace(&self, extension: &str, content: Vec<u8>, code: ErrorCode) -> Result<()> {
        let path = format!("{}.{extension}", self.stem);
        self.files.replace(&path, content, code)
    }
}

fn failed(path: &str) -> String {
    format!("HDS file {path} cannot be written")
}

impl Recorder for HdsRecorder {
    fn name(&self) -> &'static str {
        "HDS"
    }

    fn begin(&mut self) -> Result<()> {
        let name = self.stem.rsplit('/').next().unwrap_or_default();
        self.replace("f4m", manifest(name).into_bytes(), ErrorCode::HdsWriteF4m)
    }

    fn take(&mut self, frame: &Frame) -> Result<()> {
        if frame.kind == Kind::Data {
            return Ok(());
        }
        self.follow(frame.timestamp);
        self.stream.used.set(Moment::now());
        if frame.facts.sequence_header {
            self.headers.insert(frame.kind, frame.clone());
        } else if self.is_due() {
            self.cut()?;
        }
        if self.open.is_none() {
            if frame.facts.sequence_header {
                return Ok(());
            }
            self.open()?;
        }
        self.put(frame)
    }

    fn missed(&mut self, _count: u64) {}

    fn finish(&mut self) -> Result<()> {
        self.cut()
    }

    fn on_error(&self, _error: &Error) -> OnError {
        OnError::Stop
    }
}
