//! HDS: the files on the disk. No player is left for them, so the fragments are put together and read as FLV.

use std::fs;

use crate::support::clients::Ffmpeg;
use crate::support::flv;
use crate::support::media::Sample;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

#[test]
fn fragments_hold_the_stream() {
    let server = Setup::default()
        .vhost("hds { enabled on; hds_fragment 1; hds_window 4; hds_path ./html; }")
        .start();
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("s"));
    let fragment = |number: u32| server.file(&format!("html/live/sSeg1-Frag{number}"));
    wait_for("six fragments, the first ones deleted", 20, || {
        (fragment(6).exists() && !fragment(1).exists()).then_some(())
    });
    let manifest = fs::read_to_string(server.file("html/live/s.f4m")).expect("the manifest");
    for part in ["<id>s.f4m</id>", "url=\"s.abst\"", "<media bitrate=\"0\" url=\"s\""] {
        assert!(manifest.contains(part), "{part} in {manifest}");
    }
    let bootstrap = fs::read(server.file("html/live/s.abst")).expect("the bootstrap");
    assert_eq!(&bootstrap[4..8], b"abst");
    assert_eq!(bootstrap[..4], (bootstrap.len() as u32).to_be_bytes());

    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for number in 3..=5 {
        let bytes = fs::read(fragment(number)).expect("a fragment");
        assert_eq!(&bytes[4..8], b"mdat");
        assert_eq!(bytes[..4], (bytes.len() as u32).to_be_bytes());
        // Sound and pictures are configured first, so that it can be played alone.
        assert_eq!((bytes[8], bytes[8 + 11 + 1]), (8, 0), "a header of sound comes first");
        file.extend_from_slice(&bytes[8..]);
    }
    let joined = server.file("joined.flv");
    fs::write(&joined, &file).expect("write the fragments");
    flv::assert_same_media(&flv::read(&Sample::H264Aac.path()), &flv::read(&joined), 50);
    let decoded = Ffmpeg::Debian.decode(server.folder(), &joined);
    assert!(decoded >= 70, "{decoded}");
}
