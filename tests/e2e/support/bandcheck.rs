//! A client of bandwidth tests, as players of SRS 1 to 4 did them.

use std::io;
use std::time::Duration;

use super::amf::Amf;
use super::rtmp::{Message, Rtmp};

/// What the server says at the end: milliseconds, bytes, kilobits a second.
#[derive(Debug)]
pub struct Report {
    pub start_time: f64,
    pub end_time: f64,
    pub play_kbps: f64,
    pub publish_kbps: f64,
    pub play_bytes: f64,
    pub publish_bytes: f64,
    pub play_time: f64,
    pub publish_time: f64,
}

/// One test.
#[derive(Debug)]
pub struct Tester {
    pub client: Rtmp,
    is_flash: bool,
}

impl Tester {
    /// Connects to a vhost; `swf_url` is empty unless it is a Flash player. A refusal is an error with the server's words.
    pub fn connect(port: u16, vhost: &str, key: &str, swf_url: &str) -> io::Result<Self> {
        let mut client = Rtmp::open(port)?;
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("key={key}")
        };
        let tc_url = format!("rtmp://127.0.0.1:{port}/app?vhost={vhost}&{key}");
        let mut properties = vec![("app", Amf::text("app")), ("tcUrl", Amf::text(&tc_url))];
        if !swf_url.is_empty() {
            properties.push(("swfUrl", Amf::text(swf_url)));
        }
        client.command("connect", 1.0, 0, &[Amf::object(&properties)])?;
        let answer = client.receive_until(|message| {
            let name = message.name();
            matches!(name.as_deref(), Some("_result" | "_error" | "onStatus"))
        })?;
        if answer.name().as_deref() != Some("_result") {
            return Err(io::Error::other(format!("refused: {:?}", answer.values())));
        }
        Ok(Tester {
            client,
            is_flash: !swf_url.is_empty(),
        })
    }

    /// Up to the server's first filler.
    pub fn begin_play(&mut self) -> io::Result<()> {
        let plan = self.wait("onSrsBandCheckStartPlayBytes")?;
        assert_eq!(number(&plan, "duration_ms"), 3000.0);
        self.say("onSrsBandCheckStartingPlayBytes")
    }

    /// Does its part of the whole dialogue; checks what the server says on the way.
    pub fn run(mut self) -> io::Result<Report> {
        self.begin_play()?;
        let mut wanted = 1;
        let stop = loop {
            let message = self.client.receive()?;
            match message.name().as_deref() {
                Some("onSrsBandCheckPlaying") => {
                    let last = (wanted - 1).to_string();
                    let values = message.values();
                    assert!(values.iter().any(|value| value.get(&last).is_some()), "no piece {last}");
                    wanted = (wanted + 2).min(1001);
                }
                Some("onSrsBandCheckStopPlayBytes") => break message,
                _ => {}
            }
        };
        assert!(wanted > 3, "the filler does not grow");
        assert!(number(&stop, "bytes_delta") > 0.0 && number(&stop, "duration_delta") >= 3000.0);
        self.say("onSrsBandCheckStoppedPlayBytes")?;
        self.wait("onSrsBandCheckStartPublishBytes")?;
        self.say("onSrsBandCheckStartingPublishBytes")?;
        self.publish()?;
        if !self.is_flash {
            self.say("onSrsBandCheckStoppedPublishBytes")?;
        }
        let end = self.wait("onSrsBandCheckFinished")?;
        if !self.is_flash {
            self.say("finalClientPacket")?;
        }
        assert!(self.client.is_closed_within(5), "the server does not close");
        let field = |name| number(&end, name);
        Ok(Report {
            start_time: field("start_time"),
            end_time: field("end_time"),
            play_kbps: field("play_kbps"),
            publish_kbps: field("publish_kbps"),
            play_bytes: field("play_bytes"),
            publish_bytes: field("publish_bytes"),
            play_time: field("play_time"),
            publish_time: field("publish_time"),
        })
    }

    /// Sends filler until the server says stop: as much as it takes, in steps of a few milliseconds.
    fn publish(&mut self) -> io::Result<()> {
        let piece = Amf::text(&"A".repeat(500));
        let filler = [Amf::Null, Amf::object(&[("0", piece.clone()), ("1", piece)])];
        while !self.client.has_input()? {
            self.client.command("onSrsBandCheckPublishing", 0.0, 0, &filler)?;
            std::thread::sleep(Duration::from_millis(2));
        }
        self.wait("onSrsBandCheckStopPublishBytes").map(drop)
    }

    fn say(&mut self, name: &str) -> io::Result<()> {
        self.client.command(name, 0.0, 0, &[Amf::Null])
    }

    fn wait(&mut self, name: &str) -> io::Result<Message> {
        self.client
            .receive_until(|message| message.name().as_deref() == Some(name))
    }
}

fn number(message: &Message, field: &str) -> f64 {
    let values = message.values();
    let found = values
        .last()
        .and_then(|object| object.get(field))
        .and_then(Amf::as_number);
    found.unwrap_or_else(|| panic!("no {field} in {values:?}"))
}
