//! What the API tells of a server of several workers: each is asked, and the answers become one.

use serde_json::{Map, Value};

use super::{Workers, link};
use crate::core::limits::WORKER_ANSWER_BYTES;
use crate::protocol::http::status::Status;

/// What becomes of the workers' answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// All are the same, or about this process: its own answer is the server's.
    Own,
    /// The first that is no error.
    First,
    /// Members whose figures add up, and lists whose entries do where they have the same name.
    Sum,
}

/// Figures that add up.
const SUMS: &[&str] = &[
    "clients",
    "streams",
    "total",
    "send_bytes",
    "recv_bytes",
    "recv_30s",
    "send_30s",
    "mem_kbyte",
    "mem_percent",
    "srs_recv_bytes",
    "srs_send_bytes",
    "conn_srs",
];
/// The same, but for those of the machine, which are beside `load_1m`.
const PROCESS_SUMS: &[&str] = &["cpu_percent"];

/// The answers of the other workers to a request for `target`. Those that do not answer are left out. Yields.
pub fn ask_others(workers: &Workers, method: &str, target: &str) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let peers = workers.peers.borrow().clone();
    for peer in peers {
        let request = format!("{method} {target} HTTP/1.0\r\nHost: worker\r\n\r\n");
        let answered = link::send(&workers.name_of(&peer), request.as_bytes(), link::STEP)
            .and_then(|reply| Ok((reply.status, reply.read_all(WORKER_ANSWER_BYTES)?)));
        match answered {
            Ok((status, body)) if status == Status::OK.code() => answers.push(body.to_vec()),
            Ok(_) => {}
            Err(error) => log::warn!("worker {} tells nothing, {}", peer.number, error.summary()),
        }
    }
    answers
}

/// One answer of several, the first of which is our own.
pub fn merge(how: Merge, answers: &[Vec<u8>]) -> Option<Value> {
    let mut values = answers
        .iter()
        .filter_map(|answer| serde_json::from_slice::<Value>(answer).ok());
    let mut whole = values.next()?;
    for value in values {
        let is_error = |value: &Value| value.get("code").is_some_and(|code| code != 0);
        match how {
            Merge::Own => break,
            _ if is_error(&value) => {}
            _ if is_error(&whole) => whole = value,
            Merge::First => break,
            Merge::Sum => add(&mut whole, value),
        }
    }
    Some(whole)
}

fn add(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => add_members(whole, part),
        (Value::Array(whole), Value::Array(part)) => {
            for entry in part {
                let same = whole.iter_mut().find(|known| is_same(known, &entry));
                match same {
                    Some(known) => add(known, entry),
                    None => whole.push(entry),
                }
            }
        }
        (whole @ Value::Null, part) => *whole = part,
        _ => {}
    }
}

/// Streams are told apart by their ids, and so are vhosts and clients: workers give the same ids to the same things.
fn is_same(one: &Value, other: &Value) -> bool {
    one.get("id").is_some() && one.get("id") == other.get("id")
}

fn add_members(whole: &mut Map<String, Value>, part: Map<String, Value>) {
    let is_process = !whole.contains_key("load_1m");
    // Of a stream the worker with the publisher knows most.
    let active = |entry: &Map<String, Value>| {
        entry.get("publish").and_then(|publish| publish.get("active")) == Some(&Value::Bool(true))
    };
    let knows_more = active(&part) && !active(whole);
    for (name, value) in part {
        let known = whole.entry(name.clone()).or_insert(Value::Null);
        let sums = SUMS.contains(&name.as_str()) || (is_process && PROCESS_SUMS.contains(&name.as_str()));
        match (known.as_u64(), known.as_f64(), value.as_u64(), value.as_f64()) {
            (Some(one), _, Some(other), _) if sums => *known = one.saturating_add(other).into(),
            (_, Some(one), _, Some(other)) if sums => *known = (one + other).into(),
            _ if value.is_object() || value.is_array() => {
                if knows_more && matches!(name.as_str(), "publish" | "video" | "audio") {
                    *known = value;
                } else {
                    add(known, value);
                }
            }
            _ if known.is_null() || (knows_more && name == "frames") => *known = value,
            _ => {}
        }
    }
}

/// Pages of metrics as one: samples with the same name and labels add up, but for those that describe.
pub fn merge_metrics(pages: &[Vec<u8>]) -> Vec<u8> {
    const DESCRIBE: [&str; 2] = ["srs_node_uname_info", "srs_build_info"];
    const WORST: [&str; 2] = ["srs_event_loop_lag_seconds", "srs_circuit_breaker_state"];
    let texts: Vec<_> = pages.iter().map(|page| String::from_utf8_lossy(page)).collect();
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse::<f64>().ok()?))
    };
    let mut whole = String::new();
    for line in texts.first().map(|text| text.lines()).into_iter().flatten() {
        let own =
            sample(line).filter(|_| !line.starts_with('#') && !DESCRIBE.iter().any(|name| line.starts_with(name)));
        let Some((name, own)) = own else {
            whole.extend([line, "\n"]);
            continue;
        };
        let others = texts.iter().skip(1).flat_map(|text| text.lines().filter_map(sample));
        let same = others.filter(|(other, _)| *other == name).map(|(_, value)| value);
        let value = match WORST.contains(&name.as_str()) {
            true => same.fold(own, f64::max),
            false => same.fold(own, |sum, value| sum + value),
        };
        // Sums of whole numbers are whole.
        let decimals = if line.rsplit_once(' ').is_some_and(|(_, value)| value.contains('.')) {
            6
        } else {
            0
        };
        whole.push_str(&format!("{name} {value:.decimals$}\n"));
    }
    whole.into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(value: Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    #[test]
    fn streams_of_several_workers_are_one() {
        let here = json!({"code": 0, "pid": "7", "streams": [
            {"id": "a", "clients": 3, "frames": 0, "send_bytes": 10, "kbps": {"recv_30s": 0, "send_30s": 5},
             "publish": {"active": false}, "video": null},
        ]});
        let there = json!({"code": 0, "pid": "7", "streams": [
            {"id": "a", "clients": 2, "frames": 9, "send_bytes": 1, "kbps": {"recv_30s": 4, "send_30s": 1},
             "publish": {"active": true, "cid": "c"}, "video": {"codec": "H264"}},
            {"id": "b", "clients": 1},
        ]});
        let whole = merge(Merge::Sum, &[bytes(here.clone()), bytes(there.clone())]).unwrap();
        let expected = json!({"code": 0, "pid": "7", "streams": [
            {"id": "a", "clients": 5, "frames": 9, "send_bytes": 11, "kbps": {"recv_30s": 4, "send_30s": 6},
             "publish": {"active": true, "cid": "c"}, "video": {"codec": "H264"}},
            {"id": "b", "clients": 1},
        ]});
        assert_eq!(whole, expected);
        assert_eq!(merge(Merge::Own, &[bytes(here.clone()), bytes(there)]).unwrap(), here);
    }

    #[test]
    fn who_knows_answers() {
        let (no, yes) = (json!({"code": 2000}), json!({"code": 0, "client": {"id": "x"}}));
        for answers in [[&no, &yes], [&yes, &no], [&yes, &yes]] {
            let answers = answers.map(|answer| bytes(answer.clone()));
            assert_eq!(merge(Merge::First, &answers).unwrap(), yes);
        }
        assert_eq!(
            merge(Merge::First, &[bytes(no.clone()), bytes(no.clone())]).unwrap(),
            no
        );
    }

    #[test]
    fn summaries_add_up_but_not_the_machine() {
        let of = |cpu: f64, clients: u64| {
            json!({"data": {"self": {"cpu_percent": cpu, "mem_kbyte": 100},
                "system": {"cpu_percent": 0.5, "load_1m": 1.0, "conn_srs": clients}}})
        };
        let whole = merge(Merge::Sum, &[bytes(of(0.25, 1)), bytes(of(0.5, 2))]).unwrap();
        assert_eq!(whole["data"]["self"], json!({"cpu_percent": 0.75, "mem_kbyte": 200}));
        assert_eq!(
            whole["data"]["system"],
            json!({"cpu_percent": 0.5, "load_1m": 1.0, "conn_srs": 3})
        );
    }

    #[test]
    fn metrics_add_up() {
        let page = |clients: u32, lag: &str, pid: u32| {
            format!("# HELP srs_clients C.\nsrs_clients {clients}\nsrs_event_loop_lag_seconds {lag}\nsrs_build_info{{pid=\"{pid}\"}} 1\n")
                .into_bytes()
        };
        let whole = merge_metrics(&[page(2, "0.500000", 7), page(3, "0.250000", 8)]);
        assert_eq!(whole, page(5, "0.500000", 7));
    }
}
