//! Content types of files by the ends of their names.

/// The content type of a file; anything unknown is `application/octet-stream`.
pub fn of(name: &str) -> &'static str {
    let file = name.rsplit('/').next().unwrap_or(name);
    let Some((_, extension)) = file.rsplit_once('.') else {
        return OTHER;
    };
    let extension = extension.to_ascii_lowercase();
    let found = TABLE.iter().find(|(known, _)| *known == extension);
    found.map_or(OTHER, |(_, content_type)| content_type)
}

const OTHER: &str = "application/octet-stream";

// As SRS serves them; behind the blank line those that it does not know.
const TABLE: &[(&str, &str)] = &[
    ("ts", "video/MP2T"),
    ("flv", "video/x-flv"),
    ("m4v", "video/x-m4v"),
    ("3gp", "video/3gpp"),
    ("3gpp", "video/3gpp"),
    ("mp4", "video/mp4"),
    ("mp4v", "video/mp4"),
    ("aac", "audio/x-aac"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/x-m4a"),
    ("ogg", "audio/ogg"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("rss", "application/rss+xml"),
    ("json", "application/json"),
    ("swf", "application/x-shockwave-flash"),
    ("doc", "application/msword"),
    ("zip", "application/zip"),
    ("rar", "application/x-rar-compressed"),
    ("xml", "text/xml"),
    ("html", "text/html"),
    ("js", "text/javascript"),
    ("css", "text/css"),
    ("ico", "image/x-icon"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("mpd", "application/dash+xml"),
    ("m4s", "video/iso.segment"),
    //
    ("htm", "text/html"),
    ("mjs", "text/javascript"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("vtt", "text/vtt"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_decides() {
        assert_eq!(of("/live/a.flv"), "video/x-flv");
        assert_eq!(of("a.tar.TS"), "video/MP2T");
        assert_eq!(of("/a.flv/b"), OTHER);
        assert_eq!(of("flv"), OTHER);
        assert_eq!(of("/a."), OTHER);
    }
}
