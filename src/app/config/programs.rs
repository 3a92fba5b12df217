//! Warnings about child processes that a configuration asks for and that will not run.

use super::diagnostic::Warning;
use super::host::Host;
use super::scope::Scope;
use super::section::engine::Engine;
use super::section::transcode::Transcode;
use super::syntax::{Directive, Word};

/// Warns about programs that are missing, and about engines for which publishers will be refused. Those of `ingest` are
/// refused before.
pub(super) fn lint(root: &Scope<'_>, host: &Host, warnings: &mut Vec<Warning>) {
    let mut linter = Linter { host, warnings };
    for vhost in root.every("vhost") {
        let scope = root.inside("vhost", vhost.children());
        if scope.flag("enabled") {
            linter.vhost(&scope);
        }
    }
}

struct Linter<'a> {
    host: &'a Host,
    warnings: &'a mut Vec<Warning>,
}

impl Linter<'_> {
    fn vhost(&mut self, vhost: &Scope<'_>) {
        for ingest in vhost.every("ingest") {
            if vhost.inside("ingest", ingest.children()).flag("enabled") {
                self.program(ingest.get("ffmpeg").and_then(Directive::arg));
            }
        }
        // As in SRS only the first one counts.
        if let Some(block) = vhost.every("transcode").next() {
            let scope = vhost.inside("transcode", block.children());
            let transcode = Transcode::read(block.arg_text(), &scope);
            if transcode.enabled {
                self.transcode(block, &transcode);
            }
        }
        let exec = vhost.section("exec");
        if exec.flag("enabled") {
            exec.every("publish").for_each(|line| self.program(line.arg()));
        }
    }

    fn transcode(&mut self, block: &Directive, transcode: &Transcode) {
        if transcode.ffmpeg.is_empty() {
            let text = "this transcode is ignored: it names no ffmpeg";
            return self.warnings.push(Warning::at(&block.name.place, text));
        }
        self.program(block.get("ffmpeg").and_then(Directive::arg));
        let blocks = block.children().iter().filter(|child| child.name.text == "engine");
        let mut running = 0;
        for (place, engine) in blocks.zip(&transcode.engines).filter(|(_, engine)| engine.enabled) {
            running += 1;
            self.engine(place, engine);
        }
        if running == 0 {
            let text = "this transcode is ignored: no engine of it is enabled";
            self.warnings.push(Warning::at(&block.name.place, text));
        }
    }

    fn engine(&mut self, block: &Directive, engine: &Engine) {
        if let Some((code, text)) = engine.fault() {
            let text = format!(
                "whoever publishes here is refused, {text} ({} {})",
                code.number(),
                code.short()
            );
            self.warnings.push(Warning::at(&block.name.place, text));
        }
    }

    fn program(&mut self, name: Option<&Word>) {
        if let Some(name) = name.filter(|name| !self.host.has_program(&name.text)) {
            let text = format!(
                "\"{}\" is no program that can be run: install it, or give the path of one",
                name.text
            );
            self.warnings.push(Warning::at(&name.place, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::app::config::{Host, load_text};

    fn warnings(vhost: &str) -> Vec<String> {
        let text = format!("listen 1935;\nvhost __defaultVhost__ {{\n{vhost}\n}}\n");
        let host = Host {
            looks_for_programs: true,
            ..Host::TEST
        };
        let loaded = load_text(&text, host).unwrap();
        loaded.warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn programs_that_are_missing_are_told_with_their_place() {
        let found = warnings(
            "ingest a { enabled on; ffmpeg ./none; input { url u; } engine { output o; } }
            ingest off { ffmpeg ./none; }
            exec { enabled on; publish sh -c x; publish ./none x; }
            transcode { enabled on;
                ffmpeg ./none; engine { enabled on; vcodec copy; acodec copy; output o; } }",
        );
        let places: Vec<&str> = found
            .iter()
            .map(|text| text.split(": ").next().unwrap_or_default())
            .collect();
        assert_eq!(places, ["a.conf:3:31", "a.conf:7:24", "a.conf:5:57"], "{found:?}");
        assert!(
            found[0].contains("\"./none\" is no program that can be run"),
            "{found:?}"
        );
    }

    #[test]
    fn engines_that_refuse_publishers_are_told() {
        let found = warnings(
            "transcode { enabled on; ffmpeg sh;
            engine a { enabled on; vcodec libx264; acodec an; output o; }
            engine off { vcodec vn; acodec an; } }
            transcode { enabled on; }",
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.conf:6:") && found[0].contains("second \"transcode\" has no effect"));
        assert!(
            found[1].starts_with("a.conf:4:") && found[1].contains("(3022 FFmpegProfile)"),
            "{found:?}"
        );
        for ignored in [
            "transcode { enabled on; }",
            "transcode { enabled on; ffmpeg sh; engine { vcodec vn; } }",
        ] {
            assert!(warnings(ignored)[0].contains("this transcode is ignored"), "{ignored}");
        }
        assert!(warnings("transcode { ffmpeg ./none; } exec { publish ./none; }").is_empty());
    }
}
