//! The rows of the directive table, a file for each part of the server.
//!
//! A row reads: path, kind, default, environment (`own`, `none` or a list), `reload`, `next` or `restart`, status, the major
//! versions of SRS that knew it, `built` or `unbuilt`, then what it is for and what else there is to know.

use super::directive::Row;

macro_rules! rows {
    ($($path:literal $kind:ident $default:literal $env:tt $reload:ident $status:ident $version:literal $built:ident
        $about:literal $($note:literal)? $([$example:literal])?;)*) => {
        use crate::app::config::directive::{Kind, Row, Status};

        /// The rows of this part.
        pub(super) const ROWS: &[Row] = &[$(Row {
            path: $path,
            kind: Kind::$kind,
            default: $default,
            env: rows!(@env $env),
            reload: rows!(@reload $reload),
            status: Status::$status,
            version: $version,
            built: rows!(@built $built),
            about: $about,
            note: concat!($($note)?),
            example: concat!($($example)?),
        },)*];
    };
    (@env own) => { crate::app::config::directive::Variables::Own };
    (@env none) => { crate::app::config::directive::Variables::None };
    (@env $names:tt) => { crate::app::config::directive::Variables::Named(&$names) };
    (@reload reload) => { crate::app::config::directive::Reload::Now };
    (@reload next) => { crate::app::config::directive::Reload::Next };
    (@reload restart) => { crate::app::config::directive::Reload::Restart };
    (@built built) => { true };
    (@built unbuilt) => { false };
}

mod caster;
mod http;
mod process;
mod realtime;
mod registry;
mod vhost;
mod vhost_ffmpeg;
mod vhost_files;
mod vhost_http;
mod vhost_rtc;

/// Every row; each block stands before its children.
pub(super) const ALL: &[&[Row]] = &[
    process::ROWS,
    http::ROWS,
    realtime::ROWS,
    caster::ROWS,
    registry::ROWS,
    vhost::ROWS,
    vhost_http::ROWS,
    vhost_files::ROWS,
    vhost_ffmpeg::ROWS,
    vhost_rtc::ROWS,
];
