//! What `srs -t` says about a configuration.

use log::Level;

use super::effective::Effective;
use super::env::Env;
use super::load::{LoadOptions, load};
use crate::kernel::error::Error;

/// The verdict on a configuration: what to print, and the status to exit with.
#[derive(Debug)]
pub struct Report {
    /// Log lines, each with its level; the last one says whether the test is successful.
    pub lines: Vec<(Level, String)>,
    /// 0 when the configuration may run, else the low byte of the error's number.
    pub status: u8,
    /// What a good configuration amounts to.
    pub effective: Option<Effective>,
}

/// Tests a configuration without doing anything else.
pub fn test(options: &LoadOptions<'_>) -> Report {
    let name = match options.file() {
        Some(path) => path.display().to_string(),
        None if options.is_env_only() => "(environment)".to_owned(),
        None => String::new(),
    };
    match load(options) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| (Level::Warn, warning.to_string()));
            let mut lines: Vec<_> = warnings.collect();
            lines.push((Level::Info, format!("config file {name} test is successful")));
            let env = Env::new(options.env, options.is_env_only());
            let effective = Effective::of(&loaded.tree, env, &options.host, 0..usize::MAX);
            Report {
                lines,
                status: 0,
                effective: Some(effective),
            }
        }
        Err(fault) => {
            let (status, excerpt) = (
                fault.code().exit_status(),
                fault.place().and_then(|place| place.excerpt()),
            );
            let mut summary = Error::from(fault).summary();
            if let Some(excerpt) = excerpt {
                summary.push('\n');
                summary.push_str(&excerpt);
            }
            let verdict = format!("config file {name} test is failed");
            Report {
                lines: vec![(Level::Error, summary), (Level::Info, verdict)],
                status,
                effective: None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::super::host::Host;
    use super::*;

    fn report(text: &'static str) -> Report {
        let read = move |path: &Path| match path.to_str() {
            Some("a.conf") => Ok(text.as_bytes().to_vec()),
            _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        };
        test(&LoadOptions {
            path: Some("a.conf".into()),
            env_only: false,
            env: &|_| None,
            host: Host::TEST,
            read_file: &read,
        })
    }

    #[test]
    fn a_good_file_exits_with_0() {
        let report = report("listen 1935;\npithy_print_ms 1s;\n");
        assert_eq!(report.status, 0);
        assert_eq!(report.lines.len(), 2);
        assert_eq!(report.lines[0].0, Level::Warn);
        assert!(
            report.lines[0].1.starts_with("a.conf:2:16: \"1s\" is not"),
            "{:?}",
            report.lines
        );
        assert_eq!(report.lines[1].1, "config file a.conf test is successful");
    }

    #[test]
    fn a_bad_file_exits_with_the_low_byte_of_the_error() {
        let report = report("listen 1935;\nmax_connection 5;\n");
        assert_eq!(report.status, 255);
        let expected = "code=1023(ConfigInvalid) : a.conf:2:1: unknown directive \"max_connection\" outside all \
                        blocks; did you mean \"max_connections\"?\n    max_connection 5;\n    ^^^^^^^^^^^^^^";
        assert_eq!(report.lines[0].1, expected);
        assert_eq!(report.lines[1].1, "config file a.conf test is failed");
    }

    #[test]
    fn an_unreadable_include_exits_with_18() {
        let report = report("include b.conf;\n");
        assert_eq!(report.status, 18);
        assert!(
            report.lines[0]
                .1
                .contains("a.conf:1:9: cannot read included file \"b.conf\"")
        );
    }
}
