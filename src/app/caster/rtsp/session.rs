//! A session that is recorded: packets from wherever they come, in one queue to the coroutine that publishes.

use std::cell::{Cell, RefCell};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::track::{SessionClock, Track};
use super::transport::{Carrier, UdpPair};
use crate::app::caster::outlet::Outlet;
use crate::app::server::Server;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, JoinHandle};
use crate::core::limits::RTSP_PACKETS;
use crate::core::sync::{Receiver, Sender, channel};
use crate::core::udp::UdpSocket;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::remux::Interleaver;
use crate::kernel::frame::Frame;
use crate::protocol::rtsp;

/// The longest datagram, bytes: senders keep below a frame of Ethernet.
const DATAGRAM_BYTES: usize = 9216;
/// What the system is asked to hold while we are busy, bytes.
const RECEIVE_BYTES: usize = 1 << 20;
/// How long the end of a connection waits for the end of its publication.
const GOODBYE: Duration = Duration::from_secs(3);

/// A media that is announced.
pub struct Media {
    /// What becomes of its packets.
    pub track: Track,
    /// How they come; none before SETUP.
    pub carrier: Option<Carrier>,
}

impl Media {
    /// Before SETUP.
    pub fn new(track: Track) -> Self {
        Media { track, carrier: None }
    }
}

/// A packet of a media.
pub struct MediaPacket {
    media: usize,
    is_rtcp: bool,
    data: Bytes,
}

/// What runs between RECORD and the end.
pub struct Session {
    stream: Rc<Stream>,
    queue: Option<Sender<MediaPacket>>,
    carriers: Vec<Option<Carrier>>,
    tracks: Rc<RefCell<Vec<Track>>>,
    heard: Rc<Cell<Moment>>,
    receivers: Vec<JoinHandle<()>>,
    publisher: JoinHandle<()>,
}

impl Session {
    /// Starts publishing at `url` what comes.
    pub fn start(server: &Rc<Server>, stream: &Rc<Stream>, media: Vec<Media>, url: String, peer: SocketAddr) -> Self {
        let (tracks, carriers): (Vec<Track>, Vec<_>) =
            media.into_iter().map(|media| (media.track, media.carrier)).unzip();
        let (queue, packets) = channel(RTSP_PACKETS);
        let tracks = Rc::new(RefCell::new(tracks));
        let heard = Rc::new(Cell::new(Moment::now()));
        let mut receivers = Vec::new();
        for (number, carrier) in carriers.iter().enumerate() {
            let Some(Carrier::Udp(pair, _)) = carrier else {
                continue;
            };
            let _ = pair.rtp.set_receive_buffer(RECEIVE_BYTES);
            for is_rtcp in [false, true] {
                let (pair, queue, heard) = (pair.clone(), queue.clone(), heard.clone());
                let receive = move || receive(&pair, number, is_rtcp, peer, &queue, &heard);
                receivers.push(coroutine::spawn(format!("caster rtsp RTP {peer}"), receive));
            }
        }
        let (server, ending, own) = (server.clone(), stream.clone(), tracks.clone());
        let publisher = coroutine::spawn(format!("caster rtsp publish {peer}"), move || {
            if let Err(error) = publish(&server, &own, &packets, url, peer) {
                log::warn!("caster rtsp: {peer} is cut off, {}", error.summary());
                // Its own coroutine notices.
                let _ = ending.shutdown(Shutdown::Both);
            }
        });
        Session {
            stream: stream.clone(),
            queue: Some(queue),
            carriers,
            tracks,
            heard,
            receivers,
            publisher,
        }
    }

    /// Takes a packet that came between the messages. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketClosed`] when the stream is published no more.
    pub fn take(&self, channel: u8, data: Bytes) -> Result<()> {
        let is_its = |carrier: &Option<Carrier>| match carrier {
            Some(Carrier::Interleaved(first)) => *first == channel || first.checked_add(1) == Some(channel),
            _ => false,
        };
        let (Some(media), Some(queue)) = (self.carriers.iter().position(is_its), &self.queue) else {
            return Ok(());
        };
        let is_rtcp = matches!(&self.carriers[media], Some(Carrier::Interleaved(first)) if *first != channel);
        let packet = MediaPacket { media, is_rtcp, data };
        let sent = queue.send(packet);
        sent.map_err(|_| Error::new(ErrorCode::SocketClosed, "the stream is published no more"))
    }

    /// When the last packet came by UDP.
    pub fn heard(&self) -> Moment {
        self.heard.get()
    }

    /// Sends a receiver report for each media. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::SocketWrite`]; what goes by UDP may get lost without one.
    pub fn report(&self, ssrc: u32) -> Result<()> {
        for (number, carrier) in self.carriers.iter().enumerate() {
            let report = self
                .tracks
                .borrow()
                .get(number)
                .and_then(|track| track.receiver_report(ssrc));
            let Some(report) = report else {
                continue;
            };
            match carrier {
                Some(Carrier::Udp(pair, peer)) => {
                    let rtcp = SocketAddr::new(peer.ip(), peer.port().saturating_add(1));
                    let _ = pair.rtcp.try_send_to(&report, rtcp);
                }
                Some(Carrier::Interleaved(channel)) => {
                    let packet = rtsp::packet(channel.saturating_add(1), &report).unwrap_or_default();
                    let sent = self.stream.write_all(&packet);
                    sent.io_wrap(ErrorCode::SocketWrite, || "send report".into())?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Ends the publication with what has come. Yields.
    pub fn finish(mut self) {
        self.queue = None;
        for receiver in &self.receivers {
            receiver.interrupt();
        }
        if !self.publisher.wait_for(GOODBYE) {
            self.publisher.interrupt();
        }
    }
}

/// Puts datagrams of the peer into the queue until interrupted. What does not fit is lost, as it is on the way.
fn receive(
    pair: &UdpPair,
    media: usize,
    is_rtcp: bool,
    peer: SocketAddr,
    queue: &Sender<MediaPacket>,
    heard: &Cell<Moment>,
) {
    let socket: &UdpSocket = if is_rtcp { &pair.rtcp } else { &pair.rtp };
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        match socket.recv_from(&mut buffer, Moment::NEVER) {
            Ok((count, from)) if from.ip().to_canonical() == peer.ip().to_canonical() => {
                heard.set(Moment::now());
                let data = Bytes::copy_from_slice(&buffer[..count]);
                let _ = queue.try_send(MediaPacket { media, is_rtcp, data });
            }
            Ok(_) => {}
            Err(error) => return log::debug!("RTP of {peer} ends: {error}"),
        }
    }
}

/// Publishes what comes until nothing more does. Yields.
fn publish(
    server: &Rc<Server>,
    tracks: &RefCell<Vec<Track>>,
    packets: &Receiver<MediaPacket>,
    url: String,
    peer: SocketAddr,
) -> Result<()> {
    let mut outlet = Outlet::new(server, url);
    let (mut clock, mut order, mut frames) = (SessionClock::new(), Interleaver::default(), Vec::new());
    let has = |sound| {
        tracks
            .borrow()
            .iter()
            .any(|track| track.is_understood() && track.is_sound() == sound)
    };
    order.expect(has(true), has(false));
    let (mut count, mut faults) = (0u64, 0u64);
    while let Some(packet) = packets.recv() {
        count += 1;
        if let Err(error) = take(&mut tracks.borrow_mut(), &packet, &mut clock, &mut frames) {
            faults += 1;
            log::debug!("caster rtsp: {peer}: {}", error.summary());
        }
        frames.drain(..).for_each(|frame| order.push(frame));
        let ready: Vec<Frame> = std::iter::from_fn(|| order.pop()).collect();
        outlet.send(&ready)?;
        if server.casters.turn.take(server.config().pithy_print) {
            let place = outlet.place();
            log::info!("<- CST rtsp {peer} to {place}, packets={count}, faults={faults}");
        }
    }
    order.release();
    let rest: Vec<Frame> = std::iter::from_fn(|| order.pop()).collect();
    outlet.send(&rest)?;
    outlet.finish();
    Ok(())
}

fn take(tracks: &mut [Track], packet: &MediaPacket, clock: &mut SessionClock, frames: &mut Vec<Frame>) -> Result<()> {
    match tracks.get_mut(packet.media) {
        Some(track) if packet.is_rtcp => track.rtcp(&packet.data, clock),
        Some(track) => track.rtp(&packet.data, clock, frames),
        None => Ok(()),
    }
}
