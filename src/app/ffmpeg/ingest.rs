//! The children that bring streams and files in, from the start of the server to its end.

use super::engine::{self, Input};
use super::supervisor::{Job, Output, Role};
use super::{file_name, first_port};
use crate::app::config::Config;
use crate::app::config::section::engine::Engine;
use crate::app::config::section::ingest::Ingest;
use crate::app::config::section::vhost::{DEFAULT_VHOST, Vhost};
use crate::app::recording::template::{Opened, fill};
use crate::protocol::rtmp::url::StreamUrl;

/// What the configuration wants, each with a name of its own; `opened` tells since when one of a name runs.
pub fn jobs(config: &Config, opened: impl Fn(&str) -> Opened) -> Vec<(String, Job)> {
    let vhosts = config.vhosts().iter().filter(|vhost| vhost.enabled);
    let ingests = vhosts.flat_map(|vhost| vhost.ingests.iter().map(move |ingest| (vhost, ingest)));
    // The check has refused those that cannot run.
    let running = ingests.filter(|(_, ingest)| ingest.enabled && ingest.fault().is_none());
    let engines = running.flat_map(|(vhost, ingest)| {
        let numbered = ingest.engines.iter().enumerate();
        numbered.map(move |(number, engine)| (vhost, ingest, number, engine))
    });
    let jobs = engines.map(|(vhost, ingest, number, engine)| {
        let name = format!("{}/{}#{number}", vhost.name, ingest.id);
        let job = job(vhost, ingest, engine, first_port(config), &opened(&name));
        (name, job)
    });
    jobs.collect()
}

fn job(vhost: &Vhost, ingest: &Ingest, engine: &Engine, port: u16, opened: &Opened) -> Job {
    let output = output(&engine.output, &vhost.name, port, opened);
    let input = Input {
        url: &ingest.input_url,
        real_time: true,
    };
    Job {
        role: Role::Ingest,
        label: format!("ingest {}/{}", vhost.name, ingest.id),
        program: ingest.ffmpeg.clone(),
        arguments: match engine.copies() {
            true => engine::copying_arguments(input, &output),
            false => engine::arguments(engine, input, &output),
        },
        output: Output::FfLog(log_name(&vhost.name, &ingest.id, &output)),
    }
}

fn output(template: &str, vhost: &str, port: u16, opened: &Opened) -> String {
    let mut output = fill(template, |name| match name {
        "vhost" => Some(vhost.to_owned()),
        "port" => Some(port.to_string()),
        name => opened.variable(name),
    });
    // Alone it says nothing, and some servers would take it for a part of the name.
    for mark in ["/?vhost=", "?vhost="] {
        let end = format!("{mark}{DEFAULT_VHOST}");
        if let Some(stem) = output.strip_suffix(&end) {
            output.truncate(stem.len());
        }
    }
    output
}

fn log_name(vhost: &str, id: &str, output: &str) -> String {
    match StreamUrl::parse_whole(output) {
        Ok(url) => file_name(&["ffmpeg-ingest", vhost, &url.app, &url.stream]),
        Err(_) => file_name(&["ffmpeg-ingest", vhost, id]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ffmpeg::tests::config;

    fn lines(text: &str) -> Vec<(String, String, Output)> {
        jobs(&config(text), |_| Opened::now(true))
            .into_iter()
            .map(|(name, job)| (name, format!("{} {}", job.program, job.arguments.join(" ")), job.output))
            .collect()
    }

    #[test]
    fn each_enabled_engine_is_a_child() {
        let found = lines(
            "listen 19350;
            vhost __defaultVhost__ {
                ingest file {
                    enabled on; ffmpeg ./ffmpeg;
                    input { type file; url ./doc/a.flv; }
                    engine { enabled off; output rtmp://127.0.0.1:[port]/live/a?vhost=[vhost]; }
                }
                ingest off { ffmpeg f; input { url u; } engine { output o; } }
            }
            vhost v.com {
                ingest cam {
                    enabled on; ffmpeg ffmpeg;
                    input { type stream; url rtsp://cam/1; }
                    engine hd { enabled on; perfile { rtsp_transport tcp; } vcodec copy; acodec aac;
                        output rtmp://127.0.0.1:[port]/live/hd?vhost=[vhost]; }
                    engine png { enabled on; vcodec png; acodec an; oformat image2; output ./[2006]/[x].png; }
                }
            }
            vhost off { enabled off; ingest { enabled on; ffmpeg f; input { url u; } engine { output o; } } }",
        );
        let expected = [
            (
                "__defaultVhost__/file#0",
                "./ffmpeg -re -i ./doc/a.flv -vcodec copy -acodec copy -f flv -y rtmp://127.0.0.1:19350/live/a",
                "ffmpeg-ingest-__defaultVhost__-live-a.log",
            ),
            (
                "v.com/cam#0",
                "ffmpeg -re -rtsp_transport tcp -i rtsp://cam/1 -vcodec copy -acodec aac -f flv -y \
                 rtmp://127.0.0.1:19350/live/hd?vhost=v.com",
                "ffmpeg-ingest-v.com-live-hd.log",
            ),
        ];
        for ((name, line, log), found) in expected.into_iter().zip(&found) {
            assert_eq!((name, line), (found.0.as_str(), found.1.as_str()));
            assert_eq!(found.2, Output::FfLog(log.into()));
        }
        let png = &found[2];
        assert!(
            png.1.contains("-f image2 -y ./20") && png.1.ends_with("/[x].png"),
            "{}",
            png.1
        );
        assert_eq!(png.2, Output::FfLog("ffmpeg-ingest-v.com-cam.log".into()));
        assert_eq!(found.len(), 3);
    }
}
