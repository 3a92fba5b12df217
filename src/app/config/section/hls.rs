//! HLS of a vhost.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::config::scope::Scope;
use crate::kernel::codec::{AudioCodec, VideoCodec};

/// Shorter parts would cost more requests than they save time.
const PART_MIN: Duration = Duration::from_millis(100);

/// The `hls` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct Hls {
    /// Whether streams are written as HLS.
    pub enabled: bool,
    /// How long a segment is to be.
    pub fragment: Duration,
    /// A segment ends at a keyframe after `fragment` times this.
    pub td_ratio: f64,
    /// A segment ends, keyframe or not, after `fragment` times this.
    pub aof_ratio: f64,
    /// How much media the playlist lists.
    pub window: Duration,
    /// What a failure does.
    pub on_error: HlsOnError,
    /// The folder of all files.
    pub path: String,
    /// The playlist below it.
    pub m3u8_file: String,
    /// The segments below it.
    pub segment_file: String,
    /// The initialisation segment below it, where segments are fragmented MP4.
    pub init_file: String,
    /// Whether segments are fragmented MP4 and not MPEG-TS.
    pub use_fmp4: bool,
    /// How long a part is to be, where players get segments in parts while they are written.
    pub part: Option<Duration>,
    /// Name endings of streams that are shown together with the one without.
    pub variants: Vec<String>,
    /// The multivariant playlist below the folder.
    pub variants_file: String,
    /// What the playlist puts before segments; may be empty.
    pub entry_prefix: String,
    /// The sound that segments tell before it is known.
    pub audio: Option<AudioCodec>,
    /// The same for pictures.
    pub video: Option<VideoCodec>,
    /// Whether segments that have left the window are deleted.
    pub cleanup: bool,
    /// All files are deleted when nothing was published for so long; zero is never.
    pub dispose: Duration,
    /// Whether a segment begins with a keyframe only.
    pub wait_keyframe: bool,
    /// Whether segments are named by a grid of wall-clock time.
    pub ts_floor: bool,
    /// How much of the answer of an `on_hls_notify` server is read, bytes.
    pub nb_notify: u32,
    /// Whether each player gets a session.
    pub ctx: bool,
    /// Whether the session's id is in the URLs of segments too.
    pub ts_ctx: bool,
    /// How segments are encrypted, if they are.
    pub keys: Option<HlsKeys>,
    /// Whether the times of sound are the stream's, not counted by samples.
    pub dts_directly: bool,
}

/// What a failure of HLS does to the publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HlsOnError {
    /// It goes on without HLS.
    Ignore,
    /// It ends.
    Disconnect,
    /// Messages that cannot be understood are passed over; it ends for all else.
    Continue,
}

/// Encryption of segments with AES-128.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HlsKeys {
    /// Segments that share a key, at least one.
    pub fragments_per_key: u64,
    /// Name of a key's file.
    pub file: String,
    /// The folder of key files; that of the segments unless set.
    pub path: Option<String>,
    /// What the playlist puts before the name; relative to the playlist unless set.
    pub url: Option<String>,
}

impl Hls {
    pub(crate) fn read(hls: &Scope<'_>) -> Self {
        let ratio = |name: &str| hls.text(name).parse().ok().filter(|ratio: &f64| ratio.is_finite());
        let given = |name: &str| hls.given(name).map(|given| given.text);
        let low_latency = hls.flag("hls_low_latency");
        let use_fmp4 = hls.flag("hls_use_fmp4") || low_latency;
        Hls {
            enabled: hls.flag("enabled"),
            fragment: hls.duration("hls_fragment"),
            td_ratio: ratio("hls_td_ratio").unwrap_or(1.0),
            aof_ratio: ratio("hls_aof_ratio").unwrap_or(2.1),
            window: hls.duration("hls_window"),
            on_error: match &*hls.text("hls_on_error") {
                "ignore" => HlsOnError::Ignore,
                "disconnect" => HlsOnError::Disconnect,
                _ => HlsOnError::Continue,
            },
            path: hls.text("hls_path"),
            m3u8_file: hls.text("hls_m3u8_file"),
            segment_file: match use_fmp4 {
                true => hls.text("hls_fmp4_file"),
                false => hls.text("hls_ts_file"),
            },
            init_file: hls.text("hls_init_file"),
            use_fmp4,
            variants: hls.texts("hls_variants"),
            variants_file: hls.text("hls_variants_file"),
            part: low_latency.then(|| hls.duration("hls_part").max(PART_MIN)),
            entry_prefix: hls.text("hls_entry_prefix"),
            // The defaults are what nearly every stream has; saying so before it is seen would promise pictures to
            // players of sound alone.
            audio: match given("hls_acodec").as_deref() {
                Some("aac") => Some(AudioCodec::Aac),
                Some("mp3") => Some(AudioCodec::Mp3),
                _ => None,
            },
            video: match given("hls_vcodec").as_deref() {
                Some("h264") => Some(VideoCodec::H264),
                Some("h265") => Some(VideoCodec::Hevc),
                _ => None,
            },
            cleanup: hls.flag("hls_cleanup"),
            dispose: hls.duration("hls_dispose"),
            wait_keyframe: hls.flag("hls_wait_keyframe"),
            ts_floor: hls.flag("hls_ts_floor"),
            nb_notify: hls.size("hls_nb_notify"),
            ctx: hls.flag("hls_ctx"),
            ts_ctx: hls.flag("hls_ts_ctx"),
            keys: hls.flag("hls_keys").then(|| HlsKeys {
                fragments_per_key: u64::from(hls.size("hls_fragments_per_key")).max(1),
                file: hls.text("hls_key_file"),
                path: given("hls_key_file_path"),
                url: given("hls_key_url"),
            }),
            dts_directly: hls.flag("hls_dts_directly"),
        }
    }

    /// Media after which a segment ends at the next keyframe, milliseconds.
    pub fn target_ms(&self) -> i64 {
        scaled(self.fragment, self.td_ratio)
    }

    /// Media after which a segment ends in any case, milliseconds.
    pub fn limit_ms(&self) -> i64 {
        scaled(self.fragment, self.aof_ratio)
    }

    /// A file below the folder of all files.
    pub fn place(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.path))
    }
}

fn scaled(fragment: Duration, ratio: f64) -> i64 {
    (fragment.as_secs_f64() * ratio * 1000.0) as i64
}
