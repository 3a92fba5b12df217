//! The children that code a stream again while it is published.

use super::engine::{self, Input};
use super::file_name;
use super::supervisor::{Job, Output, Role};
use crate::app::config::section::engine::Engine;
use crate::app::config::section::transcode::Transcode;
use crate::app::config::{Config, Endpoint};
use crate::app::recording::template::{Opened, expand};
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::rtmp::url::StreamUrl;

/// A stream that is published.
pub struct Stream<'a> {
    /// As the publisher gave it, with the vhost that serves it.
    pub url: &'a StreamUrl,
    /// The port at which FFmpeg finds it.
    pub port: u16,
    /// When it began.
    pub opened: &'a Opened,
}

/// What comes of the settings for a stream.
#[derive(Debug, Default)]
pub struct Plan {
    /// The children.
    pub jobs: Vec<Job>,
    /// The streams of this server that they publish; see [`own_stream`].
    pub outputs: Vec<String>,
}

/// The children for a stream; none for what `is_output` says is another transcoder's work.
///
/// # Errors
/// The publication is to be refused with them: those of [`Engine::fault`], and [`ErrorCode::HlsCreateDir`] for a stream
/// whose name would lead an output out of its folder.
pub fn plan(
    settings: &Transcode,
    stream: &Stream<'_>,
    config: &Config,
    is_output: impl Fn(&str) -> bool,
) -> Result<Plan> {
    let url = stream.url;
    let mut plan = Plan::default();
    if !settings.enabled || settings.ffmpeg.is_empty() || !settings.applies_to(&url.app, &url.stream) {
        return Ok(plan);
    }
    let input = stream.url.loopback_url(stream.port);
    let own = url.stream_url();
    for engine in settings.engines.iter().filter(|engine| engine.enabled) {
        let output = output(engine, stream).wrap("transcode")?;
        plan.outputs.extend(own_stream(&output, url, config));
        if is_output(&own) || plan.outputs.contains(&own) {
            let code = ErrorCode::FFmpegLoop;
            log::info!(
                "detect a loop cycle, input={}, output={}, {}({}), not transcoded",
                printable(&input),
                printable(&output),
                code.short(),
                code.number()
            );
            return Ok(Plan::default());
        }
        if let Some((code, text)) = engine.fault() {
            return Err(Error::new(code, text).wrap("transcode"));
        }
        plan.jobs.push(job(settings, engine, url, &input, &output));
    }
    Ok(plan)
}

fn job(settings: &Transcode, engine: &Engine, url: &StreamUrl, input: &str, output: &str) -> Job {
    let mut log = vec!["ffmpeg-encoder", &url.vhost, &url.app, &url.stream];
    let mut label = format!("transcode {}/{}/{}", url.vhost, url.app, url.stream);
    if !engine.name.is_empty() {
        log.push(&engine.name);
        label = format!("{label} {}", engine.name);
    }
    let input = Input {
        url: input,
        real_time: false,
    };
    Job {
        role: Role::Transcode,
        label: printable(&label),
        program: settings.ffmpeg.clone(),
        arguments: engine::arguments(engine, input, output),
        output: Output::FfLog(file_name(&log)),
    }
}

fn output(engine: &Engine, stream: &Stream<'_>) -> Result<String> {
    expand(&engine.output, stream.url, |name| match name {
        "port" => Some(stream.port.to_string()),
        "param" => Some(stream.url.param.clone()),
        "engine" => Some(engine.name.clone()),
        name => stream.opened.variable(name),
    })
}

/// The stream of this server that a URL stands for, as [`StreamUrl::stream_url`]; `None` for another server's. `publisher`
/// tells by which name clients know this one.
fn own_stream(output: &str, publisher: &StreamUrl, config: &Config) -> Option<String> {
    let mut url = StreamUrl::parse_whole(output).ok()?;
    let is_loopback = url.host == "localhost" || url.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let is_port = |endpoint: &Endpoint| endpoint.port == u32::from(url.port);
    let is_ours = url.schema == "rtmp"
        && (is_loopback || url.host == publisher.host)
        && (url.port == publisher.port || config.listen.iter().any(is_port));
    if !is_ours {
        return None;
    }
    url.vhost.clone_from(&config.vhost(&url.vhost)?.name);
    Some(url.stream_url())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ffmpeg::tests::config;

    const ENGINES: &str = "
        engine sd { enabled on; vcodec libx264; vprofile main; vpreset fast; acodec copy;
            output rtmp://127.0.0.1:[port]/[app]/[stream]_[engine]?vhost=[vhost]; }
        engine off { output rtmp://h/live/x; }
        engine { enabled on; vcodec vn; acodec copy; output ./[app]/[stream][param]-[01].flv; oformat off; }";

    fn plan_of(scope: &str, engines: &str, url: &StreamUrl, is_output: impl Fn(&str) -> bool) -> Result<Plan> {
        let text = format!(
            "listen 1935; vhost __defaultVhost__ {{ transcode {scope} {{ enabled on; ffmpeg ff; {engines} }} }}"
        );
        let config = config(&text);
        let vhost = config.vhost("__defaultVhost__").unwrap();
        let stream = Stream {
            url,
            port: 1935,
            opened: &Opened::now(true),
        };
        plan(vhost.transcode.as_ref().unwrap(), &stream, &config, is_output)
    }

    fn url(app: &str, stream: &str) -> StreamUrl {
        let mut url = StreamUrl::parse(&format!("rtmp://example.com/{app}"), stream).unwrap();
        url.vhost = "__defaultVhost__".into();
        url
    }

    #[test]
    fn each_enabled_engine_is_a_child() {
        let plan = plan_of("", ENGINES, &url("live", "cam?token=1"), |_| false).unwrap();
        let input = "-f flv -i rtmp://127.0.0.1:1935/live?vhost=__defaultVhost__/cam?token=1";
        let sd = &plan.jobs[0];
        assert_eq!(sd.label, "transcode __defaultVhost__/live/cam sd");
        assert_eq!(sd.program, "ff");
        assert_eq!(
            sd.arguments.join(" ").replace(input, "INPUT"),
            "INPUT -vcodec libx264 -threads 1 -profile:v main -preset fast -acodec copy -f flv -y \
             rtmp://127.0.0.1:1935/live/cam_sd?vhost=__defaultVhost__"
        );
        assert_eq!(
            sd.output,
            Output::FfLog("ffmpeg-encoder-__defaultVhost__-live-cam-sd.log".into())
        );
        let sound = &plan.jobs[1];
        let line = sound.arguments.join(" ").replace(input, "INPUT");
        assert!(
            line.starts_with("INPUT -vn -acodec copy -y ./live/cam?token=1-"),
            "{line}"
        );
        assert_eq!(
            sound.output,
            Output::FfLog("ffmpeg-encoder-__defaultVhost__-live-cam.log".into())
        );
        assert_eq!(plan.jobs.len(), 2);
        assert_eq!(plan.outputs, ["/live/cam_sd"]);
    }

    #[test]
    fn a_stream_out_of_scope_has_none() {
        for (scope, count) in [("live", 2), ("live/cam", 2), ("other", 0), ("live/other", 0)] {
            let plan = plan_of(scope, ENGINES, &url("live", "cam"), |_| false).unwrap();
            assert_eq!(plan.jobs.len(), count, "{scope}");
        }
    }

    #[test]
    fn what_a_transcoder_publishes_is_not_transcoded() {
        let plan = plan_of("", ENGINES, &url("live", "cam_sd"), |stream| stream == "/live/cam_sd").unwrap();
        assert!(plan.jobs.is_empty() && plan.outputs.is_empty());
        let itself = "engine { enabled on; vcodec copy; acodec copy; output rtmp://localhost/live/[stream]; }";
        assert!(
            plan_of("", itself, &url("live", "cam"), |_| false)
                .unwrap()
                .jobs
                .is_empty()
        );
        let public = itself.replace("localhost", "example.com");
        assert!(
            plan_of("", &public, &url("live", "cam"), |_| false)
                .unwrap()
                .jobs
                .is_empty()
        );
        let other = itself.replace("localhost", "other.com");
        assert_eq!(
            plan_of("", &other, &url("live", "cam"), |_| false).unwrap().jobs.len(),
            1
        );
    }

    #[test]
    fn bad_settings_and_bad_names_refuse_the_publisher() {
        let bad = "engine { enabled on; vcodec libx264; acodec an; output o; }";
        let error = plan_of("", bad, &url("live", "cam"), |_| false).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FFmpegProfile);
        let mut url = url("live", "cam");
        url.stream = "../../etc/cam".into();
        let error = plan_of("", ENGINES, &url, |_| false).unwrap_err();
        assert_eq!(error.code(), ErrorCode::HlsCreateDir);
    }
}
