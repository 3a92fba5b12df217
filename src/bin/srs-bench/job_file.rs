//! Job files in the style of fio: a section a job, its options as keys, defaults for all in `[global]`.

use ini::configparser::ini::{Ini, IniDefault};
use srs_may::kernel::error::{Result, Wrap};

use crate::options::{Given, Raw, RawJob, find, wrong};

const GLOBAL: &str = "global";
/// Keys that only a job has.
const KIND: &str = "kind";
const URL: &str = "url";

/// Reads a job file's text. `given` holds instead of what it says.
///
/// # Errors
/// `ConfigInvalid`, which names the section and the key.
pub fn read(text: &str, given: &Given) -> Result<Raw> {
    let mut defaults = IniDefault::default();
    // URLs hold `#` and `;`, and keys with `:` would be cut at `rtmp:`.
    defaults.inline_comment_symbols = Some(Vec::new());
    defaults.comment_symbols = vec!['#', ';'];
    defaults.delimiters = vec!['='];
    defaults.case_sensitive = true;
    let mut file = Ini::new_from_defaults(defaults);
    let sections = file.read(text.to_owned()).map_err(wrong)?;
    refuse_repeated(text)?;
    let mut raw = Raw::default();
    let mut shared = RawJob::default();
    for (name, keys) in &sections {
        let mut job = RawJob::default();
        for (key, value) in keys {
            let value = value.clone().unwrap_or_else(|| "yes".to_owned());
            take(&mut job, &mut raw.global, name, key, value).wrap_with(|| format!("section [{name}]"))?;
        }
        if name == GLOBAL {
            shared = job;
        } else {
            job.given.entry("name").or_insert_with(|| name.clone());
            raw.jobs.push(job);
        }
    }
    for job in &mut raw.jobs {
        for (key, value) in &shared.given {
            job.given.entry(key).or_insert_with(|| value.clone());
        }
        if job.url.is_empty() {
            job.url.clone_from(&shared.url);
        }
    }
    for (name, value) in given {
        if find(name).is_some_and(|entry| entry.is_global) {
            raw.global.insert(name, value.clone());
        } else {
            raw.jobs
                .iter_mut()
                .for_each(|job| drop(job.given.insert(name, value.clone())));
        }
    }
    if raw.jobs.is_empty() {
        return Err(wrong("there is no job: a section with kind and url".to_owned()));
    }
    Ok(raw)
}

fn take(job: &mut RawJob, global: &mut Given, section: &str, key: &str, value: String) -> Result<()> {
    match key {
        KIND if section != GLOBAL => job.kind = value,
        URL => job.url = value,
        _ => {
            let entry = find(key).ok_or_else(|| wrong(format!("unknown key {key}")))?;
            if !entry.is_global {
                job.given.insert(entry.name, value);
            } else if section == GLOBAL {
                global.insert(entry.name, value);
            } else {
                return Err(wrong(format!(
                    "{key} is about the whole run: it belongs into [{GLOBAL}]"
                )));
            }
        }
    }
    Ok(())
}

/// The parser merges sections of one name and takes the last of two equal keys, silently.
fn refuse_repeated(text: &str) -> Result<()> {
    let mut sections: Vec<&str> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        let number = index + 1;
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (place, name) = match line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            Some((name, _)) => {
                keys.clear();
                (&mut sections, name.trim())
            }
            None => (&mut keys, line.split('=').next().unwrap_or(line).trim()),
        };
        if place.contains(&name) {
            return Err(wrong(format!("line {number}: {name} comes twice")));
        }
        place.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "; a comment\n[global]\ntime = 5s\ntimeout=3s\n\n[Film]\nkind=publish\nurl=rtmp://h/a/s?k=v;w#x\n\
                        [players]\nkind = play\nurl = http://h/a/s.flv\nclients = 20\nverify\ntimeout = 4s\n";

    #[test]
    fn sections_are_jobs_in_their_order() {
        let raw = read(TEXT, &Given::new()).unwrap();
        assert_eq!(raw.global, Given::from([("time", "5s".to_owned())]));
        let names: Vec<&str> = raw.jobs.iter().map(|job| job.given["name"].as_str()).collect();
        assert_eq!(names, ["Film", "players"]);
        assert_eq!(raw.jobs[0].url, "rtmp://h/a/s?k=v;w#x");
        assert_eq!(raw.jobs[0].given["timeout"], "3s");
        assert_eq!(raw.jobs[1].given["timeout"], "4s");
        assert_eq!(raw.jobs[1].given["verify"], "yes");
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let given = Given::from([("time", "1s".to_owned()), ("timeout", "9s".to_owned())]);
        let raw = read(TEXT, &given).unwrap();
        assert_eq!(raw.global["time"], "1s");
        assert!(raw.jobs.iter().all(|job| job.given["timeout"] == "9s"));
    }

    #[test]
    fn mistakes_name_where_they_are() {
        for (text, part) in [
            ("[a]\nkind=play\nurl=rtmp://h/a/s\nclient=2\n", "unknown key client"),
            ("[a]\ntime=2s\n", "[global]"),
            ("[a]\nkind=play\n[b]\n[a]\n", "line 4: a comes twice"),
            ("[a]\nrate=1\nrate=2\n", "line 3: rate comes twice"),
            ("[global]\ntime=2s\n", "no job"),
        ] {
            let error = read(text, &Given::new()).unwrap_err();
            assert!(error.summary().contains(part), "{text}: {}", error.summary());
        }
    }

    #[test]
    fn the_sample_is_a_job_file() {
        let raw = read(include_str!("../../../docs/srs-bench.ini"), &Given::new()).unwrap();
        crate::plan::Plan::new(&raw).unwrap();
    }
}
