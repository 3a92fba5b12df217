//! Pushes of other protocols become RTMP streams: MPEG-TS over UDP, FLV over HTTP, RTP that RTSP announces.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::clients::{Ffmpeg, codecs, gstreamer, probe};
use crate::support::flv::{self, AUDIO, VIDEO, assert_same_media};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{Server, Setup};

/// A server with a caster of a kind; `output` is a path at the server itself.
fn start(kind: &str, listen: &str, output: &str, more: &str) -> Running {
    let port = Port::free();
    let block = format!(
        "stream_caster {{ enabled on; caster {kind}; listen {listen}; \
         output rtmp://127.0.0.1:{}{output}; {more} }}\n",
        port.number()
    );
    Running {
        server: Setup::default().globals(&block).port(&port).start(),
        _port: port,
    }
}

/// A server, and its port, which the configuration had to know.
struct Running {
    server: Server,
    _port: Port,
}

impl Deref for Running {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Sends a file as MPEG-TS in datagrams, over and over at its own speed, until dropped.
fn send_ts(server: &Server, ffmpeg: Ffmpeg, file: &Path, url: &str) -> Program {
    let mut command = Command::new(ffmpeg.program());
    command.args([
        "-nostdin",
        "-hide_banner",
        "-v",
        "warning",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
    ]);
    command.arg(file).args(["-c", "copy", "-f", "mpegts", url]);
    Program::start(ffmpeg.name(), server.folder(), &mut command)
}

fn record(server: &Server, ffmpeg: Ffmpeg, stream: &str, seconds: u32) -> PathBuf {
    let recording = server.file("played.flv");
    ffmpeg
        .record(server.folder(), &[], &server.url(stream), seconds, &recording)
        .wait(40)
        .ok();
    recording
}

#[test]
fn ffmpeg_sends_h264_with_b_frames_and_aac_over_udp() {
    let port = Port::free();
    let server = start("mpegts_over_udp", &port.number().to_string(), "/live/livestream", "");
    let file = Sample::H264Aac.path();
    let url = format!("udp://127.0.0.1:{}?pkt_size=1316", port.number());
    let sender = send_ts(&server, Ffmpeg::Debian, &file, &url);
    let recording = record(&server, Ffmpeg::Debian, "livestream", 4);
    // Byte for byte, composition times of B frames included.
    assert_same_media(&flv::read(&file), &flv::read(&recording), 50);
    assert!(Ffmpeg::Debian.decode(server.folder(), &recording) >= 75);
    // Another sender is heard when the first one has been silent for a while.
    drop(sender);
    let _second = send_ts(&server, Ffmpeg::Debian, &file, &url);
    server.wait_for_lines(2, &["caster mpegts_over_udp", "sends"]);
    let recording = record(&server, Ffmpeg::Debian, "livestream", 2);
    assert_same_media(&flv::read(&file), &flv::read(&recording), 25);
}

#[test]
fn ffmpeg_sends_hevc_to_a_multicast_group() {
    let port = Port::free();
    let listen = format!("239.255.77.1:{}", port.number());
    let server = start("mpegts_over_udp", &listen, "/live/hevc", "interface 127.0.0.1;");
    let file = Sample::HevcAac.path();
    let url = format!("udp://{listen}?pkt_size=1316&localaddr=127.0.0.1&ttl=0");
    let _sender = send_ts(&server, Ffmpeg::Eight, &file, &url);
    let recording = record(&server, Ffmpeg::Eight, "hevc", 3);
    assert_eq!(
        codecs(&probe(server.folder(), &recording.display().to_string())),
        ["hevc", "aac"]
    );
    assert!(Ffmpeg::Eight.decode(server.folder(), &recording) >= 50);
}

#[test]
fn gstreamer_sends_over_udp() {
    let port = Port::free();
    let server = start("mpegts_over_udp", &port.number().to_string(), "/live/gst", "");
    let pipeline = format!(
        "mpegtsmux name=mux alignment=7 ! udpsink host=127.0.0.1 port={} \
         videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc key-int-max=25 tune=zerolatency speed-preset=ultrafast ! h264parse ! queue ! mux. \
         audiotestsrc is-live=true ! avenc_aac ! aacparse ! queue ! mux.",
        port.number()
    );
    let _sender = gstreamer(server.folder(), &pipeline);
    let recording = record(&server, Ffmpeg::Debian, "gst", 3);
    assert_eq!(
        codecs(&probe(server.folder(), &recording.display().to_string())),
        ["h264", "aac"]
    );
    assert!(Ffmpeg::Debian.decode(server.folder(), &recording) >= 50);
}

/// Datagrams are lost, doubled, cut, and garbage stands between them; what comes out is whole.
#[test]
fn losses_and_garbage_cost_only_what_they_hit() {
    let port = Port::free();
    let server = start("mpegts_over_udp", &port.number().to_string(), "/live/lossy", "");
    let file = Sample::H264Aac.path();
    let ts = server.file("sample.ts");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(&file);
    command.args(["-c", "copy", "-f", "mpegts"]).arg(&ts);
    run("ffmpeg", server.folder(), 30, &mut command).ok();
    let bytes = std::fs::read(&ts).expect("read the transport stream");
    let target = (Ipv4Addr::LOCALHOST, port.number());
    let sender = thread::spawn(move || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let mut random = fastrand::Rng::with_seed(7);
        let datagrams: Vec<&[u8]> = bytes.chunks(1316).collect();
        let (start, pace) = (Instant::now(), 8.0 / datagrams.len() as f64);
        for (number, datagram) in datagrams.iter().enumerate() {
            let due = Duration::from_secs_f64(number as f64 * pace);
            thread::sleep(due.saturating_sub(start.elapsed()));
            let send = |bytes: &[u8]| drop(socket.send_to(bytes, target));
            match random.u8(..100) {
                0..3 => {}
                3..6 => {
                    send(datagram);
                    send(datagram);
                }
                6..8 => send(&datagram[..random.usize(..datagram.len())]),
                8..10 => {
                    let garbage: Vec<u8> = (0..random.usize(1..1400)).map(|_| random.u8(..)).collect();
                    send(&garbage);
                    send(datagram);
                }
                _ => send(datagram),
            }
        }
    });
    let recording = record(&server, Ffmpeg::Debian, "lossy", 5);
    sender.join().expect("the sender");
    let (sent, seen) = (flv::read(&file), flv::read(&recording));
    for (kind, least) in [(VIDEO, 40), (AUDIO, 60)] {
        let whole: HashSet<&[u8]> = flv::media(&sent, kind).into_iter().collect();
        let came = flv::media(&seen, kind);
        assert!(came.len() >= least, "{} of kind {kind} came", came.len());
        // What was cut short in its last packet, and went on with bytes of the next, cannot be told from what was sent.
        let foreign = came.iter().filter(|payload| !whole.contains(**payload)).count();
        assert!(foreign <= 1, "{foreign} of kind {kind} were never sent");
    }
}

#[test]
fn the_output_is_connected_to_again() {
    let port = Port::free();
    let server = start("mpegts_over_udp", &port.number().to_string(), "/live/again", "");
    let url = format!("udp://127.0.0.1:{}?pkt_size=1316", port.number());
    // Somebody else has the stream.
    let file = Sample::H264Aac.path();
    let owner = Ffmpeg::Debian.publish(server.folder(), &file, &server.url("again"));
    server.wait_for_line(&["/live/again"]);
    thread::sleep(Duration::from_secs(1));
    let _sender = send_ts(&server, Ffmpeg::Debian, &file, &url);
    server.wait_for_line(&["caster mpegts_over_udp: output fails"]);
    drop(owner);
    server.wait_for_line(&["caster publishes at"]);
    let recording = record(&server, Ffmpeg::Debian, "again", 2);
    assert_same_media(&flv::read(&file), &flv::read(&recording), 25);
}

#[test]
fn flv_is_posted_as_a_stream_and_as_a_file() {
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let server = start("flv", &listen, "/[app]/[stream]", "");
    let file = Sample::H264Aac.path();
    let publisher = Ffmpeg::Debian.publish(server.folder(), &file, &format!("http://{listen}/live/posted.flv"));
    let recording = record(&server, Ffmpeg::Debian, "posted", 3);
    assert_same_media(&flv::read(&file), &flv::read(&recording), 50);
    drop(publisher);
    let mut command = Command::new("curl");
    command
        .args(["-sS", "-w", "%{http_code}", "-X", "POST", "--limit-rate", "60k", "-T"])
        .arg(&file);
    command.arg(format!("http://{listen}/live/file"));
    let curl = Program::start("curl", server.folder(), &mut command);
    let recording = record(&server, Ffmpeg::Debian, "file", 2);
    assert_same_media(&flv::read(&file), &flv::read(&recording), 20);
    drop(curl);
}

#[test]
fn what_is_no_flv_is_refused() {
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let server = start("flv", &listen, "/[app]/[stream]", "");
    let post = |path: &str, method: &str, body: &str| {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "-o",
            "answer",
            "-w",
            "%{http_code}",
            "-X",
            method,
            "--data-binary",
            body,
        ]);
        command.arg(format!("http://{listen}{path}"));
        run("curl", server.folder(), 20, &mut command)
            .ok()
            .output
            .trim()
            .to_owned()
    };
    assert_eq!(post("/live/s", "POST", "this is no FLV file at all"), "400");
    assert_eq!(post("/", "POST", "x"), "400");
    assert_eq!(post("/live/a%3Fvhost=x", "POST", "x"), "400");
    assert_eq!(post("/live/s", "GET", ""), "405");
    // An empty stream is none, and no fault.
    assert_eq!(post("/live/s", "POST", ""), "200");
    drop(TcpStream::connect(&listen).expect("connect"));
}

/// Publishes a file over RTSP, over and over at its own speed, until dropped.
fn send_rtsp(server: &Server, ffmpeg: Ffmpeg, sample: Sample, transport: &str, url: &str) -> Program {
    let mut command = Command::new(ffmpeg.program());
    command.args([
        "-nostdin",
        "-hide_banner",
        "-v",
        "warning",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
    ]);
    command
        .arg(sample.path())
        .args(["-c", "copy", "-f", "rtsp", "-rtsp_transport", transport, url]);
    Program::start(ffmpeg.name(), server.folder(), &mut command)
}

/// RTP carries the same pictures and sound; it tells no decoding times, so the composition times may differ.
fn assert_same_coded(sample: Sample, recording: &Path, least: usize) {
    let (sent, seen) = (flv::read(&sample.path()), flv::read(recording));
    let pictures = |tags| -> Vec<Vec<u8>> {
        let all: Vec<&[u8]> = flv::media(tags, VIDEO);
        all.into_iter().map(|payload| payload[5..].to_vec()).collect()
    };
    let (sent_pictures, seen_pictures) = (pictures(&sent), pictures(&seen));
    flv::assert_stretch("video", &slices(&sent_pictures), &slices(&seen_pictures), least);
    flv::assert_stretch("audio", &flv::media(&sent, AUDIO), &flv::media(&seen, AUDIO), least);
}

fn slices(all: &[Vec<u8>]) -> Vec<&[u8]> {
    all.iter().map(Vec::as_slice).collect()
}

#[test]
fn ffmpeg_publishes_over_rtsp_between_the_messages() {
    let port = Port::free();
    let server = start("rtsp", &format!("127.0.0.1:{}", port.number()), "/[app]/[stream]", "");
    let url = format!("rtsp://127.0.0.1:{}/live/tcp.sdp", port.number());
    let _sender = send_rtsp(&server, Ffmpeg::Debian, Sample::H264Aac, "tcp", &url);
    let recording = record(&server, Ffmpeg::Debian, "tcp", 4);
    assert_same_coded(Sample::H264Aac, &recording, 50);
    assert!(Ffmpeg::Debian.decode(server.folder(), &recording) >= 75);
}

#[test]
fn ffmpeg_publishes_over_rtsp_by_udp() {
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let server = start(
        "rtsp",
        &listen,
        "/[app]/[stream]",
        "rtp_port_min 57200; rtp_port_max 57300;",
    );
    let _sender = send_rtsp(
        &server,
        Ffmpeg::Debian,
        Sample::H264Aac,
        "udp",
        &format!("rtsp://{listen}/live/udp"),
    );
    let recording = record(&server, Ffmpeg::Debian, "udp", 4);
    assert_same_coded(Sample::H264Aac, &recording, 50);
}

#[test]
fn ffmpeg_publishes_hevc_over_rtsp() {
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let server = start("rtsp", &listen, "/[app]/[stream]", "");
    let sender = send_rtsp(
        &server,
        Ffmpeg::Eight,
        Sample::HevcAac,
        "tcp",
        &format!("rtsp://{listen}/live/hevc"),
    );
    let recording = record(&server, Ffmpeg::Eight, "hevc", 3);
    assert_eq!(
        codecs(&probe(server.folder(), &recording.display().to_string())),
        ["hevc", "aac"]
    );
    assert!(Ffmpeg::Eight.decode(server.folder(), &recording) >= 50);
    drop(sender);
    server.wait_for_line(&["caster rtsp:", "127.0.0.1"]);
}

#[test]
fn gstreamer_publishes_over_rtsp() {
    for transport in ["tcp", "udp"] {
        let port = Port::free();
        let listen = format!("127.0.0.1:{}", port.number());
        let server = start("rtsp", &listen, "/[app]/[stream]", "");
        let _sender = gstreamer(
            server.folder(),
            &format!(
                "rtspclientsink name=s protocols={transport} location=rtsp://{listen}/live/gst \
                 videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 \
                 ! x264enc key-int-max=25 tune=zerolatency speed-preset=ultrafast ! h264parse ! queue ! s.sink_0 \
                 audiotestsrc is-live=true ! audioconvert ! avenc_aac ! aacparse ! queue ! s.sink_1"
            ),
        );
        let recording = record(&server, Ffmpeg::Debian, "gst", 3);
        let report = probe(server.folder(), &recording.display().to_string());
        let mut names = codecs(&report);
        names.sort_unstable();
        assert_eq!(names, ["aac", "h264"], "{transport}");
        assert!(Ffmpeg::Debian.decode(server.folder(), &recording) >= 50, "{transport}");
    }
}
