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
