//! When a file ends: `dvr_plan`.

use crate::app::config::section::dvr::Dvr;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::log::printable;

/// When files begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One file for a publication.
    Session,
    /// One file for all publications of a stream: each goes on where the last one ended.
    Append,
    /// A publication in files of the same length.
    Segment {
        /// That length, milliseconds.
        duration_ms: i64,
        /// The next file begins with a keyframe.
        wait_keyframe: bool,
    },
}

impl Plan {
    /// The plan of these settings.
    ///
    /// # Errors
    /// [`ErrorCode::DvrPlan`] on an unknown one, and on one that the kind of file cannot do.
    pub fn of(settings: &Dvr) -> Result<Self> {
        let is_mp4 = settings.path.ends_with(".mp4");
        match settings.plan.as_str() {
            "session" => Ok(Plan::Session),
            "segment" => Ok(Plan::Segment {
                duration_ms: settings.duration.as_millis().try_into().unwrap_or(i64::MAX),
                // What is before the first keyframe has no place in MP4.
                wait_keyframe: settings.wait_keyframe || is_mp4,
            }),
            "append" if is_mp4 => {
                let text = format!("dvr_plan append goes on with FLV files, dvr_path is {}", settings.path);
                Err(Error::new(ErrorCode::DvrPlan, text))
            }
            "append" => Ok(Plan::Append),
            other => {
                let text = format!("dvr_plan {} is none of session, segment, append", printable(other));
                Err(Error::new(ErrorCode::DvrPlan, text))
            }
        }
    }

    /// Whether a file ends before this message, with which it would be `length_ms` long; its last picture, or its
    /// beginning without one, was `since_picture_ms` ago. Sound alone, or sound whose pictures have ceased, need not wait
    /// for a keyframe.
    pub fn ends_before(self, frame: &Frame, length_ms: i64, since_picture_ms: i64) -> bool {
        let Plan::Segment {
            duration_ms,
            wait_keyframe,
        } = self
        else {
            return false;
        };
        if length_ms < duration_ms {
            return false;
        }
        let is_keyframe = frame.facts.keyframe && frame.facts.track == 0;
        let is_sound_alone = frame.kind == Kind::Audio && since_picture_ms >= duration_ms;
        !wait_keyframe || is_keyframe || is_sound_alone
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::config::section::dvr::DvrApply;
    use crate::app::config::section::play::TimeJitter;

    fn settings(plan: &str, path: &str, wait_keyframe: bool) -> Dvr {
        Dvr {
            enabled: true,
            apply: DvrApply::All,
            plan: plan.to_owned(),
            path: path.to_owned(),
            duration: Duration::from_secs(30),
            wait_keyframe,
            time_jitter: TimeJitter::Full,
            mp4_fragmented: false,
        }
    }

    fn plan(plan: &str, wait_keyframe: bool) -> Plan {
        Plan::of(&settings(plan, "a.flv", wait_keyframe)).unwrap()
    }

    fn frame(kind: Kind, payload: &'static [u8]) -> Frame {
        Frame::new(kind, 0, payload.into())
    }

    #[test]
    fn unknown_plans_are_refused() {
        let refused = |plan, path| Plan::of(&settings(plan, path, true)).map_err(|error| error.code());
        for plan in ["sesion", "", "SESSION"] {
            assert_eq!(refused(plan, "a.flv"), Err(ErrorCode::DvrPlan), "{plan}");
        }
        assert_eq!(refused("append", "a.mp4"), Err(ErrorCode::DvrPlan));
        assert_eq!(refused("append", "a.flv"), Ok(Plan::Append));
        let wait_keyframe = true;
        let duration_ms = 30_000;
        let expected = Plan::Segment {
            duration_ms,
            wait_keyframe,
        };
        assert_eq!(Plan::of(&settings("segment", "a.mp4", false)).unwrap(), expected);
    }

    #[test]
    fn segments_end_at_keyframes() {
        // H.264, HEVC and AV1.
        let keyframes =
            [&b"\x17\x01\0\0\0"[..], b"\x91hvc1\0\0\0\0", b"\x91av01\0"].map(|body| frame(Kind::Video, body));
        let inter = frame(Kind::Video, b"\x27\x01\0\0\0");
        let sound = frame(Kind::Audio, b"\xaf\x01\x21");
        for keyframe in &keyframes {
            assert!(plan("segment", true).ends_before(keyframe, 30_000, 40));
            assert!(!plan("segment", true).ends_before(keyframe, 29_999, 40));
            assert!(!plan("session", true).ends_before(keyframe, 90_000, 40));
            assert!(!plan("append", true).ends_before(keyframe, 90_000, 40));
        }
        for other in [&inter, &sound] {
            assert!(!plan("segment", true).ends_before(other, 90_000, 40));
            assert!(plan("segment", false).ends_before(other, 30_000, 40));
        }
    }

    #[test]
    fn sound_alone_waits_for_no_keyframe() {
        let sound = frame(Kind::Audio, b"\xaf\x01\x21");
        assert!(plan("segment", true).ends_before(&sound, 30_000, 30_000));
        // The camera went off in the middle of a file.
        assert!(!plan("segment", true).ends_before(&sound, 45_000, 29_999));
        assert!(plan("segment", true).ends_before(&sound, 45_000, 30_000));
    }
}
