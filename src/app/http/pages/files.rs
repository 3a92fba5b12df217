//! What the pages are made of, by name. Both have the shared parts, so that neither needs the other.

/// A file of a page.
pub struct File {
    /// Its path below the page's own.
    pub name: &'static str,
    pub content: &'static [u8],
}

macro_rules! files {
    ($($folder:literal: $($name:literal)*;)*) => {
        &[$($(File { name: $name, content: include_bytes!(concat!($folder, "/", $name)) }),*),*]
    };
}

/// The console.
pub const CONSOLE: &[File] = files! {
    "shared": "appearance.js" "base.css" "dom.js" "format.js" "icon.svg";
    "console": "api.js" "chart.js" "console.css" "dialogs.js" "history.js" "index.html" "main.js" "pager.js" "poll.js"
        "views/clients.js" "views/media.js" "views/overview.js" "views/publishers.js" "views/server.js" "views/stream.js" "views/streams.js";
};

/// The player.
pub const PLAYERS: &[File] = files! {
    "shared": "appearance.js" "base.css" "dom.js" "format.js" "icon.svg";
    "players": "codec/audio.js" "codec/av1.js" "codec/avc.js" "codec/bits.js" "codec/hevc.js" "feeder.js"
        "flv/reader.js" "flv/remuxer.js" "flv/tags.js" "flv/timeline.js" "flv-player.js" "index.html" "link.js"
        "live-edge.js" "main.js" "mp4/boxes.js" "mp4/fragment.js" "mp4/init.js" "native-player.js" "player.css"
        "problems.js" "session.js" "statistics.js" "transport.js";
};

/// Pages that went by another name in SRS, and what stands in for them.
pub const OLD_NAMES: &[(&str, &str)] = &[("srs_player.html", "index.html")];
