//! The commands that run while a stream is published. No shell reads them.

use std::path::PathBuf;

use super::supervisor::{Job, Output, Role};
use super::transcode::Stream;
use crate::app::config::section::exec::Exec;
use crate::app::hooks::Subject;
use crate::app::recording::template::expand;
use crate::kernel::error::{Result, Wrap};
use crate::kernel::log::printable;

/// The commands for a stream.
///
/// # Errors
/// The publication is to be refused with them: [`crate::kernel::error_code::ErrorCode::HlsCreateDir`] for a stream whose
/// name would lead a file out of its folder.
pub fn jobs(settings: &Exec, subject: &Subject, stream: &Stream<'_>) -> Result<Vec<Job>> {
    if !settings.enabled {
        return Ok(Vec::new());
    }
    let lines = settings.publish.iter().filter_map(|words| Line::of(words));
    lines.map(|line| job(&line, subject, stream).wrap("exec")).collect()
}

fn job(line: &Line<'_>, subject: &Subject, stream: &Stream<'_>) -> Result<Job> {
    let filled = |word: &str| expand(word, stream.url, |name| variable(name, subject, stream));
    let file =
        |word: &Option<&str>| -> Result<Option<PathBuf>> { Ok(word.map(filled).transpose()?.map(PathBuf::from)) };
    let url = stream.url;
    Ok(Job {
        role: Role::Exec,
        label: printable(&format!("exec {}/{}/{}", url.vhost, url.app, url.stream)),
        program: line.program.to_owned(),
        arguments: line.arguments.iter().map(|word| filled(word)).collect::<Result<_>>()?,
        output: Output::Files(file(&line.output)?, file(&line.errors)?),
    })
}

fn variable(name: &str, subject: &Subject, stream: &Stream<'_>) -> Option<String> {
    Some(match name {
        "port" => stream.url.port.to_string(),
        "tcUrl" => stream.url.tc_url.clone(),
        "swfUrl" => subject.swf_url.clone(),
        "pageUrl" => subject.page_url.clone(),
        "url" => stream.url.relay_url(&stream.url.host, stream.port),
        name => return stream.opened.variable(name),
    })
}

/// A command line, its redirections told from its words. They are told before anything is filled in, so that no stream's
/// name is taken for one.
struct Line<'a> {
    program: &'a str,
    arguments: Vec<&'a str>,
    output: Option<&'a str>,
    errors: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(words: &'a [String]) -> Option<Self> {
        let mut words = words.iter().map(String::as_str);
        let mut line = Line {
            program: words.next()?,
            arguments: Vec::new(),
            output: None,
            errors: None,
        };
        while let Some(word) = words.next() {
            let redirected = [(">", false), ("1>", false), ("2>", true)]
                .into_iter()
                .find_map(|(mark, is_errors)| Some((word.strip_prefix(mark)?, is_errors)));
            let Some((name, is_errors)) = redirected else {
                line.arguments.push(word);
                continue;
            };
            // Files are appended to in any case.
            let file = match name.trim_start_matches('>') {
                "" => words.next(),
                name => Some(name),
            };
            match is_errors {
                true => line.errors = file,
                false => line.output = file,
            }
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::app::ffmpeg::tests::config;
    use crate::app::recording::template::Opened;
    use crate::protocol::rtmp::url::StreamUrl;

    fn jobs_of(lines: &str, stream: &str) -> Result<Vec<Job>> {
        let text = format!("listen 1935; vhost __defaultVhost__ {{ exec {{ enabled on; {lines} }} }}");
        let config = config(&text);
        let vhost: Rc<_> = config.vhost("__defaultVhost__").unwrap();
        let mut url = StreamUrl::parse("rtmp://example.com:1936/live?a=b", "s").unwrap();
        (url.vhost, url.stream) = (vhost.name.clone(), stream.to_owned());
        let subject = Subject {
            url,
            ip: std::net::Ipv4Addr::LOCALHOST.into(),
            page_url: "http://page".into(),
            swf_url: "http://swf".into(),
            vhost: vhost.clone(),
        };
        let stream = Stream {
            url: &subject.url,
            port: 1935,
            opened: &Opened::now(true),
        };
        jobs(&vhost.exec, &subject, &stream)
    }

    #[test]
    fn variables_are_filled_in_and_words_stay_words() {
        let jobs = jobs_of(
            "publish tell [vhost] [port] [app]/[stream] [tcUrl] [swfUrl] [pageUrl] [none] 'a b' \"$(id)\";
             publish record -i [url] -y ./[stream].flv;",
            "cam; rm `x` $(id)",
        )
        .unwrap();
        assert_eq!(jobs[0].program, "tell");
        assert_eq!(
            jobs[0].arguments,
            [
                "__defaultVhost__",
                "1936",
                "live/cam; rm `x` $(id)",
                "rtmp://example.com:1936/live?a=b",
                "http://swf",
                "http://page",
                "[none]",
                "a b",
                "$(id)"
            ]
        );
        let expected = "rtmp://example.com:1935/live/cam; rm `x` $(id)?a=b&vhost=example.com";
        assert_eq!(jobs[1].arguments, ["-i", expected, "-y", "./cam; rm `x` $(id).flv"]);
        assert_eq!(jobs[0].output, Output::Files(None, None));
        assert_eq!(jobs[0].label, "exec __defaultVhost__/live/cam; rm `x` $(id)");
    }

    #[test]
    fn output_is_redirected_with_and_without_blanks() {
        let out = |line: &str| {
            let jobs = jobs_of(&format!("publish p {line} last;"), "s>x").unwrap();
            assert_eq!(jobs[0].arguments.last().map(String::as_str), Some("last"), "{line}");
            let Output::Files(output, errors) = &jobs[0].output else {
                panic!()
            };
            let text =
                |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            format!("{}|{}", text(output), text(errors))
        };
        assert_eq!(out(">a.log"), "a.log|");
        assert_eq!(out("> a.log"), "a.log|");
        assert_eq!(out("1>a.log 2>b.log"), "a.log|b.log");
        assert_eq!(out("1> ./[stream].log 2> b.log"), "./s>x.log|b.log");
        assert_eq!(out(">>a.log"), "a.log|");
        assert_eq!(out("[stream] -"), "|");
    }

    #[test]
    fn no_name_leads_out_of_a_folder() {
        assert!(jobs_of("publish p ./[stream].flv;", "../../etc/x").is_err());
        assert!(jobs_of("publish p >./[stream].log;", "../x").is_err());
        assert!(jobs_of("publish p fixed;", "../x").is_ok());
    }
}
