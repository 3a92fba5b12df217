//! What refuses a configuration. The checks run in a fixed order and the first fault wins, as users of SRS know it.

use super::diagnostic::Fault;
use super::directive::{self, Kind, Row, Status};
use super::endpoint::Endpoint;
use super::env::Env;
use super::host::Host;
use super::nearest::nearest;
use super::network::Network;
use super::scope::{Given, Scope};
use super::section;
use super::section::ingest::Ingest;
use super::section::log::is_to_file;
use super::section::process::read_workers;
use super::syntax::{self, Directive, Tree, Word};
use crate::core::limits::WORKERS;

/// File descriptors that the server needs beside those of its clients.
const SPARE_FILES: u64 = 128;

/// Checks a tree whose old spellings are rewritten.
///
/// # Errors
/// The first fault.
pub(super) fn check(tree: &Tree, env: Env<'_>, host: &Host) -> Result<(), Fault> {
    let root = Scope::root(env, &tree.root);
    let checker = Checker {
        tree,
        root,
        host,
        env_only: env.is_only(),
    };
    checker.run()
}

struct Checker<'a> {
    tree: &'a Tree,
    root: Scope<'a>,
    host: &'a Host,
    env_only: bool,
}

impl Checker<'_> {
    fn run(&self) -> Result<(), Fault> {
        /// The blocks whose names are checked before any value; those of casters and vhosts are checked later.
        const EARLY: [&str; 10] = [
            "http_api",
            "http_server",
            "rtmps",
            "srt_server",
            "heartbeat",
            "stats",
            "rtc_server",
            "exporter",
            "limits",
            "registry",
        ];
        if self.tree.root.is_empty() {
            return Err(Fault::at(&self.tree.place, "the configuration is empty"));
        }
        for directive in &self.tree.root {
            known(directive, "")?;
        }
        self.names_in(&EARLY)?;
        self.listen()?;
        self.intervals()?;
        self.http()?;
        self.networks()?;
        self.log()?;
        self.names_in(&["stream_caster"])?;
        section::caster::check(&self.root)?;
        section::registry::check(&self.root)?;
        self.names_in(&["vhost"])?;
        for check in [
            Self::one_remux,
            Self::hls_and_ts,
            Self::hls_parts_and_keys,
            Self::forward_and_idle,
            Self::ingest_ids,
            Self::ingests,
        ] {
            self.root.every("vhost").try_for_each(|vhost| check(self, vhost))?;
        }
        self.process()?;
        self.rights()?;
        self.is_full()
    }

    fn names_in(&self, blocks: &[&str]) -> Result<(), Fault> {
        let named = |directive: &&Directive| blocks.contains(&directive.name.text.as_str());
        self.tree
            .root
            .iter()
            .filter(named)
            .try_for_each(|directive| names(directive, &directive.name.text))
    }

    fn listen(&self) -> Result<(), Fault> {
        let listen = self.root.list("listen");
        if listen.is_empty() && !self.env_only {
            let place = self.name_place("listen");
            let fault = Fault::at(&place, "\"listen\" is missing: no address to await RTMP clients at");
            return Err(fault.with_hint("write \"listen 1935;\""));
        }
        for given in &listen {
            Endpoint::parse(&given.text).map_err(|cause| {
                let message = format!("illegal listen \"{}\": {cause}", given.text);
                Fault::at(&given.place, message).with_hint("write PORT, IP:PORT or [IPV6]:PORT")
            })?;
        }
        Ok(())
    }

    fn intervals(&self) -> Result<(), Fault> {
        let heartbeat = self.root.section("heartbeat");
        if let Some(given) = heartbeat.given("interval")
            && heartbeat.integer("interval") <= 0
        {
            let message = format!("illegal heartbeat.interval \"{}\": not above 0 seconds", given.text);
            return Err(Fault::at(&given.place, message));
        }
        let stats = self.root.section("stats");
        let network = stats.integer("network");
        if usize::try_from(network).is_ok_and(|network| network < self.host.addresses) {
            return Ok(());
        }
        let place = stats
            .given("network")
            .map_or_else(|| self.tree.place.clone(), |given| given.place);
        let message = format!(
            "illegal stats.network {network}: this machine has {} addresses",
            self.host.addresses
        );
        Err(Fault::at(&place, message).with_hint("they are counted from 0"))
    }

    fn http(&self) -> Result<(), Fault> {
        let (api, server) = (self.root.section("http_api"), self.root.section("http_server"));
        let (https_api, https_server) = (api.section("https"), server.section("https"));
        let listen = |scope: &Scope<'_>| scope.texts_or_default("listen");
        let plain_shared = listen(&api) == listen(&server);
        // Who says nothing about the API's gets what fits.
        let follows = plain_shared && https_api.given("listen").is_none();
        let secure_shared = follows || listen(&https_api) == listen(&https_server);
        if plain_shared != secure_shared {
            let (shared, apart, culprit) = if plain_shared {
                ("plain HTTP", "HTTPS", [&https_api, &https_server, &api, &server])
            } else {
                ("HTTPS", "plain HTTP", [&api, &server, &https_api, &https_server])
            };
            let given = culprit.iter().find_map(|scope| scope.given("listen"));
            let place = given.map_or_else(|| self.tree.place.clone(), |given| given.place);
            let message = format!("http_api and http_server share their {shared} endpoint but not their {apart} one");
            let hint = format!("give both the same {apart} listen, or different {shared} ones");
            return Err(Fault::at(&place, message).with_hint(hint));
        }
        for (name, plain, secure) in [("http_api", &api, &https_api), ("http_server", &server, &https_server)] {
            if secure.flag("enabled") && !plain.flag("enabled") {
                let message = format!("{name}.https is enabled but {name} is not");
                return Err(self.at_given(secure.given("enabled"), message));
            }
        }
        let rtmps = self.root.section("rtmps");
        let secure = [
            ("http_api.https", &https_api),
            ("http_server.https", &https_server),
            ("rtmps", &rtmps),
        ];
        secure
            .iter()
            .try_for_each(|(name, scope)| self.tls_is_built(name, scope))
    }

    fn tls_is_built(&self, name: &str, scope: &Scope<'_>) -> Result<(), Fault> {
        if cfg!(feature = "tls") || !scope.flag("enabled") {
            return Ok(());
        }
        let message = format!("{name}.enabled is on, but this server is built without the feature tls");
        let fault = self.at_given(scope.given("enabled"), message);
        Err(fault.with_hint("switch it off, or use a build with the feature"))
    }

    fn networks(&self) -> Result<(), Fault> {
        let lists = [
            ("trusted_proxies", self.root.list("trusted_proxies")),
            ("limits.exempt", self.root.section("limits").list("exempt")),
        ];
        for (name, list) in lists {
            if let Some(given) = list.iter().find(|given| Network::parse(&given.text).is_none()) {
                let message = format!("illegal {name} \"{}\": no address and no network", given.text);
                return Err(Fault::at(&given.place, message).with_hint("write 127.0.0.1, ::1 or 10.0.0.0/8"));
            }
        }
        Ok(())
    }

    fn rights(&self) -> Result<(), Fault> {
        match self.root.list("user").get(2) {
            Some(third) => {
                let message = format!("\"{}\" is too much in user", third.text);
                Err(Fault::at(&third.place, message).with_hint("write user NAME; or user NAME GROUP;"))
            }
            None => Ok(()),
        }
    }

    fn log(&self) -> Result<(), Fault> {
        if is_to_file(&self.root, self.host) && self.root.text("srs_log_file").is_empty() {
            return Err(Fault::at(
                &self.tree.place,
                "srs_log_file is empty while the log goes to a file",
            ));
        }
        Ok(())
    }

    fn one_remux(&self, vhost: &Directive) -> Result<(), Fault> {
        let scope = self.root.inside("vhost", vhost.children());
        let Some(second) = scope.every("http_remux").nth(1) else {
            return Ok(());
        };
        let message = format!("a second http_remux in vhost {}", vhost.arg_text());
        Err(Fault::at(&second.name.place, message).with_hint("a vhost may have one, disabled ones count"))
    }

    fn hls_and_ts(&self, vhost: &Directive) -> Result<(), Fault> {
        let scope = self.root.inside("vhost", vhost.children());
        let (hls, remux) = (scope.section("hls"), scope.section("http_remux"));
        if !hls.flag("enabled") || !remux.flag("enabled") {
            return Ok(());
        }
        match remux.given("mount") {
            Some(mount) if mount.text.ends_with(".ts") => {
                let message = format!(
                    "http_remux.mount \"{}\" takes the .ts files of the enabled hls",
                    mount.text
                );
                Err(Fault::at(&mount.place, message))
            }
            _ => Ok(()),
        }
    }

    /// Parts are served from memory as they are; keys would be a lie.
    fn hls_parts_and_keys(&self, vhost: &Directive) -> Result<(), Fault> {
        let scope = self.root.inside("vhost", vhost.children());
        let hls = scope.section("hls");
        if hls.flag("enabled") && hls.flag("hls_low_latency") && hls.flag("hls_keys") {
            let message = "hls.hls_keys cannot be used with hls_low_latency: parts are not encrypted";
            return Err(self.at_given(hls.given("hls_keys"), message.to_owned()));
        }
        Ok(())
    }

    fn forward_and_idle(&self, vhost: &Directive) -> Result<(), Fault> {
        let scope = self.root.inside("vhost", vhost.children());
        let (forward, publish) = (scope.section("forward"), scope.section("publish"));
        if forward.flag("enabled") && !publish.duration("kickoff_for_idle").is_zero() {
            let message = "publish.kickoff_for_idle cannot be used while forward is enabled";
            return Err(self.at_given(publish.given("kickoff_for_idle"), message.to_owned()));
        }
        Ok(())
    }

    fn ingest_ids(&self, vhost: &Directive) -> Result<(), Fault> {
        let scope = self.root.inside("vhost", vhost.children());
        let mut ids: Vec<&Word> = Vec::new();
        for ingest in scope.every("ingest") {
            let id = ingest.arg().unwrap_or(&ingest.name);
            let first = ids.iter().find(|first| first.text == id.text);
            if let Some(first) = first {
                let message = format!(
                    "a second ingest \"{}\"; the first is at {}",
                    ingest.arg_text(),
                    first.place
                );
                return Err(Fault::at(&id.place, message));
            }
            ids.push(id);
        }
        Ok(())
    }

    /// SRS ends at start for these.
    fn ingests(&self, vhost: &Directive) -> Result<(), Fault> {
        let scope = self.root.inside("vhost", vhost.children());
        if !scope.flag("enabled") {
            return Ok(());
        }
        for block in scope.every("ingest") {
            let ingest = Ingest::read(block.arg_text(), &scope.inside("ingest", block.children()));
            if let Some((code, text)) = ingest.fault().filter(|_| ingest.enabled) {
                let message = format!(
                    "ingest {} cannot run, {text} ({} {})",
                    ingest.id,
                    code.number(),
                    code.short()
                );
                return Err(Fault::at(&block.name.place, message));
            }
        }
        Ok(())
    }

    fn process(&self) -> Result<(), Fault> {
        if self.root.flag("asprocess") && self.root.flag("daemon") {
            let message = "asprocess needs daemon off: a daemon has no parent to follow".to_owned();
            return Err(self.at_given(self.root.given("asprocess"), message));
        }
        let workers = self.root.given("workers");
        if let Some(given) = workers.filter(|given| read_workers(&given.text).is_none()) {
            let message = format!(
                "illegal workers \"{}\": neither auto nor a number from 1 to {WORKERS}",
                given.text
            );
            return Err(self.at_given(Some(given), message));
        }
        let connections = self.root.integer("max_connections");
        let given = self.root.given("max_connections");
        let Ok(wanted) = u64::try_from(connections) else {
            return Err(self.at_given(given, format!("illegal max_connections {connections}: not above 0")));
        };
        if wanted == 0 {
            let text = given.as_ref().map_or("0", |given| given.text.as_str());
            let message = format!("illegal max_connections \"{text}\": not a number above 0");
            return Err(self.at_given(given, message));
        }
        let files = self.host.open_files;
        if wanted + SPARE_FILES >= files {
            let message = format!(
                "max_connections {wanted} needs a limit of more than {} open files, the process has {files}",
                wanted + SPARE_FILES
            );
            let hint = format!(
                "raise the limit with \"ulimit -HSn {}\", or lower it",
                (wanted + SPARE_FILES) * 2
            );
            return Err(self.at_given(given, message).with_hint(hint));
        }
        Ok(())
    }

    fn is_full(&self) -> Result<(), Fault> {
        if !self.root.flag("is_full") {
            return Ok(());
        }
        let message = "this is the reference of all directives, not a configuration to run".to_owned();
        let fault = self.at_given(self.root.given("is_full"), message);
        Err(fault.with_hint("copy what you need from it"))
    }

    fn at_given(&self, given: Option<Given>, message: String) -> Fault {
        match given {
            Some(given) => Fault::at(&given.place, message),
            None => Fault::at(&self.tree.place, message),
        }
    }

    /// Where a root directive's name stands, else the file.
    fn name_place(&self, name: &str) -> super::place::Place {
        syntax::find(&self.tree.root, name).map_or_else(|| self.tree.place.clone(), |found| found.name.place.clone())
    }
}

/// Checks the names inside a block, and inside its blocks.
fn names(directive: &Directive, path: &str) -> Result<(), Fault> {
    for child in directive.children() {
        let row = known(child, path)?;
        if row.kind == Kind::Block {
            names(child, row.path)?;
        }
    }
    Ok(())
}

/// The row of a directive in a block.
fn known(directive: &Directive, block: &str) -> Result<&'static Row, Fault> {
    let name = directive.name.text.as_str();
    let row = directive::row(&directive::join(block, name));
    match row {
        Some(row) if row.is_legal() => Ok(row),
        _ => Err(unknown(&directive.name, block, row)),
    }
}

fn unknown(name: &Word, block: &str, row: Option<&Row>) -> Fault {
    let place = if block.is_empty() {
        "outside all blocks".to_owned()
    } else {
        format!("in {block}")
    };
    if let Some(row) = row {
        let message = format!(
            "\"{}\" is no longer allowed {place} (SRS {} had it)",
            name.text, row.version
        );
        let fault = Fault::at(&name.place, message);
        return if row.note.is_empty() {
            fault
        } else {
            fault.with_hint(row.note)
        };
    }
    let fault = Fault::at(&name.place, format!("unknown directive \"{}\" {place}", name.text));
    match hint(&name.text, block) {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    }
}

fn hint(name: &str, block: &str) -> Option<String> {
    if name.starts_with('\u{feff}') {
        return Some("the file begins with a byte order mark; save it without one".to_owned());
    }
    let homes: Vec<&str> = directive::all()
        .filter(|row| row.name() == name && row.status == Status::Live)
        .map(Row::parent)
        .collect();
    if let Some(first) = homes.first() {
        let of = |home: &&str| if home.is_empty() { "outside all blocks" } else { *home }.to_owned();
        let shown: Vec<String> = homes.iter().take(4).map(of).collect();
        return Some(match homes.len() {
            1 if first.is_empty() => "it belongs outside all blocks".to_owned(),
            _ => format!("it is allowed in: {}", shown.join(", ")),
        });
    }
    let siblings = directive::children(block).filter(|row| row.is_legal()).map(Row::name);
    nearest(name, siblings).map(|meant| format!("did you mean \"{meant}\"?"))
}
