//! Records the corpus of the fuzz targets: what real clients and servers say, through a tap, and what FFmpeg writes.
//!
//! Run it to take the bytes anew; what it does not write (`by-hand-*`) stays as it is:
//! `cargo test --test e2e record_the_fuzz_corpus -- --ignored`

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use srs_may::kernel::codec::nal::{AvccNals, LengthSize, put_annex_b};
use srs_may::kernel::codec::{AudioCodec, VideoCodec, aac, avc, hevc};
use srs_may::kernel::flv::audio::AudioTag;
use srs_may::kernel::flv::video::VideoTag;
use srs_may::protocol::rtmp::chunk::Decoder;
use srs_may::protocol::rtmp::message::{Control, kind};

use crate::support::clients::{Ffmpeg, gstreamer, rtmpdump};
use crate::support::flv::{self, AUDIO, VIDEO};
use crate::support::media::Sample;
use crate::support::nginx::Nginx;
use crate::support::port::Port;
use crate::support::server::Server;
use crate::support::workdir::repository;

/// What is kept of one direction of a connection behind its handshake, of a message, and of a file.
const STREAM_BYTES: usize = 6000;
const MESSAGE_BYTES: usize = 1500;
const FILE_BYTES: usize = 4000;
/// Of transport streams: 64 packets.
const TS_BYTES: usize = 64 * 188;
/// Of the tags for the MP4 target.
const MP4_BYTES: usize = 15_000;
/// The start of a keyframe is what parsers look at.
const KEYFRAME_BYTES: usize = 300;

const C0C1: usize = 1537;
const C2: usize = 1536;
const S0S1S2: usize = 3073;

const SAMPLES: [Sample; 7] = [
    Sample::H264Aac,
    Sample::H264Mp3,
    Sample::H264,
    Sample::Aac,
    Sample::HevcAac,
    Sample::Av1Opus,
    Sample::Vp9Opus,
];

#[test]
#[ignore = "writes into the source tree"]
fn record_the_fuzz_corpus() {
    for sample in SAMPLES {
        keep_sample(sample);
    }
    record_clients();
    record_a_server();
}

fn keep(target: &str, name: &str, bytes: &[u8]) {
    let folder = repository().join("tests/fixtures/fuzz").join(target);
    fs::create_dir_all(&folder).expect("create a folder of the corpus");
    fs::write(folder.join(name), bytes).expect("write to the corpus");
}

/// The start of a sample as FFmpeg writes it in MPEG-TS, if that can hold it.
fn transport_stream(path: &Path, sample: Sample) -> Option<Vec<u8>> {
    if matches!(sample, Sample::Av1Opus | Sample::Vp9Opus) {
        return None;
    }
    let mut command = Command::new(Ffmpeg::Eight.program());
    command.args(["-nostdin", "-v", "error", "-i"]).arg(path);
    command.args(["-c", "copy", "-f", "mpegts", "pipe:1"]);
    let mut stream = command.output().expect("run FFmpeg").stdout;
    stream.truncate(TS_BYTES);
    Some(stream)
}

/// The seed of the cuts stands before the bytes.
fn keep_cut(target: &str, name: &str, seed: u16, bytes: &[u8]) {
    keep(target, name, &[&seed.to_be_bytes(), bytes].concat());
}

/// Both directions of the first connection that comes to a port of its own, passed on to a server.
struct Tap {
    port: Port,
    sent: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(server: u16) -> Self {
        let port = Port::free();
        let listener = TcpListener::bind(("127.0.0.1", port.number())).expect("listen");
        let tap = Tap {
            port,
            sent: Arc::default(),
            answered: Arc::default(),
        };
        let (sent, answered) = (tap.sent.clone(), tap.answered.clone());
        thread::spawn(move || {
            let (client, _) = listener.accept().expect("accept");
            let server = TcpStream::connect(("127.0.0.1", server)).expect("connect");
            let (client_in, server_in) = (client.try_clone(), server.try_clone());
            thread::spawn(move || pass_on(client_in.expect("clone"), server, &sent));
            pass_on(server_in.expect("clone"), client, &answered);
        });
        tap
    }

    fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port.number())
    }

    fn keep_client(&self, name: &str) {
        let sent = self.sent.lock().expect("the tap");
        keep("handshake", name, &sent[..C0C1]);
        keep("proxy_prefix", name, &sent[..16]);
        let bytes = &sent[C0C1 + C2..];
        let start = &bytes[..bytes.len().min(STREAM_BYTES)];
        keep_cut("chunk_decoder", name, 7, start);
        keep_cut("session_server", name, 500, start);
        keep_messages(name, bytes);
    }

    /// An even seed makes our client publish, an odd one makes it play.
    fn keep_server(&self, name: &str, seed: u16) {
        let answered = self.answered.lock().expect("the tap");
        keep("handshake", name, &answered[..S0S1S2]);
        let bytes = &answered[S0S1S2..];
        let start = &bytes[..bytes.len().min(STREAM_BYTES)];
        keep_cut("chunk_decoder", name, 70, start);
        keep_cut("session_client", name, seed, start);
        keep_messages(name, bytes);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        record.lock().expect("the tap").extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// One message of each kind and length class.
fn keep_messages(name: &str, bytes: &[u8]) {
    let (mut decoder, mut input) = (Decoder::new(), BytesMut::from(bytes));
    let mut seen = BTreeSet::new();
    while let Ok(Some(message)) = decoder.decode(&mut input) {
        if let Ok(Some(Control::SetChunkSize(size))) = Control::parse(message.kind, &message.payload) {
            decoder.set_chunk_size(size).expect("a fair chunk size");
        }
        let payload = &message.payload[..message.payload.len().min(MESSAGE_BYTES)];
        let is_amf = kind::is_command(message.kind) || kind::is_data(message.kind);
        if !is_amf && !seen.insert(message.kind) || matches!(message.kind, AUDIO | VIDEO) {
            continue;
        }
        let head: Vec<u8> = payload.iter().copied().take(12).collect();
        if is_amf && seen.len() < 40 && seen.insert(100 + seen.len() as u8) {
            let label: String = head
                .iter()
                .filter(|byte| byte.is_ascii_alphabetic())
                .map(|byte| char::from(*byte))
                .collect();
            keep(
                "message",
                &format!("{name}-{label}"),
                &[&[message.kind], payload].concat(),
            );
            // The name and the number of the call stand before the object.
            let object = payload
                .windows(1)
                .position(|byte| byte == [3] || byte == [8])
                .unwrap_or(0);
            keep("amf0", &format!("{name}-{label}"), &payload[object..]);
        } else if !is_amf {
            keep(
                "message",
                &format!("{name}-{}", message.kind),
                &[&[message.kind], payload].concat(),
            );
        }
    }
}

fn record_clients() {
    let server = Server::start();
    for (sample, ffmpeg) in [
        (Sample::H264Aac, Ffmpeg::Debian),
        (Sample::HevcAac, Ffmpeg::Eight),
        (Sample::Av1Opus, Ffmpeg::Eight),
    ] {
        let tap = Tap::before(server.port());
        let name = format!("{}-publishes-{sample:?}", ffmpeg.name());
        let publisher = ffmpeg.publish(server.folder(), &sample.path(), &tap.url(&name));
        thread::sleep(Duration::from_secs(3));
        tap.keep_client(&name);
        drop(publisher);
    }
    let tap = Tap::before(server.port());
    let url = tap.url("gst");
    let publisher = gstreamer(
        server.folder(),
        &format!(
            "flvmux name=mux streamable=true ! rtmp2sink location={url} \
             videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 \
             ! x264enc key-int-max=25 tune=zerolatency speed-preset=ultrafast ! h264parse ! queue ! mux. \
             audiotestsrc is-live=true ! avenc_aac ! aacparse ! queue ! mux."
        ),
    );
    thread::sleep(Duration::from_secs(4));
    tap.keep_client("gstreamer-publishes");
    let tap = Tap::before(server.port());
    let player = rtmpdump(server.folder(), &tap.url("gst"), &server.file("dumped.flv"), &[]);
    thread::sleep(Duration::from_secs(3));
    tap.keep_client("rtmpdump-plays");
    tap.keep_server("srs-to-rtmpdump", 501);
    drop((player, publisher));
}

fn record_a_server() {
    let server = Server::start();
    let nginx = Nginx::start(server.folder(), "");
    let (publish, play) = (Tap::before(nginx.port()), Tap::before(nginx.port()));
    let publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &publish.url("x"));
    thread::sleep(Duration::from_secs(1));
    let player = rtmpdump(server.folder(), &play.url("x"), &server.file("dumped.flv"), &[]);
    thread::sleep(Duration::from_secs(3));
    publish.keep_server("nginx-to-ffmpeg", 500);
    play.keep_server("nginx-to-rtmpdump", 501);
    drop((player, publisher));
}

/// A sample's file, its tags, and what is in its sequence headers.
fn keep_sample(sample: Sample) {
    let (path, name) = (sample.path(), format!("{sample:?}"));
    let file = fs::read(&path).expect("read a sample");
    keep_cut("flv_demux", &name, 9, &file[..file.len().min(FILE_BYTES)]);
    keep("mp4", &name, &first_tags(&file));
    if let Some(stream) = transport_stream(&path, sample) {
        keep_cut("ts_remux", &name, 9, &stream);
    }
    let tags = flv::read(&path);
    for (kind, target) in [(VIDEO, "flv_video"), (AUDIO, "flv_audio")] {
        let of_kind: Vec<_> = tags.iter().filter(|tag| tag.kind == kind).collect();
        let header = of_kind.iter().find(|tag| tag.is_header());
        let frame = of_kind
            .iter()
            .filter(|tag| !tag.is_header())
            .min_by_key(|tag| tag.payload.len());
        let first = of_kind.iter().find(|tag| !tag.is_header());
        for (what, tag, limit) in [
            ("header", header, usize::MAX),
            ("frame", frame, MESSAGE_BYTES),
            ("keyframe", first, KEYFRAME_BYTES),
        ] {
            let Some(tag) = tag else {
                continue;
            };
            let payload = &tag.payload[..tag.payload.len().min(limit)];
            keep(target, &format!("{name}-{what}"), payload);
            match kind {
                VIDEO => keep_picture(&format!("{name}-{what}"), payload),
                _ => keep_sound(&format!("{name}-{what}"), payload),
            }
        }
    }
}

/// Options of the target (fragments of 120 ms), then as many whole tags as fit a mutation.
fn first_tags(file: &[u8]) -> Vec<u8> {
    let mut out = vec![0x30];
    let mut rest = &file[13..];
    while let [_, a, b, c, ..] = *rest {
        let bytes = 11 + usize::from(a) * 65_536 + usize::from(b) * 256 + usize::from(c) + 4;
        if out.len() + bytes > MP4_BYTES {
            break;
        }
        out.extend_from_slice(&rest[..bytes]);
        rest = &rest[bytes..];
    }
    out
}

fn keep_picture(name: &str, body: &[u8]) {
    let tag = VideoTag::parse(body).expect("a video tag of FFmpeg's");
    let target = match tag.codec {
        Some(VideoCodec::H264) => "avc",
        Some(VideoCodec::Hevc) => "hevc",
        Some(VideoCodec::Av1) => "av1",
        _ => "vpx",
    };
    if tag.is_sequence_header() || matches!(target, "av1" | "vpx") {
        keep(target, name, tag.payload);
    }
    let mut annex_b = Vec::new();
    if !tag.is_sequence_header() {
        let nals = AvccNals::new(tag.payload, LengthSize::FOUR).filter_map(Result::ok);
        nals.for_each(|nal| put_annex_b(&mut annex_b, nal));
    } else if target == "avc" {
        let config = avc::DecoderConfig::parse(tag.payload).expect("a record of FFmpeg's");
        config
            .sps
            .iter()
            .chain(&config.pps)
            .for_each(|nal| put_annex_b(&mut annex_b, nal));
        keep(target, &format!("{name}-sps"), &config.sps[0]);
    } else if target == "hevc" {
        let config = hevc::DecoderConfig::parse(tag.payload).expect("a record of FFmpeg's");
        for nal in config.arrays.iter().flat_map(|array| &array.nals) {
            put_annex_b(&mut annex_b, nal);
        }
        for (what, nal_type) in [("vps", hevc::nal_type::VPS), ("sps", hevc::nal_type::SPS)] {
            let nal = config.nals(nal_type).next().expect("FFmpeg sends each set");
            keep(target, &format!("{name}-{what}"), nal);
        }
    }
    if !annex_b.is_empty() && matches!(target, "avc" | "hevc") {
        keep(target, &format!("{name}-annex-b"), &annex_b);
        keep("nal_units", &format!("{name}-annex-b"), &annex_b);
        keep("nal_units", name, tag.payload);
    }
}

fn keep_sound(name: &str, body: &[u8]) {
    let tag = AudioTag::parse(body).expect("an audio tag of FFmpeg's");
    if tag.codec != AudioCodec::Aac {
        return keep("audio_headers", name, tag.payload);
    }
    if tag.is_sequence_header() {
        return keep("aac", name, tag.payload);
    }
    let config = aac::AudioSpecificConfig::new(aac::object_type::LC, 44_100, 1).expect("a plain configuration");
    let header = aac::adts::write_header(&config, tag.payload.len()).expect("a short frame");
    let frame = [&header[..], tag.payload].concat();
    keep("aac", &format!("{name}-adts"), &frame.repeat(2));
}

/// The folder of a target has nothing but what was recorded and what was written by hand.
#[test]
fn the_fuzz_corpus_is_small() {
    let folder = repository().join("tests/fixtures/fuzz");
    let size = |folder: &Path| -> u64 {
        let entries = fs::read_dir(folder).expect("read a folder of the corpus");
        entries
            .map(|entry| entry.expect("an entry").metadata().expect("its size").len())
            .sum()
    };
    for entry in fs::read_dir(folder).expect("read the corpus") {
        let path = entry.expect("a folder of the corpus").path();
        if path.is_dir() {
            assert!(size(&path) < 200_000, "{} is {} bytes", path.display(), size(&path));
        }
    }
}
