//! The sessions of HLS players (`hls_ctx`): many requests of one player are one client in statistics and callbacks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::app::hooks::{Caller, Details, Event, Subject};
use crate::app::server::Server;
use crate::app::stat::{self, Carrier, ClientKind, NewClient};
use crate::core::clock::{Moment, unix_time};
use crate::core::id::ContextId;
use crate::core::limits::HLS_SESSIONS;
use crate::kernel::error::Result;

/// The parameter that names a session.
pub const PARAMETER: &str = "hls_ctx";
/// An id of a client's own may be so long.
const ID_BYTES: usize = 64;

/// One player.
pub struct Session {
    /// What its URLs carry.
    pub id: String,
    /// When its player came, Unix time in seconds.
    pub begun: u64,
    subject: Subject,
    caller: Caller,
    carried: Rc<Carried>,
    entry: Cell<Option<stat::Entry>>,
    /// How long it may be silent.
    patience: Duration,
    last: Cell<Moment>,
}

/// What its requests took, and whether it was kicked off.
#[derive(Default)]
struct Carried {
    received: Cell<u64>,
    sent: Cell<u64>,
    kicked: Cell<bool>,
}

impl Carrier for Carried {
    fn received_bytes(&self) -> u64 {
        self.received.get()
    }

    fn sent_bytes(&self) -> u64 {
        self.sent.get()
    }

    fn kick(&self) -> bool {
        self.kicked.set(true);
        true
    }
}

impl Session {
    /// Notes a request for the playlist.
    pub fn touch(&self) {
        self.last.set(Moment::now());
    }

    /// Notes what an answer took, bytes.
    pub fn carry(&self, received: u64, sent: u64) {
        self.carried.received.set(self.carried.received.get() + received);
        self.carried.sent.set(self.carried.sent.get() + sent);
    }

    /// Whether it began with this stream, by the stream's URL.
    pub fn is_of(&self, stream_url: &str) -> bool {
        self.subject.url.stream_url() == stream_url
    }

    /// Whether it was kicked off.
    pub fn is_kicked(&self) -> bool {
        self.carried.kicked.get()
    }

    fn end(&self) {
        if let Some(entry) = self.entry.take() {
            entry.leave(&Ok(()));
        }
        self.caller.tell(Event::Stop, &self.subject, Details::None);
    }
}

/// All players of HLS.
#[derive(Default)]
pub struct Sessions {
    by_id: RefCell<HashMap<String, Rc<Session>>>,
}

impl Sessions {
    /// The session of this id; one that was kicked off is among them.
    pub fn get(&self, id: &str) -> Option<Rc<Session>> {
        self.by_id.borrow().get(id).cloned()
    }

    /// Whether another one may begin.
    pub fn have_room(&self) -> bool {
        self.by_id.borrow().len() < HLS_SESSIONS
    }

    /// Begins a session, under the id that the client brings if it may be one. Asks the callback servers first. Yields.
    ///
    /// # Errors
    /// Those of [`Caller::ask`].
    pub fn begin(
        &self,
        server: &Rc<Server>,
        wished: Option<&str>,
        subject: Subject,
        name: &str,
    ) -> Result<Rc<Session>> {
        let id = match wished.filter(|id| is_id(id)) {
            Some(id) => id.to_owned(),
            None => ContextId::generate().to_string(),
        };
        let caller = Caller::of_session(server, &id);
        caller.ask(Event::Play, &subject)?;
        if let Some(known) = self.get(&id) {
            // Another request of this player was faster.
            return Ok(known);
        }
        let carried = Rc::<Carried>::default();
        let (url, key) = (&subject.url, subject.url.stream_url());
        let new = NewClient {
            id: &id,
            kind: ClientKind::HlsPlay,
            ip: subject.ip,
            page_url: &subject.page_url,
            swf_url: "",
            tc_url: &url.tc_url,
            vhost: &url.vhost,
            app: &url.app,
            name,
            stream: key.rsplit('/').next().unwrap_or_default(),
            url: &key,
            before: (0, 0),
        };
        let session = Rc::new(Session {
            entry: Cell::new(Some(server.stat.enter(new, carried.clone()))),
            patience: subject.vhost.hls.window * 2,
            last: Cell::new(Moment::now()),
            begun: unix_time().as_secs(),
            id: id.clone(),
            subject,
            caller,
            carried,
        });
        self.by_id.borrow_mut().insert(id, session.clone());
        Ok(session)
    }

    /// Ends the sessions of players that have not asked for the playlist for twice the window. May yield.
    pub fn end_silent(&self) {
        let now = Moment::now();
        self.end_if(|session| now.since(session.last.get()) >= session.patience);
    }

    /// Ends all. May yield.
    pub fn end_all(&self) {
        self.end_if(|_| true);
    }

    fn end_if(&self, wanted: impl Fn(&Session) -> bool) {
        let ended: Vec<_> = self
            .by_id
            .borrow_mut()
            .extract_if(|_, session| wanted(session))
            .collect();
        for (id, session) in ended {
            log::info!("HLS session {id} ends, {} bytes sent", session.carried.sent.get());
            session.end();
        }
    }
}

/// Whether an id may stand in URLs, logs and bodies as it is.
fn is_id(id: &str) -> bool {
    (1..=ID_BYTES).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Puts the session's id into the URIs of a playlist's segments.
pub fn with_id(playlist: &str, id: &str) -> String {
    let mut text = String::with_capacity(playlist.len() * 2);
    for line in playlist.split_inclusive('\n') {
        let (path, query) = line
            .split_once('?')
            .map_or((line.trim_end(), None), |(path, query)| (path, Some(query)));
        if line.starts_with('#') || ![".ts", ".m4s", ".m3u8"].iter().any(|known| path.ends_with(known)) {
            text.push_str(line);
            continue;
        }
        text.push_str(&format!("{path}?{PARAMETER}={id}"));
        match query {
            Some(query) => text.push_str(&format!("&{query}")),
            None => text.push_str(&line[path.len()..]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_get_the_id() {
        let playlist =
            "#EXTM3U\n#EXT-X-KEY:URI=\"a.ts\"\n#EXTINF:1.0,x.ts\na-0.ts\nb-1.ts?x=1\r\nc.mp4\n\na-2.ts\nd.m3u8\n";
        let expected = "#EXTM3U\n#EXT-X-KEY:URI=\"a.ts\"\n#EXTINF:1.0,x.ts\na-0.ts?hls_ctx=ID\nb-1.ts?hls_ctx=ID&x=1\r\nc.mp4\n\na-2.ts?hls_ctx=ID\nd.m3u8?hls_ctx=ID\n";
        assert_eq!(with_id(playlist, "ID"), expected);
    }

    #[test]
    fn ids_are_plain() {
        assert!(is_id("a1B2-_"));
        for id in ["", "a b", "<script>", "a\n", &"x".repeat(65)] {
            assert!(!is_id(id), "{id}");
        }
    }
}
