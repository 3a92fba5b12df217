//! GStreamer's RTMP elements, both ways.

use crate::support::clients::{Ffmpeg, codecs, gstreamer, probe};
use crate::support::flv::{self, assert_same_media};
use crate::support::media::Sample;
use crate::support::server::Server;

#[test]
fn rtmp2sink_publishes() {
    let server = Server::start();
    let url = server.url("gst");
    let _publisher = gstreamer(
        server.folder(),
        &format!(
            "flvmux name=mux streamable=true ! rtmp2sink location={url} \
             videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 \
             ! x264enc key-int-max=25 tune=zerolatency speed-preset=ultrafast ! h264parse ! queue ! mux. \
             audiotestsrc is-live=true ! avenc_aac ! aacparse ! queue ! mux."
        ),
    );
    let recording = server.file("played.flv");
    Ffmpeg::Debian
        .record(server.folder(), &[], &url, 3, &recording)
        .wait(30)
        .ok();
    assert_eq!(
        codecs(&probe(server.folder(), &recording.display().to_string())),
        ["h264", "aac"]
    );
    let pictures = Ffmpeg::Debian.decode(server.folder(), &recording);
    assert!(pictures >= 50, "3 seconds of 25 pictures hold {pictures}");
}

#[test]
fn rtmp2src_plays() {
    let server = Server::start();
    let (file, url) = (Sample::H264Aac.path(), server.url("gst"));
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &file, &url);
    let recording = server.file("played.flv");
    let pipeline = format!(
        "rtmp2src location={url} num-buffers=200 ! filesink location={}",
        recording.display()
    );
    gstreamer(server.folder(), &pipeline).wait(30).ok();
    assert_same_media(&flv::read(&file), &flv::read(&recording), 50);
}
