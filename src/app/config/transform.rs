//! Old spellings, rewritten to the ones that the table calls live, each with a warning that says how to write it now.

use super::diagnostic::Warning;
use super::syntax::{self, Directive, Tree, Word};

/// Rewrites the old spellings of a tree, or drops those that have no successor.
pub fn transform(tree: &mut Tree, warnings: &mut Vec<Warning>) {
    let mut old = Old { warnings };
    old.rename(&mut tree.root, "", "http_stream", "http_server");
    for directive in &mut tree.root {
        match directive.name.text.as_str() {
            "srt_server" => {
                let block = children(directive);
                old.rename(block, "srt_server.", "tlpkdrop", "tlpktdrop");
            }
            "rtc_server" => old.drop_all(children(directive), "rtc_server.", &["perf_stat", "queue_length"]),
            "stream_caster" => old.stream_caster(children(directive)),
            "vhost" => old.vhost(children(directive)),
            _ => {}
        }
    }
}

/// The directives in a block; those in a directive without one are nowhere.
fn children(directive: &mut Directive) -> &mut Vec<Directive> {
    directive.block.get_or_insert_default()
}

struct Old<'a> {
    warnings: &'a mut Vec<Warning>,
}

impl Old<'_> {
    fn stream_caster(&mut self, block: &mut Vec<Directive>) {
        const OF_GB28181: &[&str] = &[
            "tcp_enable",
            "wait_keyframe",
            "rtp_idle_timeout",
            "audio_enable",
            "auto_create_channel",
        ];
        const OF_SIP: &[&str] = &[
            "serial",
            "realm",
            "ack_timeout",
            "keepalive_timeout",
            "invite_port_fixed",
            "query_catalog_interval",
            "auto_play",
        ];
        self.drop_all(block, "stream_caster.", OF_GB28181);
        // The RTSP caster needs its range of ports; for the others it means nothing.
        if syntax::find(block, "caster").is_none_or(|caster| caster.arg_text() != "rtsp") {
            self.drop_all(block, "stream_caster.", &["rtp_port_min", "rtp_port_max"]);
        }
        for sip in block.iter_mut().filter(|directive| directive.name.text == "sip") {
            self.drop_all(children(sip), "stream_caster.sip.", OF_SIP);
        }
        for host in take(block, |directive| directive.name.text == "host") {
            self.warn(&host, "stream_caster.host", "sip { candidate ...; }");
            let args = host.args.clone();
            put(block, "sip", "candidate", args, &host);
        }
    }

    fn vhost(&mut self, vhost: &mut Vec<Directive>) {
        const OF_PLAY: &[&str] = &[
            "time_jitter",
            "mix_correct",
            "atc",
            "atc_auto",
            "mw_latency",
            "gop_cache",
            "gop_cache_max_frames",
            "queue_length",
            "send_min_interval",
            "reduce_sequence_header",
        ];
        const OF_CLUSTER: &[&str] = &["mode", "origin", "token_traverse", "vhost", "debug_srs_upnode"];
        self.rename(vhost, "vhost.", "http", "http_static");
        for remux in vhost.iter_mut().filter(|directive| directive.name.text == "http_remux") {
            self.drop_all(children(remux), "vhost.http_remux.", &["hstrs"]);
        }
        self.referers(vhost);
        self.block_into(vhost, "mr", "publish", &[("enabled", "mr"), ("latency", "mr_latency")]);
        self.leaf_into(vhost, "publish_1stpkt_timeout", "publish", "firstpkt_timeout");
        self.leaf_into(vhost, "publish_normal_timeout", "publish", "normal_timeout");
        for name in OF_PLAY {
            self.leaf_into(vhost, name, "play", name);
        }
        self.forward(vhost);
        for name in OF_CLUSTER {
            self.leaf_into(vhost, name, "cluster", name);
        }
        self.block_into(
            vhost,
            "nack",
            "rtc",
            &[("enabled", "nack"), ("no_copy", "nack_no_copy")],
        );
        self.block_into(vhost, "twcc", "rtc", &[("enabled", "twcc")]);
        for rtc in vhost.iter_mut().filter(|directive| directive.name.text == "rtc") {
            self.word_to_flag(children(rtc), "aac", "transcode", "rtmp_to_rtc");
            self.word_to_flag(children(rtc), "bframe", "keep", "keep_bframe");
        }
    }

    /// `refer a b;`, `refer_play` and `refer_publish` become the `refer` block, which they turn on.
    fn referers(&mut self, vhost: &mut Vec<Directive>) {
        let is_old = |directive: &Directive| match directive.name.text.as_str() {
            "refer" => directive.block.is_none(),
            name => name == "refer_play" || name == "refer_publish",
        };
        for refer in take(vhost, is_old) {
            let name = match refer.name.text.as_str() {
                "refer_play" => "play",
                "refer_publish" => "publish",
                _ => "all",
            };
            let spelling = format!("vhost.{}", refer.name.text);
            self.warn(&refer, &spelling, &format!("refer {{ enabled on; {name} ...; }}"));
            let on = word_like(&refer.name, "on");
            put(vhost, "refer", "enabled", vec![on], &refer);
            put(vhost, "refer", name, refer.args.clone(), &refer);
        }
    }

    /// `forward a b;` becomes the `forward` block, which it turns on.
    fn forward(&mut self, vhost: &mut Vec<Directive>) {
        let is_old = |directive: &Directive| directive.name.text == "forward" && directive.block.is_none();
        for forward in take(vhost, is_old) {
            self.warn(&forward, "vhost.forward", "forward { enabled on; destination ...; }");
            let on = word_like(&forward.name, "on");
            put(vhost, "forward", "enabled", vec![on], &forward);
            put(vhost, "forward", "destination", forward.args.clone(), &forward);
        }
    }

    fn rename(&mut self, block: &mut [Directive], path: &str, old: &str, new: &str) {
        for directive in block.iter_mut().filter(|directive| directive.name.text == old) {
            self.warn(directive, &format!("{path}{old}"), new);
            directive.name.text = new.to_owned();
        }
    }

    fn drop_all(&mut self, block: &mut Vec<Directive>, path: &str, names: &[&str]) {
        for directive in take(block, |directive| names.contains(&directive.name.text.as_str())) {
            let message = format!("\"{path}{}\" is gone and has no effect; remove it", directive.name.text);
            self.warnings.push(Warning::at(&directive.name.place, message));
        }
    }

    /// Moves a directive into a block under a new name.
    fn leaf_into(&mut self, vhost: &mut Vec<Directive>, old: &str, block: &str, new: &str) {
        for directive in take(vhost, |directive| directive.name.text == old) {
            self.warn(
                &directive,
                &format!("vhost.{old}"),
                &format!("{block} {{ {new} ...; }}"),
            );
            put(vhost, block, new, directive.args.clone(), &directive);
        }
    }

    /// Moves the directives of an old block into another one under new names.
    fn block_into(&mut self, vhost: &mut Vec<Directive>, old: &str, block: &str, names: &[(&str, &str)]) {
        for directive in take(vhost, |directive| directive.name.text == old) {
            let new: Vec<String> = names.iter().map(|(_, new)| format!("{new} ...;")).collect();
            self.warn(
                &directive,
                &format!("vhost.{old}"),
                &format!("{block} {{ {} }}", new.join(" ")),
            );
            for (from, to) in names {
                if let Some(child) = directive.get(from) {
                    put(vhost, block, to, child.args.clone(), child);
                }
            }
        }
    }

    /// Turns a directive whose word was a choice into a flag that is on with one of the words.
    fn word_to_flag(&mut self, block: &mut Vec<Directive>, old: &str, on: &str, new: &str) {
        for directive in take(block, |directive| directive.name.text == old) {
            let value = if directive.arg_text() == on { "on" } else { "off" };
            self.warn(&directive, &format!("vhost.rtc.{old}"), &format!("{new} {value};"));
            let args = vec![word_like(directive.arg().unwrap_or(&directive.name), value)];
            append(block, new, args, &directive);
        }
    }

    fn warn(&mut self, directive: &Directive, old: &str, new: &str) {
        let message = format!("\"{old}\" is an old spelling, now written: {new}");
        self.warnings.push(Warning::at(&directive.name.place, message));
    }
}

/// Takes the directives out that a test picks.
fn take(block: &mut Vec<Directive>, is_old: impl Fn(&Directive) -> bool) -> Vec<Directive> {
    let (taken, kept) = std::mem::take(block).into_iter().partition(is_old);
    *block = kept;
    taken
}

/// Puts a directive into a block of the vhost, which is made when there is none. It stands last, so that a new
/// spelling beside it wins.
fn put(vhost: &mut Vec<Directive>, block: &str, name: &str, args: Vec<Word>, like: &Directive) {
    let index = match vhost.iter().position(|directive| directive.name.text == block) {
        Some(index) => index,
        None => {
            vhost.push(Directive {
                name: word_like(&like.name, block),
                args: Vec::new(),
                block: Some(Vec::new()),
            });
            vhost.len() - 1
        }
    };
    append(children(&mut vhost[index]), name, args, like);
}

fn append(block: &mut Vec<Directive>, name: &str, args: Vec<Word>, like: &Directive) {
    // The first of a name wins, so a second one would only be warned about as a duplicate that nobody wrote.
    if syntax::find(block, name).is_none() {
        block.push(Directive {
            name: word_like(&like.name, name),
            args,
            block: None,
        });
    }
}

fn word_like(word: &Word, text: &str) -> Word {
    Word {
        text: text.to_owned(),
        place: word.place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn transformed(text: &str) -> (Tree, usize) {
        let read = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
        let (mut tree, mut warnings) = syntax::parse("a.conf", text.as_bytes().to_vec(), &read).unwrap();
        transform(&mut tree, &mut warnings);
        (tree, warnings.len())
    }

    /// An old text, the new one that it means, and the number of warnings.
    const SPELLINGS: &[(&str, &str, usize)] = &[
        ("http_stream { enabled on; }", "http_server { enabled on; }", 1),
        ("srt_server { tlpkdrop off; }", "srt_server { tlpktdrop off; }", 1),
        (
            "rtc_server { perf_stat on; queue_length 5; listen 1; }",
            "rtc_server { listen 1; }",
            2,
        ),
        (
            "stream_caster { tcp_enable on; wait_keyframe on; rtp_idle_timeout 3; audio_enable on; rtp_port_max 6;
             auto_create_channel on; rtp_port_min 5; caster gb28181; }",
            "stream_caster { caster gb28181; }",
            7,
        ),
        (
            "stream_caster { caster rtsp; rtp_port_min 5; rtp_port_max 6; }",
            "stream_caster { caster rtsp; rtp_port_min 5; rtp_port_max 6; }",
            0,
        ),
        (
            "stream_caster { sip { serial a; realm b; ack_timeout 1; keepalive_timeout 2; invite_port_fixed on;
             query_catalog_interval 3; auto_play on; listen 1; } }",
            "stream_caster { sip { listen 1; } }",
            7,
        ),
        (
            "stream_caster { host 1.2.3.4; }",
            "stream_caster { sip { candidate 1.2.3.4; } }",
            1,
        ),
        (
            "stream_caster { host a; sip { candidate b; } }",
            "stream_caster { sip { candidate b; } }",
            1,
        ),
        (
            "vhost a { http { enabled on; } }",
            "vhost a { http_static { enabled on; } }",
            1,
        ),
        (
            "vhost a { http_remux { hstrs on; mount x; } }",
            "vhost a { http_remux { mount x; } }",
            1,
        ),
        (
            "vhost a { refer b c; }",
            "vhost a { refer { enabled on; all b c; } }",
            1,
        ),
        (
            "vhost a { refer_play b; refer_publish c; refer d; }",
            "vhost a { refer { enabled on; play b; publish c; all d; } }",
            3,
        ),
        ("vhost a { refer { all b; } }", "vhost a { refer { all b; } }", 0),
        (
            "vhost a { mr { enabled on; latency 5; } }",
            "vhost a { publish { mr on; mr_latency 5; } }",
            1,
        ),
        (
            "vhost a { mr { latency 5; } publish { mr on; } }",
            "vhost a { publish { mr on; mr_latency 5; } }",
            1,
        ),
        (
            "vhost a { publish_1stpkt_timeout 5; }",
            "vhost a { publish { firstpkt_timeout 5; } }",
            1,
        ),
        (
            "vhost a { publish_normal_timeout 5; }",
            "vhost a { publish { normal_timeout 5; } }",
            1,
        ),
        (
            "vhost a { time_jitter zero; mix_correct on; atc on; atc_auto on; mw_latency 1; gop_cache off;
             gop_cache_max_frames 2; queue_length 3; send_min_interval 4; reduce_sequence_header on; }",
            "vhost a { play { time_jitter zero; mix_correct on; atc on; atc_auto on; mw_latency 1; gop_cache off;
             gop_cache_max_frames 2; queue_length 3; send_min_interval 4; reduce_sequence_header on; } }",
            10,
        ),
        (
            "vhost a { gop_cache off; play { gop_cache on; } }",
            "vhost a { play { gop_cache on; } }",
            1,
        ),
        (
            "vhost a { forward b c; }",
            "vhost a { forward { enabled on; destination b c; } }",
            1,
        ),
        (
            "vhost a { forward { destination b; } }",
            "vhost a { forward { destination b; } }",
            0,
        ),
        (
            "vhost a { mode remote; origin b; token_traverse on; vhost c; debug_srs_upnode off; }",
            "vhost a { cluster { mode remote; origin b; token_traverse on; vhost c; debug_srs_upnode off; } }",
            5,
        ),
        (
            "vhost a { nack { enabled off; no_copy off; } twcc { enabled off; } }",
            "vhost a { rtc { nack off; nack_no_copy off; twcc off; } }",
            2,
        ),
        (
            "vhost a { rtc { aac transcode; bframe keep; } }",
            "vhost a { rtc { rtmp_to_rtc on; keep_bframe on; } }",
            2,
        ),
        (
            "vhost a { rtc { aac discard; bframe x; } }",
            "vhost a { rtc { rtmp_to_rtc off; keep_bframe off; } }",
            2,
        ),
        ("play { } publish; vhost;", "play { } publish; vhost { }", 0),
    ];

    #[test]
    fn old_spellings_become_new_ones() {
        for (old, new, warnings) in SPELLINGS {
            let (ours, told) = transformed(old);
            let read = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
            let (wanted, _) = syntax::parse("b.conf", new.as_bytes().to_vec(), &read).unwrap();
            assert!(syntax::same_blocks(&ours.root, &wanted.root), "{old}: {:#?}", ours.root);
            assert_eq!(told, *warnings, "{old}");
        }
    }

    #[test]
    fn every_deprecated_row_is_rewritten() {
        use crate::app::config::directive::{self, Status};
        for row in directive::all().filter(|row| row.status == Status::Deprecated && row.parent() != "http_stream") {
            let leaf = if row.kind.is_block() { "{ }" } else { "x;" };
            let mut text = format!("{} {leaf}", row.name());
            let mut parent = row.parent();
            while !parent.is_empty() {
                let (rest, name) = parent.rsplit_once('.').unwrap_or(("", parent));
                text = format!("{name} {{ {text} }}");
                parent = rest;
            }
            let (tree, _) = transformed(&text);
            let (before, _) = syntax::parse("b.conf", text.clone().into_bytes(), &|_| unreachable!()).unwrap();
            assert!(!syntax::same_blocks(&tree.root, &before.root), "{text} stays");
        }
    }
}
